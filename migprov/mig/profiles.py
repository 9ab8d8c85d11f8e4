"""The profiles of one GPU: what it can be cut into, read from NVML or from the product table."""

from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from . import names
from .errors import UnknownProfile


class Profile(NamedTuple):
    """A GPU instance profile.

    ``profile_id`` is the number other NVML calls take; ``memory_mib`` is MiB or None when not known; ``starts`` and
    ``size`` are memory slices; ``slices`` are compute slices. ``aliases`` are names that other drivers print.
    """

    name: str
    profile_id: int
    slices: int
    memory_mib: Optional[int]
    sm_count: Optional[int]
    max_instances: int
    starts: Tuple[int, ...]
    size: int
    aliases: Tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """``+me``, ``+gfx``, ``-me``, ``+me.all`` or empty."""
        return names.parse(self.name).suffix


class Card(NamedTuple):
    """All profiles of one GPU. ``source`` is ``nvml`` or ``table``."""

    product: str
    profiles: Tuple[Profile, ...]
    source: str

    @property
    def memory_slices(self) -> int:
        """The number of memory slices, from the furthest end of any placement."""
        return max((start + p.size for p in self.profiles for start in p.starts), default=0)

    @property
    def compute_slices(self) -> int:
        """The number of compute slices, from the largest profile."""
        return max((profile.slices for profile in self.profiles), default=0)

    def by_id(self, profile_id: int) -> Optional[Profile]:
        return next((profile for profile in self.profiles if profile.profile_id == profile_id), None)

    def find(self, name: str, gpu: Optional[int] = None) -> Profile:
        """The profile of that name, or of that alias; raises UnknownProfile with the names this GPU has."""
        wanted = names.parse(name).gpu_instance
        for profile in self.profiles:
            if profile.name == wanted:
                return profile
        for profile in self.profiles:
            if wanted in profile.aliases:
                return profile
        raise UnknownProfile(
            "%s has no profile %s; it has %s"
            % (self.product, wanted, ", ".join(profile.name for profile in self.profiles) or "none"),
            gpu=gpu,
            next="use one of its own profiles, or keep this GPU out of the layout with devices or device-filter",
        )


def by_size(profiles: Iterable[Profile]) -> List[Profile]:
    """Largest first: compute slices, then memory slices, then name."""
    return sorted(profiles, key=lambda profile: (-profile.slices, -profile.size, profile.name))


def count_names(items: Iterable[str]) -> str:
    """``3g.40gb x 2, 1g.10gb`` for a message; ``no instances`` when there are none."""
    counts: Dict[str, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return ", ".join("%s x %d" % (k, n) if n > 1 else k for k, n in counts.items()) or "no instances"
