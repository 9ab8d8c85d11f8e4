"""`migprov rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..mig.drain import REFUSE
from ..result import Result
from . import output
from .draining import drain_options, draining
from .rolling import NEWEST, refuse_fixed, rolling_options
from .where import chosen, where_options
from .work import work

if TYPE_CHECKING:
    from ..fleet.roll import Roll

_ROLLING = ("steps", "resume", "pause_after", "max_unavailable", "floor", "soak", "extra")


@click.command("rollback", short_help="back to the layout before the last change")
@where_options
@drain_options
@rolling_options
@click.option("--check", is_flag=True, help="Print the steps that would be done; write nothing.")
@click.option("--diff", is_flag=True, help="Print the layout before and after.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a node, one a line.")
def command(check: bool, diff: bool, as_json: bool, **options: Any) -> None:
    """Bring the nodes back to the MIG mode and the placements before the last change of each.

    With -i they go back as a roll does: every node is looked at first, then one batch after another, the node that
    was changed last first. A rollback is a change too: a second one goes forward again. `migprov history` lists the
    changes.
    """
    rolling = {name: options.pop(name) for name in _ROLLING}
    how = draining(options)

    def show(results: list[Result]) -> None:
        from . import text  # rich is for people only

        output.show(text.changes(results, diff=diff, check=check))

    if not options["local"] and not check:
        roll = _roll(rolling, options, how.drain, how.timeout, how.stop_on_error)
        raise click.exceptions.Exit(_rolled(roll, show, as_json=as_json))
    if any(rolling.values()):
        raise click.UsageError("Options of a roll go with -i INVENTORY, and not with --check.")
    code = work(
        chosen(**options),
        lambda node: node.rollback(check=check, **how.keywords),
        show,
        as_json=as_json,
        writes=not check,
    )
    raise click.exceptions.Exit(code)


def _roll(
    rolling: dict[str, Any], where: dict[str, Any], drain: str, timeout: float | None, stop_on_error: bool
) -> Roll:
    from ..fleet.roll import Request, resume, rollout
    from ..fleet.roll.request import ROLLBACK

    id = rolling.pop("resume")
    own: dict[str, Any] = {
        "inventory": tuple(where["inventory"]),
        "limit": where["limit"],
        "forks": where["forks"],
        "node_timeout": where["call_timeout"] or where["node_timeout"],
        "drain": None if drain == REFUSE else drain,
        "timeout": timeout,
        "stop_on_error": stop_on_error,
        **rolling,
    }
    if id is not None:
        refuse_fixed(own, "inventory", "limit", "extra", "pause_after")
        return resume(
            None if id == NEWEST else id,
            kind=ROLLBACK,
            extra=own["extra"],
            pause_after=own["pause_after"],
            like=Request(inventory=own["inventory"], limit=own["limit"]),
            way="cli",
        )
    chosen(**where)  # says what is wrong with them
    return rollout(Request(kind=ROLLBACK, **{key: value for key, value in own.items() if value is not None}), way="cli")


def _rolled(roll: Roll, show: Any, *, as_json: bool) -> int:
    from . import live

    outcome = live.Outcome(roll)
    code = live.follow(roll, as_json=False, diff=False, notes=[], quiet=as_json, also=outcome.take)
    results = outcome.results()
    if as_json:
        output.print_json(results)
    else:
        show(results)
    return code
