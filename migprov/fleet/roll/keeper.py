"""A process that runs one playbook through ansible-runner and outlives whoever asked for it.

ansible-playbook must be able to finish a node's turn whatever happens to the command that started it: a closed
terminal, Ctrl-C, SIGKILL. ansible-runner reads it through a pseudo-terminal that dies with the reader, so the reader
is this process, in a session of its own. Standard input: one line of JSON, the job, then a line once the caller has
written down which process this is; a caller that dies before that has begun nothing. Standard output: one JSON object
a line, as `playbook.py` reads them; when nobody reads any more, the work goes on.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FORKS = 32
_STATUS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
    "runner_on_skipped": "skipped",
}
_SAID = ("verbose", "error", "warning", "system_warning")
# What the tasks of migprov.gpu return that the roll is interested in.
_REPLY = ("changed", "before", "after", "steps", "planned", "interrupted", "error", "changes", "gpus")


def main() -> None:
    """Read the job, wait for leave, run it, tell."""
    job = json.loads(sys.stdin.readline() or "null")
    if job is None or not sys.stdin.readline():
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Not SIG_IGN, which ansible-playbook and all below it would inherit.
        signal.signal(number, lambda _number, _frame: None)
    private = Path(job["private"])
    try:
        code, problem = _run(job, private)
    except Exception as error:  # told to the caller, who alone can tell it to somebody
        code, problem = 1, f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(private, ignore_errors=True)
    _tell({"event": "end", "rc": code, "problem": problem})


def _run(job: Mapping[str, Any], private: Path) -> tuple[int, str | None]:
    os.umask(0o077)
    shutil.rmtree(private, ignore_errors=True)
    private.mkdir(mode=0o700, parents=True)
    options, secrets = _options(job, private)
    (private / "env").mkdir()
    # ansible-runner forgets settings that it is given otherwise where it must not write this file itself.
    (private / "env" / "settings").write_text(json.dumps({"pexpect_timeout": 1, "suppress_output_file": True}))

    def event(data: Mapping[str, Any]) -> bool:
        if data.get("event") == "playbook_on_play_start":
            for path in secrets:  # they were read by now
                path.unlink(missing_ok=True)
        told = reduced(data)
        if told is not None:
            _tell(told)
        return False  # keep no file of it

    def status(data: Mapping[str, Any], **_: Any) -> None:
        if data.get("status") == "running":
            # It holds the whole environment.
            (private / "artifacts" / "roll" / "command").unlink(missing_ok=True)

    import ansible_runner  # type: ignore[import-untyped]

    done = ansible_runner.run(
        private_data_dir=str(private),
        ident="roll",
        project_dir=job["cwd"],
        playbook=_playbook(job, private),
        inventory=job["inventory"],
        cmdline=shlex.join(options),
        envvars=environment(),
        fact_cache_type="",
        suppress_env_files=True,
        event_handler=event,
        status_handler=status,
        cancel_callback=lambda: False,
        quiet=True,
    )
    return int(done.rc), None


def _playbook(job: Mapping[str, Any], private: Path) -> str:
    if isinstance(job["playbook"], str):
        return str(job["playbook"])
    path = private / "playbook.json"
    path.write_text(json.dumps(job["playbook"]))
    return str(path)


def _options(job: Mapping[str, Any], private: Path) -> tuple[list[str], list[Path]]:
    """The options of ansible-playbook, and the files with extra variables that are to go once they were read."""
    options: list[str] = []
    secrets: list[Path] = []
    if job.get("hosts") is not None:
        path = private / "hosts"
        path.write_text("".join(f"{name}\n" for name in job["hosts"]))
        options += ["--limit", f"@{path}"]
    for number, extra in enumerate(job.get("extra") or ()):
        if isinstance(extra, str):
            options += ["-e", extra]
            continue
        # Everybody may read a command line.
        path = private / f"extra-{number}.json"
        path.write_text(json.dumps(extra))
        secrets.append(path)
        options += ["-e", f"@{path}"]
    for name in ("tags", "skip_tags"):
        if job.get(name):
            options += [f"--{name.replace('_', '-')}", str(job[name])]
    options += [flag for flag, wanted in (("--check", job.get("check")), ("--diff", job.get("diff"))) if wanted]
    options += ["--forks", str(job.get("forks") or _forks())]
    return options, secrets


def _forks() -> int:
    """What the user's configuration says, or more than Ansible's own 5."""
    from ansible import constants

    value, origin = constants.config.get_config_value_and_origin("DEFAULT_FORKS")
    return FORKS if origin == "default" else int(value)


def environment() -> dict[str, str]:
    """What ansible-playbook is told beside the caller's environment."""
    from ansible import constants

    beside = str(Path(sys.executable).parent)
    return {
        "PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        # ansible-runner would turn it off.
        "ANSIBLE_HOST_KEY_CHECKING": str(constants.HOST_KEY_CHECKING),
        # A node with many processes says a lot.
        "MAX_EVENT_RES": str(64 * 1024 * 1024),
    }


def reduced(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is told of an event of ansible-runner; None: nothing. Values that nobody needs stay here."""
    event = str(data.get("event"))
    of = data.get("event_data") or {}
    if event == "playbook_on_play_start":
        return {"event": "play", "name": of.get("name")}
    if event == "runner_on_start":
        return {"event": "task", "host": of.get("host"), "task": of.get("task")}
    if event in _STATUS:
        return {
            "event": "result",
            "status": _STATUS[event],
            "host": of.get("host"),
            "task": of.get("task"),
            "action": of.get("resolved_action") or of.get("task_action"),
            "play": of.get("play"),
            "ignored": bool(of.get("ignore_errors")),
            "res": _result(of, _STATUS[event]),
        }
    if event == "playbook_on_stats":
        return {"event": "stats", **{name: of.get(name) or {} for name in ("failures", "dark", "processed", "changed")}}
    if event in _SAID and data.get("stdout"):
        return {"event": "said", "text": str(data["stdout"])}
    return None


def _result(of: Mapping[str, Any], status: str) -> dict[str, Any]:
    res = of.get("res") or {}
    action = str(of.get("resolved_action") or of.get("task_action"))
    kept = {name: res[name] for name in _REPLY if name in res} if action.startswith("migprov.gpu.") else {}
    if "changes" in kept:
        kept["changes"] = _last_change(kept["changes"])
    facts = res.get("ansible_facts") or {}
    if isinstance(facts, dict) and "gpu_drain_node" in facts:
        kept["gpu_drain_node"] = facts["gpu_drain_node"]
    if status in ("failed", "unreachable"):
        kept["msg"] = str(res.get("msg") or res.get("censored") or res.get("stderr") or "no message")
    return kept


def _last_change(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The change of a node's journal that a rollback would go back before. Journals are long; this is what counts."""
    made = [one for one in changes if one.get("changed", True) and one.get("before") and one.get("task") != "boot"]
    return [{name: one.get(name) for name in ("when", "who", "task", "result")} for one in made[-1:]]


def _tell(what: Mapping[str, Any]) -> None:
    try:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        # Nobody reads any more. What is still buffered must not be tried again at the end.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


if __name__ == "__main__":
    main()
