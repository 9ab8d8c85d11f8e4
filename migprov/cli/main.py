"""The group `migprov`, whose commands are imported only when they are called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from .. import __version__
from ..errors import BadRequest, MigprovError
from . import exits, streams

# Name -> module of this package, the command in it, and its line in the overview.
_COMMANDS = {
    "layouts": ("layouts", "what stands in a layout file, and on which GPUs it can be made; asks no node"),
    "info": ("info", "what the GPUs are, how they are cut, who holds them"),
    "apply": ("apply", "bring the GPUs to a layout, touching only what must change"),
    "rollout": ("rollout", "move a fleet to a layout, one batch after another"),
    "status": ("status", "the rolls of this machine: how far they are, and what to do next"),
    "rollback": ("rollback", "back to the layout before the last change"),
    "history": ("history", "the changes of a node: when, who, from, to, result"),
    "verify": ("verify", "check that every GPU is exactly as a layout says"),
    "export": ("export", "the present layout, as a layout file"),
    "plan": ("plan", "workloads on the fewest cards: a layout for each node, proven"),
    "audit": ("audit", "who is hollow: what each GPU is used for, and what would do"),
    "report": ("report", "before and after: memory, cards, money; as a page, text or JSON"),
    "advise": ("advise", "whole card, MIG, MPS or time-slicing: what suits each workload, and why"),
    "render": ("render", "configuration for Kubernetes, Slurm, MPS and dcgm-exporter"),
    "sim": ("sim", "simulated GPU nodes: try layouts without a GPU"),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is needed, so that `--help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f".{_COMMANDS[cmd_name][0]}", __package__)
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=(
        "Exit codes: 0 done or nothing to do; 1 the request is wrong, nothing was changed; "
        "2 a node failed or refused; 4 a node was unreachable (and no other failed)."
    ),
)
@click.version_option(__version__, prog_name="migprov")
def group() -> None:
    """Find hollow GPUs and move a fleet to the MIG layout that frees the most cards."""
    try:
        os.getcwd()
    except OSError as error:
        raise BadRequest(
            f"the current folder cannot be used: {error.strerror}", next="change into a folder that is there"
        ) from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; `arguments` are those of the process when None."""
    streams.prepare()
    code = run(arguments)
    if why := streams.lost():
        exits.tell(MigprovError(f"Standard output could not be written: {why}. The work itself was not cut short."))
        code = code or exits.FAILED
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code. Errors have become text on standard error by then."""
    try:
        returned: Any = group.main(args=arguments, prog_name="migprov", standalone_mode=False)
        return returned if isinstance(returned, int) else exits.DONE
    except click.ClickException as error:
        error.show()
        return exits.BAD_REQUEST
    except click.Abort:
        # A command that had nodes at work has told which by now.
        click.echo("Interrupted.", err=True)
        return exits.INTERRUPTED
    except MigprovError as error:
        exits.tell(error)
        return exits.of_error(error)
    except OSError as error:
        # This machine's own trouble, such as a full disk. What nodes answer never comes this way.
        exits.tell(MigprovError(str(error)))
        return exits.FAILED
