"""Placing intervals: the one exact search behind GPU instances on a card and compute instances in an instance."""

from __future__ import annotations

from typing import Hashable, Iterator, List, NamedTuple, Sequence, Tuple


class Item(NamedTuple):
    """Something to place: items of one ``kind`` are interchangeable; ``starts`` are the allowed first slices."""

    kind: Hashable
    starts: Tuple[int, ...]
    size: int


def arrangements(items: Sequence[Item]) -> Iterator[Tuple[int, ...]]:
    """Every way to place all items without overlap: one start an item, in the order given.

    Interchangeable items are placed in ascending order, so no arrangement comes twice. At most 12 slices, so the
    search is small; fewest choices first.
    """
    order = sorted(range(len(items)), key=lambda i: (len(items[i].starts), -items[i].size, repr(items[i].kind)))
    chosen = [0] * len(items)
    return _place(items, order, 0, 0, chosen)


def _place(
    items: Sequence[Item], order: List[int], depth: int, taken: int, chosen: List[int]
) -> Iterator[Tuple[int, ...]]:
    if depth == len(order):
        yield tuple(chosen)
        return
    item = items[order[depth]]
    least = -1
    if depth and items[order[depth - 1]].kind == item.kind:
        least = chosen[order[depth - 1]]
    for start in item.starts:
        span = ((1 << item.size) - 1) << start
        if start > least and not span & taken:
            chosen[order[depth]] = start
            yield from _place(items, order, depth + 1, taken | span, chosen)


def mask(spans: Sequence[Tuple[int, int]]) -> int:
    """The slices that (start, size) spans cover, as a bit mask."""
    taken = 0
    for start, size in spans:
        taken |= ((1 << size) - 1) << start
    return taken
