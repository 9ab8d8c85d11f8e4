"""Fitting wanted GPU instances to a card: which existing ones stay, where the new ones go."""

from __future__ import annotations

from itertools import combinations
from typing import FrozenSet, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .arrange import Item, arrangements, mask
from .compute import Compute, Reconciled, reconcile, wanted_computes
from .errors import LayoutImpossible
from .legality import conflict
from .profiles import Card, Profile, by_size, count_names
from .state import GpuInstance
from .wanted import WantedInstance


class Want(NamedTuple):
    """A wanted GPU instance with its profile on this card."""

    profile: Profile
    start: Optional[int]
    computes: Tuple[Compute, ...]


class Placed(NamedTuple):
    """A GPU instance of the wanted layout; ``kept`` is the existing one that serves, or None for a new one."""

    profile: Profile
    start: int
    inside: Reconciled
    kept: Optional[GpuInstance]


class Fit(NamedTuple):
    """The cheapest way to the wanted layout: ``placed`` in order of start, ``destroyed`` in order of start."""

    placed: Tuple[Placed, ...]
    destroyed: Tuple[GpuInstance, ...]


class Busy(NamedTuple):
    """GPU instance ids, and (GPU instance id, compute instance id) pairs, with processes."""

    instances: FrozenSet[int]
    computes: FrozenSet[Tuple[int, int]]


def fit(
    card: Card, existing: Sequence[GpuInstance], busy: Busy, wanted: Sequence[WantedInstance], gpu: Optional[int] = None
) -> Fit:
    """The plan's heart: among all legal placements the one that costs least.

    In order: fewest busy instances lost, fewest GPU instances destroyed, fewest compute instances destroyed, most
    room left for large profiles, placements as the driver would choose them (from the high end).

    Raises UnknownProfile, or LayoutImpossible with the reason and the largest part that fits.
    """
    wants = [_want(card, item, gpu) for item in wanted]
    reason = conflict(card, [want.profile for want in wants])
    best: Optional[Tuple[Tuple[object, ...], Fit]] = None
    for starts in () if reason else arrangements([_item(want) for want in wants]):
        candidate = _candidate(existing, busy, wants, starts)
        cost = _cost(card, busy, candidate)
        if best is None or cost < best[0]:
            best = (cost, candidate)
    if best is None:
        raise _impossible(card, wants, reason, gpu)
    return best[1]


def _want(card: Card, wanted: WantedInstance, gpu: Optional[int]) -> Want:
    profile = card.find(wanted.profile, gpu)
    if wanted.start is not None and wanted.start not in profile.starts:
        raise LayoutImpossible(
            "%s cannot start at memory slice %d; it can at %s"
            % (profile.name, wanted.start, ", ".join(str(start) for start in profile.starts)),
            gpu=gpu,
            next="choose one of these starts, or leave the start out",
        )
    return Want(profile, wanted.start, wanted_computes(wanted, profile, gpu))


def _item(want: Want) -> Item:
    starts = want.profile.starts if want.start is None else (want.start,)
    start = -1 if want.start is None else want.start
    computes = tuple((c.slices, -1 if c.start is None else c.start) for c in want.computes)
    return Item((want.profile.profile_id, start, computes), starts, want.profile.size)


def _candidate(existing: Sequence[GpuInstance], busy: Busy, wants: Sequence[Want], starts: Sequence[int]) -> Fit:
    here = {(gi.profile_id, gi.start): gi for gi in existing}
    placed: List[Placed] = []
    for want, start in zip(wants, starts):
        kept = here.pop((want.profile.profile_id, start), None)
        inside = reconcile(
            want.profile.slices,
            kept.compute_instances if kept else (),
            frozenset(ci for gi, ci in busy.computes if kept and gi == kept.gi_id),
            want.computes,
        )
        placed.append(Placed(want.profile, start, inside, kept))
    return Fit(
        tuple(sorted(placed, key=lambda item: item.start)), tuple(sorted(here.values(), key=lambda gi: gi.start))
    )


def _cost(card: Card, busy: Busy, candidate: Fit) -> Tuple[object, ...]:
    lost = sum(1 for gi in candidate.destroyed if gi.gi_id in busy.instances)
    lost += sum(placed.inside.busy_lost for placed in candidate.placed)
    inner = sum(len(placed.inside.destroy) for placed in candidate.placed)
    taken = mask([(placed.start, placed.profile.size) for placed in candidate.placed])
    room = tuple(-_free_starts(profile, taken) for profile in by_size(card.profiles))
    starts = tuple(-placed.start for placed in candidate.placed)
    return (lost, len(candidate.destroyed), inner, room, starts)


def _free_starts(profile: Profile, taken: int) -> int:
    return sum(1 for start in profile.starts if not mask([(start, profile.size)]) & taken)


def beside(card: Card, kept: Sequence[GpuInstance], wanted: Sequence[WantedInstance]) -> Tuple[str, ...]:
    """The largest part of what is wanted, as profile names, that has a place beside instances that have to stay.

    An instance that stays and is itself among what is wanted serves as such.
    """
    wants = [_want(card, item, None) for item in wanted]
    fixed = []
    for gi in kept:
        profile = card.by_id(gi.profile_id)
        if profile is not None:
            fixed.append(Want(profile, gi.start, ()))
    spare = list(wants)
    for want in fixed:
        served = next((w for w in spare if w.profile == want.profile and w.start in (None, want.start)), None)
        if served is not None:
            spare.remove(served)
    part = next(_largest_parts(card, spare, fixed), ())
    return tuple(want.profile.name for want in part)


def _impossible(card: Card, wants: Sequence[Want], reason: Optional[str], gpu: Optional[int]) -> LayoutImpossible:
    names = count_names(want.profile.name for want in wants)
    why = reason or "no placement holds them all: their memory slices overlap (%d slices)" % card.memory_slices
    part = next(_largest_parts(card, wants), ())
    return LayoutImpossible(
        "%s cannot be placed together on one %s: %s; the largest part that fits is %s"
        % (names, card.product, why, count_names(want.profile.name for want in part)),
        gpu=gpu,
        next="ask for what fits, or move an instance to another GPU",
    )


def _largest_parts(card: Card, wants: Sequence[Want], fixed: Sequence[Want] = ()) -> Iterator[Tuple[Want, ...]]:
    """Parts of what is wanted that can exist together, and with what is fixed, the largest first."""
    capped = sorted(wants, key=lambda want: -want.profile.slices)[:12]
    parts = {part for size in range(len(capped) + 1) for part in combinations(capped, size)}
    for part in sorted(parts, key=lambda p: (-sum(w.profile.slices for w in p), -len(p), repr(p))):
        together = [*fixed, *part]
        legal = conflict(card, [want.profile for want in together]) is None
        if legal and next(arrangements([_item(want) for want in together]), None) is not None:
            yield part
