"""Slurm's own commands, run somewhere; what they say becomes data or a typed error."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..commands import NOT_FOUND, Answer, Commands, InEnvironment
from .errors import NoController, NoPermission, NoSlurm, SlurmError, UnknownNode
from .state import JOBS_FORMAT, ON_NODE, Job, Node, Reading, jobs, nodes_from_json, nodes_from_text, version

NOTHING = "nothing was changed."
_JSON_SINCE = (23, 2)
_NO_JSON = re.compile(r"unrecognized option|serializer|data_parser|plugin|json", re.IGNORECASE)
_NO_CONTROLLER = re.compile(
    r"Unable to contact slurm controller|controller not responding|Connection refused|connect failure"
    r"|standby mode|Socket timed out|Zero Bytes were transmitted|Transport endpoint|Unable to establish",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(r"Node \S+ not found|Invalid node name", re.IGNORECASE)
_FORBIDDEN = re.compile(r"Invalid user id|permission denied|not permitted|Operation not authorized", re.IGNORECASE)
_NO_CONFIG = re.compile(r"Unable to process configuration file|cannot stat file|Could not establish a config", re.I)
_NO_AUTH = re.compile(r"munge|authentication|auth plugin|credential", re.IGNORECASE)
_UNSURE = re.compile(r"timed out|Zero Bytes", re.IGNORECASE)
_NOT_DRAINED = re.compile(r"Invalid node state", re.IGNORECASE)


def with_conf(commands: Commands, conf: str | None) -> Commands:
    """`commands` with `conf` as their slurm.conf (None: the one that Slurm finds itself), speaking English."""
    variables = {"LC_ALL": "C", **({"SLURM_CONF": conf} if conf else {})}
    return InEnvironment(commands, variables)


class Client:
    """Slurm, asked about one node. The first argument says where its commands run."""

    def __init__(self, commands: Commands, node: str) -> None:
        self._commands = commands
        self.node_name = node
        self.left = NOTHING
        """What errors say of what was changed until then."""
        self._version: tuple[int, int] | None = None

    def version(self) -> tuple[int, int]:
        """Slurm's version, such as (22, 5). Raises NoSlurm."""
        if self._version is None:
            said = self._run(["scontrol", "--version"]).out
            found = version(said)
            if found is None:
                raise SlurmError(
                    f"scontrol tells no version that migprov understands: {said[:80]!r}; {self.left}",
                    host=self.node_name,
                )
            self._version = found
        return self._version

    def read(self) -> Reading:
        """The node and the jobs on it. Raises SlurmError and its kin."""
        return Reading(self.node(), self.jobs())

    def node(self) -> Node:
        """The node alone."""
        found = [node for node in self._show(self.node_name) if node.name == self.node_name]
        if not found:
            raise self._unknown()
        return found[0]

    def nodes(self) -> list[Node]:
        """Every node of the cluster."""
        return self._show()

    def jobs(self) -> tuple[Job, ...]:
        """The jobs that have the node."""
        options = ["--noheader", "--array", f"--nodelist={self.node_name}", f"--states={','.join(ON_NODE)}"]
        return jobs(self._run(["squeue", *options, f"--format={JOBS_FORMAT}"]).out)

    def drain(self, reason: str) -> None:
        """No new jobs; those that run go on."""
        words = ["scontrol", "update", f"nodename={self.node_name}", "state=drain", f"reason={reason}"]
        self._judge_write(self._commands.run(words))

    def resume(self) -> bool:
        """Back into service. False where Slurm says that it was not out of it."""
        answer = self._commands.run(["scontrol", "update", f"nodename={self.node_name}", "state=resume"])
        if answer.rc and _NOT_DRAINED.search(answer.said):
            return False
        self._judge_write(answer)
        return True

    def requeue(self, job: Job) -> str:
        """Put a job back into the queue; why Slurm does not do that, or an empty text."""
        answer = self._commands.run(["scontrol", "requeue", job.id])
        if answer.rc and not _NO_CONTROLLER.search(answer.said):
            return answer.said or f"exit status {answer.rc}"
        self._judge_write(answer)
        return ""

    def _show(self, *name: str) -> list[Node]:
        if self.version() >= _JSON_SINCE:
            answer = self._commands.run(["scontrol", "show", "node", *name, "--json"])
            try:
                if answer.rc == 0:
                    return nodes_from_json(answer.out)
            except (ValueError, TypeError, AttributeError):
                pass  # the text form says the same
            else:
                if not _NO_JSON.search(answer.said):
                    self._judge(answer, "scontrol")
        return nodes_from_text(self._run(["scontrol", "show", "node", *name]).out)

    def _run(self, argv: Sequence[str]) -> Answer:
        answer = self._commands.run(argv)
        self._judge(answer, argv[0])
        return answer

    def _judge_write(self, answer: Answer) -> None:
        if answer.rc and _UNSURE.search(answer.said):
            self.left = "whether slurmctld took the change is not known."
        self._judge(answer, "scontrol")

    def _judge(self, answer: Answer, program: str) -> None:
        if answer.rc == 0:
            return
        said, where, host = answer.said[:300], self._commands.where, self.node_name
        if answer.rc == NOT_FOUND:
            raise NoSlurm(
                f"there is no {program} on {where}; {self.left}",
                host=host,
                next="say where Slurm's commands are (gpu_drain_slurm_host), or install slurm-client there.",
            )
        if _UNKNOWN.search(said):
            raise self._unknown()
        if _FORBIDDEN.search(said):
            raise NoPermission(
                f"the user on {where} may not change nodes in Slurm ({said}); {self.left}",
                host=host,
                next="run it as root or SlurmUser (become), or make the user an operator (sacctmgr).",
            )
        if _NO_CONFIG.search(said):
            raise NoSlurm(
                f"Slurm's commands on {where} find no usable slurm.conf ({said}); {self.left}",
                host=host,
                next="give its path (gpu_drain_slurm_conf).",
            )
        if _NO_CONTROLLER.search(said):
            raise NoController(
                f"slurmctld does not answer {where} ({said}); {self.left}",
                host=host,
                next="see why with scontrol ping and start it, then run the same again.",
            )
        if _NO_AUTH.search(said):
            raise NoController(
                f"slurmctld does not accept {where} ({said}); {self.left}",
                host=host,
                next="see whether munged runs there with the cluster's key, then run the same again.",
            )
        raise SlurmError(f"{program} on {where} failed with {answer.rc}: {said or 'no words'}; {self.left}", host=host)

    def _unknown(self) -> UnknownNode:
        return UnknownNode(
            f"Slurm on {self._commands.where} has no node {self.node_name}; {self.left}",
            host=self.node_name,
            next="give the node's NodeName of slurm.conf (gpu_drain_slurm_node); sinfo -N lists them.",
        )
