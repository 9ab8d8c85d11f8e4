"""Slurm's lists of names: `gn[0-2,07],login` and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .errors import CannotEdit

_MOST = 100_000
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def expand(text: str) -> list[str]:
    """The names, in order. Raises CannotEdit where brackets make no sense."""
    return [name for part in _split(text) for name in _expand_one(part)]


def compress(names: Iterable[str]) -> str:
    """A list that expands to these names, in this order, runs of numbers in brackets."""
    groups: list[tuple[tuple[str, str], list[str]]] = []
    for name in names:
        found = re.fullmatch(r"(.*?)(\d+)(\D*)", name)
        if found is None:
            groups.append(((name, ""), []))
        elif groups and groups[-1][1] and groups[-1][0] == (found[1], found[3]) and _together(groups[-1][1], found[2]):
            groups[-1][1].append(found[2])
        else:
            groups.append(((found[1], found[3]), [found[2]]))
    return ",".join(f"{prefix}{_numbered(digits)}{suffix}" for (prefix, suffix), digits in groups)


def _together(group: Sequence[str], one_more: str) -> bool:
    """Whether one pair of brackets can hold them: padded to one width, or none of them padded."""
    digits = [*group, one_more]
    return len({len(one) for one in digits}) == 1 or all(one == str(int(one)) for one in digits)


def _numbered(digits: Sequence[str]) -> str:
    if len(digits) < 2:
        return "".join(digits)
    runs: list[list[str]] = []
    for one in digits:
        if runs and int(one) == int(runs[-1][1]) + 1:
            runs[-1][1] = one
        else:
            runs.append([one, one])
    return f"[{','.join(first if first == last else f'{first}-{last}' for first, last in runs)}]"


def _split(text: str) -> list[str]:
    """At the commas outside brackets."""
    parts = re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", text)
    if ",".join(parts) != text.strip(","):
        raise CannotEdit(f"{text!r} is no list of names as Slurm writes them")
    return parts


def _expand_one(part: str) -> list[str]:
    names = [""]
    for piece in re.findall(r"\[[^\]]*\]|[^\[]+", part):
        choices = _numbers(piece[1:-1], part) if piece.startswith("[") else [piece]
        if len(names) * len(choices) > _MOST:
            raise CannotEdit(f"{part!r} stands for more than {_MOST} names")
        names = [name + choice for name in names for choice in choices]
    return names


def _numbers(text: str, part: str) -> list[str]:
    numbers: list[str] = []
    for one in text.split(","):
        found = _RANGE.fullmatch(one)
        if not found:
            raise CannotEdit(f"{part!r} is no list of names as Slurm writes them")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first or last - first >= _MOST:
            raise CannotEdit(f"{part!r} is no list of names as Slurm writes them")
        numbers += [f"{number:0{len(found[1])}d}" for number in range(first, last + 1)]
    return numbers
