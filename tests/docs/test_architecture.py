"""docs/architecture.md: its table of tasks is what the node program takes."""

from __future__ import annotations

import re

from migprov.node import request

from . import pages

PAGE = "docs/architecture.md"
_TABLE = re.compile(r"^\| task \| params \| writes \|\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)


def test_tasks_and_their_params() -> None:
    table = _TABLE.search((pages.ROOT / PAGE).read_text())
    assert table
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    told = {task.strip("`"): set(re.findall(r"`(\w+)` \(|`(entries)`", params)) for task, params, _ in rows}
    taken = {task: set(params) - {"drain", "stop_on_error"} for task, params in request._PARAMS.items()}
    assert {task: {one or other for one, other in params} for task, params in told.items()} == taken
    assert {task.strip("`") for task, _, writes in rows if writes == "never"} == request.READING
