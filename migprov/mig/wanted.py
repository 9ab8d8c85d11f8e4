"""What is wanted: the entries of a layout, and what they mean for one GPU."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from . import names
from .errors import BadRequest

Selector = Union[int, str]
Selectors = Union[str, Tuple[Selector, ...]]
"""``"all"``, or indices, UUIDs and PCI bus ids."""


class WantedCompute(NamedTuple):
    """A compute instance: its profile name and its first compute slice in the GPU instance, or None for any."""

    profile: str
    start: Optional[int] = None

    def to_json(self) -> Dict[str, Any]:
        return {"profile": self.profile, "start": self.start}

    @classmethod
    def from_json(cls, data: Any, where: str) -> WantedCompute:
        fields = _mapping({"profile": data} if isinstance(data, str) else data, where, ("profile", "start"))
        return cls(_profile(fields.get("profile"), where), _start(fields.get("start"), where))


class WantedInstance(NamedTuple):
    """A GPU instance: profile, first memory slice or None for any, compute instances or None for one that spans it."""

    profile: str
    start: Optional[int] = None
    compute_instances: Optional[Tuple[WantedCompute, ...]] = None

    def to_json(self) -> Dict[str, Any]:
        inner = self.compute_instances
        return {
            "profile": self.profile,
            "start": self.start,
            "compute_instances": None if inner is None else [compute.to_json() for compute in inner],
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> WantedInstance:
        fields = _mapping(
            {"profile": data} if isinstance(data, str) else data, where, ("profile", "start", "compute_instances")
        )
        profile = _profile(fields.get("profile"), where)
        if names.parse(profile).compute_slices is not None:
            raise BadRequest("%s: %s names a compute instance; name the GPU instance's profile" % (where, profile))
        inner = fields.get("compute_instances")
        if inner is not None and not isinstance(inner, list):
            raise BadRequest("%s: compute_instances must be a list" % where)
        computes = None if inner is None else tuple(WantedCompute.from_json(item, where) for item in inner)
        for compute in computes or ():
            if names.parse(compute.profile).gpu_instance != profile:
                raise BadRequest("%s: compute instance %s does not belong to a %s" % (where, compute.profile, profile))
        return cls(profile, _start(fields.get("start"), where), computes)


class Entry(NamedTuple):
    """One element of a layout: which GPUs, and how they are to be cut.

    ``device_filter`` holds ``0xDDDDVVVV`` values (PCI device id, vendor id) or is None. ``source`` is
    ``file:line`` for messages.
    """

    devices: Selectors
    mig_enabled: bool
    instances: Tuple[WantedInstance, ...] = ()
    device_filter: Optional[Tuple[str, ...]] = None
    source: str = ""

    def to_json(self) -> Dict[str, Any]:
        return {
            "device_filter": None if self.device_filter is None else list(self.device_filter),
            "devices": self.devices if isinstance(self.devices, str) else list(self.devices),
            "mig_enabled": self.mig_enabled,
            "instances": [instance.to_json() for instance in self.instances],
            "source": self.source,
        }

    @classmethod
    def from_json(cls, data: Any, position: int = 0) -> Entry:
        """Read one entry; raises BadRequest saying what is wrong with it."""
        where = "entry %d" % position
        fields = _mapping(data, where, ("device_filter", "devices", "mig_enabled", "instances", "source"))
        enabled = fields.get("mig_enabled")
        if not isinstance(enabled, bool):
            raise BadRequest("%s: mig_enabled must be true or false" % where)
        instances = fields.get("instances", [])
        if not isinstance(instances, list):
            raise BadRequest("%s: instances must be a list" % where)
        if instances and not enabled:
            raise BadRequest("%s: instances are given though mig_enabled is false" % where)
        filters = fields.get("device_filter")
        if filters is not None and not (isinstance(filters, list) and all(isinstance(f, str) for f in filters)):
            raise BadRequest("%s: device_filter must be a list of texts such as 0x20B210DE" % where)
        return cls(
            devices=selectors(fields.get("devices", "all"), where),
            mig_enabled=enabled,
            instances=tuple(WantedInstance.from_json(item, where) for item in instances),
            device_filter=None if filters is None else tuple(filters),
            source=str(fields.get("source", ""))[:500],
        )


class WantedGpu(NamedTuple):
    """How one GPU is to be: MIG mode and, with MIG on, its GPU instances (None: left as they are)."""

    mig_enabled: bool
    instances: Optional[Tuple[WantedInstance, ...]] = ()
    source: str = ""


def selectors(data: Any, where: str) -> Selectors:
    """Read ``"all"`` or a list of indices, UUIDs and PCI bus ids; raises BadRequest."""
    if data == "all":
        return "all"
    if not isinstance(data, list) or not data:
        raise BadRequest('%s: devices must be "all" or a list of indices, UUIDs or PCI bus ids' % where)
    for item in data:
        if isinstance(item, bool) or not isinstance(item, (int, str)):
            raise BadRequest("%s: %r is no GPU index, UUID or PCI bus id" % (where, item))
    return tuple(data)


def instances_from_json(data: Any, where: str) -> Tuple[WantedInstance, ...]:
    """Read a list of wanted GPU instances; raises BadRequest."""
    if not isinstance(data, list):
        raise BadRequest("%s must be a list" % where)
    return tuple(WantedInstance.from_json(item, where) for item in data)


def entries_from_json(data: Any) -> List[Entry]:
    """Read the entries of a layout; raises BadRequest."""
    if not isinstance(data, list) or not data:
        raise BadRequest("entries must be a list with at least one entry")
    return [Entry.from_json(item, position) for position, item in enumerate(data)]


def _mapping(data: Any, where: str, allowed: Tuple[str, ...]) -> Dict[str, Any]:
    if not isinstance(data, dict):
        raise BadRequest("%s must be a mapping" % where)
    unknown = sorted(str(key) for key in data if key not in allowed)
    if unknown:
        raise BadRequest("%s: unknown key %s; known are %s" % (where, unknown[0][:80], ", ".join(allowed)))
    return data


def _profile(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadRequest("%s: a profile must be a name such as 3g.40gb, not %r" % (where, value))
    try:
        return names.parse(value).canonical
    except names.BadProfileName as error:
        raise BadRequest("%s: %s" % (where, error)) from None


def _start(value: Any, where: str) -> Optional[int]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 64:
        raise BadRequest("%s: start must be a slice number, not %r" % (where, value))
    return value
