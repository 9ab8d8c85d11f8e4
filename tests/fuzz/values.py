"""Values near a valid one: what a mistake, a faulty program or an attacker makes of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = (
    "",
    " ",
    "all",
    "\x00",
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "[red]markup[/red]",
    "[/]",
    "[link=https://example.org]x[/link]",
    ":skull:",
    "\u202eright to left",
    "\ud800",
    "\U0001f3f4\u200d\u2620\ufe0f",
    "a\nb\rc\td",
    "%s%n{0}",
    "../../etc/passwd",
    "$(reboot)",
    "-1",
    "1e999",
    "0x20B210DE",
    "GPU-00000000-0000-0000-0000-000000000000",
    "00000000:07:00.0",
    "x" * 70_000,
)
ODD_NUMBERS = (0, 1, -1, 7, 63, 64, 2**31, 2**63, -(2**64), 10**400, 0.5, -0.0, 1e308, 5e-324)
NOT_NUMBERS = (float("nan"), float("inf"), float("-inf"))


def deep(levels: int, of: Any = None) -> Any:
    """A list in a list in a list."""
    value = of
    for _ in range(levels):
        value = [value]
    return value


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(NOT_NUMBERS),
    st.text(max_size=12),
    st.sampled_from(ODD_TEXTS),
)
ANYTHING = st.one_of(
    SCALARS,
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
        max_leaves=6,
    ),
    st.integers(1, 900).map(deep),
    st.integers(100, 3000).map(lambda count: ["all"] * count),
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a value: the list or mapping, and the index or key in it."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


@st.composite
def near(draw: st.DrawFn, valid: st.SearchStrategy[Any], words: tuple[str, ...] = ()) -> Any:
    """A valid value with up to three changes: a part replaced, left out, doubled, renamed, added, or moved."""
    value = copy.deepcopy(draw(valid))
    for _ in range(draw(st.integers(0, 3))):
        found = list(places(value))
        if not found:
            return draw(ANYTHING)
        holder, key = draw(st.sampled_from(found))
        how = draw(st.sampled_from(("replace", "replace", "remove", "double", "rename", "move")))
        if how == "replace":
            holder[key] = draw(ANYTHING)
        elif how == "remove":
            del holder[key]
        elif how == "double":
            holder[key] = [copy.deepcopy(holder[key]), holder[key]]
        elif how == "move":
            other, place = draw(st.sampled_from(found))
            holder[key] = copy.deepcopy(other[place])
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from((*words, *ODD_TEXTS)))] = holder.pop(key)
    return value
