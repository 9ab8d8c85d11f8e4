"""What is said of many hosts in the same words, said once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import BadRequest, InventoryError, LayoutFileError

SHOWN_HOSTS = 3
SHOWN_PROBLEMS = 10


def hosts(names: Sequence[str], shown: int = SHOWN_HOSTS) -> str:
    """Names as a list, the first ones of many: `gpu1, gpu2, gpu3 and 997 more`."""
    if len(names) <= shown + 1:
        return ", ".join(names)
    return f"{', '.join(names[:shown])} and {len(names) - shown:,} more"


def said_alike(said: Iterable[tuple[str, str]]) -> list[str]:
    """(host, text) pairs as `hosts: text` lines, one for each text, in the order in which they were first said."""
    by_text: dict[str, list[str]] = {}
    for host, text in said:
        by_text.setdefault(text, []).append(host)
    return [f"{hosts(names)}: {text}" for text, names in by_text.items()]


def one_error(problems: Sequence[tuple[str, BadRequest]]) -> BadRequest:
    """The problems of several hosts as one error; a single one stays what it is."""
    if len(problems) == 1:
        return problems[0][1]
    lines = said_alike((host, _bare(host, error)) for host, error in problems)
    more = [f"and {len(lines) - SHOWN_PROBLEMS:,} more problems"] if len(lines) > SHOWN_PROBLEMS else []
    kind = LayoutFileError if all(isinstance(error, LayoutFileError) for _, error in problems) else InventoryError
    count = len({host for host, _ in problems})
    text = "\n  ".join((f"{count:,} hosts cannot be used; nothing was contacted:", *lines[:SHOWN_PROBLEMS], *more))
    return kind(text, next="correct them, or leave them out with --limit")


def _bare(host: str, error: BadRequest) -> str:
    text = str(error).removeprefix(f"{host}: ")
    return text.replace("; nothing was contacted.", ".").replace("; nothing was contacted", "")
