"""Compute instances inside one GPU instance: which to keep, destroy and create."""

from __future__ import annotations

from collections import Counter
from typing import FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from . import names
from .arrange import Item, arrangements, mask
from .errors import LayoutImpossible
from .profiles import Profile
from .state import ComputeInstance
from .wanted import WantedInstance

# Compute slices that compute instances can have, by those of their GPU instance: what every product of the table has.
# A GPU instance of another size (none is known) is left to the driver.
_SIZES = {1: (1,), 2: (1, 2), 3: (1, 2, 3), 4: (1, 2, 4), 7: (1, 2, 3, 4, 7)}


class Compute(NamedTuple):
    """A compute instance to be: compute slices and first slice, or None where the driver may choose."""

    slices: int
    start: Optional[int]


class Reconciled(NamedTuple):
    """What changes inside a GPU instance."""

    destroy: Tuple[ComputeInstance, ...]
    create: Tuple[Compute, ...]
    busy_lost: int


def wanted_computes(wanted: WantedInstance, profile: Profile, gpu: Optional[int] = None) -> Tuple[Compute, ...]:
    """The compute instances wanted in a GPU instance; raises LayoutImpossible when they do not fit into it."""
    if wanted.compute_instances is None:
        return (Compute(profile.slices, None),)
    computes = []
    for item in wanted.compute_instances:
        slices = names.parse(item.profile).compute_slices or profile.slices
        sizes = _SIZES.get(profile.slices, (slices,))
        if slices not in sizes:
            raise LayoutImpossible(
                "a %s has no compute instances of %d slices, only of %s"
                % (profile.name, slices, ", ".join(str(size) for size in sizes)),
                gpu=gpu,
                next="choose one of these sizes",
            )
        computes.append(Compute(slices, item.start))
    if next(_placements(profile.slices, computes), None) is None:
        raise LayoutImpossible(
            "compute instances of %s slices do not fit into a %s, which has %d"
            % (" + ".join(str(compute.slices) for compute in computes), profile.name, profile.slices),
            gpu=gpu,
            next="ask for fewer or smaller compute instances",
        )
    return tuple(computes)


def reconcile(
    slices: int, existing: Sequence[ComputeInstance], busy: FrozenSet[int], wanted: Sequence[Compute]
) -> Reconciled:
    """Keep every compute instance that can stay, busy ones first; place the others in what is free.

    ``slices``: compute slices of the GPU instance; ``busy``: ids of compute instances with processes.
    """
    pinned = any(compute.start is not None for compute in wanted)
    if not pinned and Counter(c.slices for c in wanted) == Counter(ci.size for ci in existing):
        return Reconciled((), (), 0)
    if not existing:
        order = sorted(wanted, key=lambda compute: -compute.slices)
        if pinned or not _first_fit(slices, order):
            starts = next(_placements(slices, order))
            order = [Compute(compute.slices, start) for compute, start in zip(order, starts)]
        return Reconciled((), tuple(order), 0)
    costs = []
    for starts in _placements(slices, wanted):
        spans = [(start, compute.slices) for start, compute in zip(starts, wanted)]
        gone = tuple(ci for ci in existing if (ci.start, ci.size) not in spans)
        kept = [(ci.start, ci.size) for ci in existing if ci not in gone]
        new = tuple(Compute(size, start) for start, size in spans if (start, size) not in kept)
        lost = sum(1 for ci in gone if ci.ci_id in busy)
        costs.append((lost, len(gone), starts, Reconciled(gone, new, lost)))
    return min(costs, key=lambda cost: cost[:3])[3]  # wanted_computes has shown that there is one


def _placements(slices: int, wanted: Sequence[Compute]) -> Iterator[Tuple[int, ...]]:
    items: List[Item] = []
    for compute in wanted:
        starts = _starts(slices, compute.slices) if compute.start is None else (compute.start,)
        fitting = tuple(start for start in starts if start + compute.slices <= slices)
        kind = (compute.slices, -1 if compute.start is None else compute.start)
        items.append(Item(kind, fitting, compute.slices))
    return arrangements(items)


def _starts(slices: int, size: int) -> Tuple[int, ...]:
    """Where a compute instance can start: multiples of its size rounded up to a power of two.

    Derived: it yields every recorded instance count, such as two 3c in a 7g and one 2c in a 3g.
    """
    step = 1 << (size - 1).bit_length()
    return tuple(range(0, slices - size + 1, step))


def _first_fit(slices: int, order: Sequence[Compute]) -> bool:
    """Whether a driver that takes the first free place for each, in this order, finds room for all."""
    taken = 0
    for compute in order:
        spans = (mask([(start, compute.slices)]) for start in _starts(slices, compute.slices))
        span = next((span for span in spans if not span & taken), None)
        if span is None:
            return False
        taken |= span
    return True
