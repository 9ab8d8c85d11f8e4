"""`migprov report`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from . import out_files, output
from .numbers import Number

if TYPE_CHECKING:
    from ..report.model import Report

_CURRENCY = 8


@click.command("report", short_help="before and after: memory, cards, money; as a page, text or JSON")
@click.option("--plan", metavar="PLAN.json", help="What 'migprov plan --json' printed.")
@click.option("--workloads", metavar="WORKLOADS.yml", help="The workloads that the plan was made of.")
@click.option("--before", metavar="FILE", help="What 'migprov info --json' or 'migprov audit --json' printed before.")
@click.option("--after", metavar="FILE", help="What the same command printed after.")
@click.option("--roll", metavar="ID", help="Tell also what this roll did; 'migprov status --all' has the ids.")
@click.option("--price", type=Number(min=0, max=1e12), metavar="MONEY", help="What a card costs an hour.")
@click.option("--currency", default="", metavar="TEXT", help="Put before amounts of money: '$', EUR.")
@click.option(
    "--hours",
    type=Number(min=0, min_open=True, max=1e9),
    default=720.0,
    show_default="720, a month of 30 days",
    metavar="H",
    help="Reckon the money for so many hours.",
)
@click.option("--title", default="", metavar="TEXT", help="A line above the page.")
@click.option("-o", "--out", metavar="REPORT.html", help="Write the page, one file that needs nothing else.")
@click.option("--force", is_flag=True, help="Overwrite the file of -o.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(roll: str | None, title: str, out: str | None, force: bool, as_json: bool, **options: Any) -> None:
    """Show what a plan, or a change that was made, brings: memory used and allocated, cards freed, money.

    Of a plan: --plan with --workloads. Of what was measured: --before and --after. Reads files only: no node is
    contacted.
    """
    _check(options)
    if out is not None:
        out_files.check([out], force=force)
    made = replace(_report(options), title=title)
    if roll is not None:
        from ..report import roll as rolls

        made = replace(made, roll=rolls.roll(roll))
    if as_json:
        from ..report.as_json import to_json

        output.write(json.dumps(to_json(made)) + "\n")
    if out is not None:
        from ..report.page import page

        out_files.write(out, page(made))
        click.echo(f"Written: {out}.", err=True)
    elif not as_json:
        from ..report import as_text  # rich is for people only

        output.show(as_text.shown(made))


def _check(options: dict[str, Any]) -> None:
    planned = options["plan"] is not None
    measured = [options[name] is not None for name in ("before", "after")]
    if planned == any(measured) or (any(measured) and not all(measured)):
        raise click.UsageError(
            "Say of what: --plan PLAN.json with --workloads WORKLOADS.yml, or --before FILE and --after FILE."
        )
    if planned and options["workloads"] is None:
        raise click.UsageError("--plan says who goes where; what they use says --workloads WORKLOADS.yml: give it too.")
    if not planned and options["workloads"] is not None:
        raise click.UsageError("--workloads goes with --plan.")
    currency = options["currency"]
    if len(currency) > _CURRENCY or not currency.isprintable():
        raise click.UsageError(f"--currency must be {_CURRENCY} printable characters at most.")


def _report(options: dict[str, Any]) -> Report:
    money = {name: options[name] for name in ("price", "hours", "currency")}
    if options["plan"] is None:
        from ..report import from_lines

        return from_lines.report(options["before"], options["after"], **money)
    from ..capacity import workloads_file
    from ..report import from_plan

    return from_plan.report(options["plan"], workloads_file.load(options["workloads"]).workloads, **money)
