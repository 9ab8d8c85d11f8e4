"""Read the state of a node's GPUs. Nothing here writes."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from ..mig import geometry, names
from ..mig.errors import MigError
from ..mig.profiles import Card, Profile
from ..mig.state import ComputeInstance, Gpu, GpuInstance, State, Trouble
from .errors import INVALID_ARGUMENT, NOT_FOUND, NvmlError
from .holders import Holders
from .nvml import Nvml
from .nvml_data import Ci, Gi, Identity


def read(nvml: Nvml, processes: bool = True, cards: bool = False) -> State:
    """The state of every GPU. A GPU that does not answer is in it with its error; the others are read all the same.

    ``processes``: also who runs on each. ``cards``: also the profiles of each MIG-capable GPU; with MIG on they are
    read in any case, since the driver lists instances by profile.
    """
    holders = Holders() if processes else None
    gpus: List[Gpu] = []
    known: Dict[int, Card] = {}
    for index in range(nvml.count()):
        gpu, card = read_gpu(nvml, index, holders, cards)
        gpus.append(gpu)
        if card is not None:
            known[index] = card
    return State(nvml.driver_version(), tuple(gpus), known)


def read_gpu(
    nvml: Nvml, index: int, holders: Optional[Holders] = None, card: bool = False, attempts: int = 3
) -> Tuple[Gpu, Optional[Card]]:
    """One GPU, its processes if ``holders`` are given, and its profiles where they were read.

    Another run may be changing the GPU meanwhile: where an instance went on the way it is read again.
    """
    gpu = Gpu(index)
    found: Optional[Card] = None
    try:
        identity = nvml.identity(index)
        product = geometry.find(identity.device_id, identity.name)
        gpu = gpu._replace(product=product.key if product else None, **_fields(identity))
        total, used = nvml.memory_mib(gpu.uuid)
        gpu = gpu._replace(memory_mib=total, memory_used_mib=used)
        mode = nvml.mig_mode(gpu.uuid)
        if mode is not None:
            gpu = gpu._replace(mig_capable=True, mig_current=mode[0], mig_pending=mode[1])
            if card or gpu.mig_current:
                found = read_card(nvml, gpu, placements=card)
            if gpu.mig_current and found is not None:
                gpu = gpu._replace(instances=_instances(nvml, gpu, found))
        if nvml.remapping_pending(gpu.uuid):
            gpu = gpu._replace(needs_reset="rows of its memory wait to be remapped")
        if holders is not None:
            gpu = gpu._replace(processes=holders.of_gpu(gpu.minor, nvml.clients(gpu.uuid)))
    except MigError as error:
        if error.code == "no_permission":
            raise
        if attempts > 1 and isinstance(error, NvmlError) and error.value in (NOT_FOUND, INVALID_ARGUMENT):
            return read_gpu(nvml, index, holders, card, attempts - 1)
        if error.code == "reset_required":
            gpu = gpu._replace(needs_reset="the driver requires it")
            if holders is not None and gpu.minor is not None:
                gpu = gpu._replace(processes=holders.of_gpu(gpu.minor, ()))  # a reset needs them gone
        return gpu._replace(error=Trouble(error.code, error.message)), found
    return gpu, found


def read_card(nvml: Nvml, gpu: Gpu, placements: bool = True) -> Optional[Card]:
    """The GPU's profiles: its own where the driver tells them, else those of the product table, else None.

    Without ``placements`` those that the driver tells have no starts: enough to name what there is.
    """
    product = geometry.find(gpu.device_id, gpu.name)
    table = product.card if product else None
    told = nvml.profiles(gpu.uuid, placements)
    if not told:
        return table
    profiles = []
    for own in told:
        row = table.by_id(own.profile_id) if table else None
        # drivers round names differently: the names that others print for this profile id are understood too
        aliases = tuple(dict.fromkeys(n for n in ((row.name, *row.aliases) if row else ()) if n != own.name))
        # instance counts that NVML tells for an A30 were found wrong; the table's were recorded
        most = row.max_instances if row and gpu.product == "A30-24GB" else own.max_instances
        profiles.append(
            Profile(
                own.name, own.profile_id, own.slices, own.memory_mib, own.sm_count, most, own.starts, own.size, aliases
            )
        )
    return Card(gpu.product or gpu.name, tuple(profiles), "nvml")


def _fields(identity: Identity) -> Dict[str, Any]:
    return {key: value for key, value in identity._asdict().items() if key != "index"}


def _instances(nvml: Nvml, gpu: Gpu, card: Card) -> Tuple[GpuInstance, ...]:
    uuids = {(device.gi_id, device.ci_id): device.uuid for device in nvml.mig_devices(gpu.uuid)}
    pairs = [(profile.profile_id, profile.max_instances) for profile in card.profiles]
    return tuple(
        sorted(
            (_instance(nvml, gpu, card, gi, uuids) for gi in nvml.gpu_instances(gpu.uuid, pairs)),
            key=lambda instance: instance.start,
        )
    )


def _instance(nvml: Nvml, gpu: Gpu, card: Card, gi: Gi, uuids: Dict[Tuple[int, int], str]) -> GpuInstance:
    profile = card.by_id(gi.profile_id)
    name = profile.name if profile else "profile %d" % gi.profile_id
    slices = profile.slices if profile else 0
    cis = nvml.compute_instances(gpu.uuid, gi.gi_id, gi.profile_id)
    inner = tuple(_compute(ci, slices, name, uuids.get((gi.gi_id, ci.ci_id))) for ci in cis)
    return GpuInstance(gi.gi_id, name, gi.profile_id, gi.start, gi.size, inner)


def _compute(ci: Ci, slices: int, name: str, uuid: Optional[str]) -> ComputeInstance:
    own = names.compute_instance_name(ci.size, slices, name)
    return ComputeInstance(ci.ci_id, own, ci.start, ci.size, ci.profile_id, uuid)
