"""Standard output: one JSON object a line, or text for people through rich."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..result import Result

if TYPE_CHECKING:
    from rich.console import RenderableType

# Where there is no terminal, lines are as long as they need: they are searched and cut by programs.
_WIDE = 200


def print_json(results: Iterable[Result]) -> None:
    """One line a node, nothing else."""
    print_objects(_object(result) for result in results)


def print_objects(objects: Iterable[Mapping[str, Any]]) -> None:
    """One line an object, nothing else."""
    # JSON is UTF-8 or, where standard output is not, ASCII.
    plain = (sys.stdout.encoding or "utf-8").lower().replace("-", "") != "utf8"
    write("".join(json.dumps(each, ensure_ascii=plain) + "\n" for each in objects))


def _object(result: Result) -> dict[str, Any]:
    """The keys of the contract. `changes` stands beside them in a history, `gpus` (how each fared) inside an error."""
    told = result.to_json()
    if result.error is not None and result.data.get("gpus"):
        told["error"] = {**result.error, "gpus": result.data["gpus"]}
    if result.task == "history" and not result.failed:
        told["changes"] = result.data.get("changes") or []
    return told


def write(text: str) -> None:
    """Write to standard output at once, with `?` for what its encoding does not have."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def show(parts: Iterable[RenderableType]) -> None:
    """Print for people: colours and the terminal's width on a terminal (and no NO_COLOR), else plain text."""
    write(rendered(parts))


def rendered(parts: Iterable[RenderableType]) -> str:
    """What `show` prints."""
    from rich.console import Console
    from rich.text import Text

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE
    console = Console(highlight=False, emoji=False, markup=False, width=width)
    with console.capture() as captured:
        for part in parts:
            # Sentences are left to the terminal to wrap, so that what is copied from it is whole.
            console.print(part, soft_wrap=isinstance(part, str | Text))
    return str(captured.get())
