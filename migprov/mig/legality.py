"""Which sets of profiles can exist together on one GPU, apart from where they are placed."""

from __future__ import annotations

from typing import Optional, Sequence

from .profiles import Card, Profile, count_names


def conflict(card: Card, wanted: Sequence[Profile]) -> Optional[str]:
    """Why these profiles cannot exist together, or None.

    The rules, from NVIDIA's MIG guide and nvml.h: no profile above its instance count; one instance at most with
    the media extensions (there is one set of them); an instance that takes every media engine leaves room only for
    those without (``-me``); compute slices do not over-commit.
    """
    for profile in dict.fromkeys(wanted):
        count = sum(1 for other in wanted if other == profile)
        if count > profile.max_instances:
            return "at most %d of %s fit on a GPU, %d are wanted" % (profile.max_instances, profile.name, count)
    media = [profile.name for profile in wanted if profile.suffix.startswith("+me")]
    if len(media) > 1:
        return "only one instance can have the media extensions, wanted are %s" % count_names(media)
    if any(profile.suffix == "+me.all" for profile in wanted):
        others = [p.name for p in wanted if p.suffix not in ("+me.all", "-me")]
        if others:
            return "%s takes every media engine, so %s would need the -me form" % (media[0], count_names(others))
    compute = sum(profile.slices for profile in wanted)
    if compute > card.compute_slices:
        return "%d compute slices are wanted, the GPU has %d" % (compute, card.compute_slices)
    return None
