"""Profile names: ``[<c>c.]<g>g.<n>gb[(+|-)attribute[,attribute]]``, such as ``3g.40gb`` or ``1c.2g.20gb+me``."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

_GRAMMAR = r"(?:([1-9])c\.)?([1-9])g\.([1-9][0-9]{0,3})gb([+-][a-z]+(?:\.[a-z]+)?(?:,[+-]?[a-z.]+)*)?"


class BadProfileName(ValueError):
    """The text is not a profile name; the message says what one looks like."""


class ProfileName(NamedTuple):
    """A profile name taken apart.

    ``compute_slices`` is the ``<c>c`` of a compute instance, or None for a name that has none. ``gb`` is the
    number in the name, which is rounded by the driver and is not a size in MiB. ``suffix`` is ``+me``,
    ``+me.all``, ``+gfx``, ``-me`` or empty.
    """

    compute_slices: Optional[int]
    slices: int
    gb: int
    suffix: str

    @property
    def gpu_instance(self) -> str:
        """The name of the GPU instance's profile, without the ``<c>c.`` part."""
        return "%dg.%dgb%s" % (self.slices, self.gb, self.suffix)

    @property
    def spans_gpu_instance(self) -> bool:
        """True for the compute instance that takes all compute slices of its GPU instance."""
        return self.compute_slices in (None, self.slices)

    @property
    def canonical(self) -> str:
        """The name as the driver writes it: ``<c>c.`` left out when it equals ``<g>``."""
        return compute_instance_name(self.compute_slices or self.slices, self.slices, self.gpu_instance)


def parse(text: str) -> ProfileName:
    """Take a profile name apart; the driver's ``MIG `` prefix and ``.me`` for ``+me`` are understood.

    Raises BadProfileName. A bare number is refused with the reason: profile ids differ from product to product.
    """
    name = text.strip().lower()
    if name.startswith("mig "):
        name = name[4:]
    if re.fullmatch(r"[0-9]+", name):
        raise BadProfileName(
            "%s is a profile id, not a name: ids mean different profiles on different products "
            "(on an A100-80GB 19 is 1g.10gb and 3g.40gb is 9; on an A30 14 is 1g.6gb); write the name" % name
        )
    name = re.sub(r"gb\.me", "gb+me", name)
    match = re.fullmatch(_GRAMMAR, name)
    if match is None:
        raise BadProfileName(
            "%r is not a MIG profile name; one looks like 3g.40gb, 1g.10gb+me or 1c.3g.40gb" % text[:80]
        )
    compute, slices, gb, suffix = match.groups()
    if compute is not None and int(compute) > int(slices):
        raise BadProfileName("%r asks for %s compute slices of a GPU instance that has %s" % (text, compute, slices))
    return ProfileName(int(compute) if compute else None, int(slices), int(gb), suffix or "")


def compute_instance_name(compute_slices: int, gpu_instance_slices: int, gpu_instance: str) -> str:
    """Name a compute instance of ``compute_slices`` inside a GPU instance of profile ``gpu_instance``."""
    if compute_slices == gpu_instance_slices:
        return gpu_instance
    return "%dc.%s" % (compute_slices, gpu_instance)
