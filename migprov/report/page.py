"""The report as one self-contained HTML page: no script, nothing fetched, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from functools import cache
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined

from .. import __version__
from ..fleet.grouped import hosts
from . import drawing, numbers, rules
from .figures import figures, headline, rows
from .groups import Group, grouped
from .model import Report

_OPEN_GROUPS = 40
"""So many kinds of cards are drawn; the others are folded away, drawn too."""
_OPEN_STEPS = 20
_ONE_COLUMN = 4


def page(report: Report, *, made: datetime | None = None) -> str:
    """The page's text. `made`: when it was made, by default now."""
    css = _file("report.css")
    groups = grouped(report.account.pairs)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            account=report.account,
            headline=headline(report),
            figures=figures(report),
            totals=rows(report),
            shown=groups[:_OPEN_GROUPS],
            folded=groups[_OPEN_GROUPS:],
            folded_cards=sum(len(group.names) for group in groups[_OPEN_GROUPS:]),
            many=len(groups) > _ONE_COLUMN,
            open_steps=len(report.steps) <= _OPEN_STEPS,
            notes=[*report.notes, *report.account.notes],
            css=css,
            css_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
            made=f"{made or datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            version=__version__,
        )
    )


def members(group: Group) -> str:
    """The names of a group's cards."""
    return ", ".join(group.names)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        boxes=drawing.boxes,
        card_height=drawing.HEIGHT,
        holders=drawing.names,
        called=drawing.called,
        members=members,
        some=hosts,
        sms=rules.sms,
        rate=rules.rate,
        slices=rules.slices,
        seat=rules.seat,
        gib=numbers.gib,
        percent=numbers.percent,
        period=numbers.period,
        count=numbers.count,
        when=numbers.when,
    )
    return environment


def _file(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text("utf-8")
