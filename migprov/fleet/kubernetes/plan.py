"""Which pods go, which stay and why, which ask for leave. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .state import held

Which = Literal["gpu", "all"]

_MIRROR = "kubernetes.io/config.mirror"
_OVER = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True)
class Pod:
    """One pod. `gpu`: what it holds of NVIDIA's resources. `uses`: signs that it uses a GPU without holding one."""

    namespace: str
    name: str
    uid: str
    phase: str
    leaving: str
    """Since when it is being deleted, or nothing."""
    grace_s: int
    controller: str
    """Kind of what would make it anew elsewhere, or nothing."""
    mirror: bool
    gpu: Mapping[str, int]
    uses: tuple[str, ...]
    local: tuple[str, ...]
    """Volumes whose data go with it (emptyDir)."""
    labels: Mapping[str, str]

    @property
    def path(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def over(self) -> bool:
        """Whether its containers have ended for good."""
        return self.phase in _OVER


@dataclass(frozen=True)
class Stays:
    """A pod that is left, and why."""

    pod: Pod
    why: str


@dataclass(frozen=True)
class Asks:
    """A pod that may go only with leave: `why`, and the `option` that gives it."""

    pod: Pod
    why: str
    option: str


@dataclass(frozen=True)
class Plan:
    """What draining the node amounts to. `leaving` go already. `notes` are for the person who reads them."""

    evict: tuple[Pod, ...]
    leaving: tuple[Pod, ...]
    stay: tuple[Stays, ...]
    asks: tuple[Asks, ...]
    notes: tuple[str, ...]


def plan(pods: Iterable[Pod], which: Which = "gpu", *, delete_emptydir_data: bool = False, force: bool = False) -> Plan:
    """Sort the pods of a node. Everything is in order of namespace and name."""
    evict, leaving, stay, asks = [], [], [], []
    for pod in sorted(pods, key=lambda one: one.path):
        if pod.over:
            continue
        why = _stays(pod, which)
        if why:
            stay.append(Stays(pod, why))
        elif pod.leaving:
            leaving.append(pod)
        elif needed := _needs(pod, delete_emptydir_data=delete_emptydir_data, force=force):
            asks += needed
        else:
            evict.append(pod)
    notes = [note for each in stay if (note := _note(each))]
    return Plan(tuple(evict), tuple(leaving), tuple(stay), tuple(asks), tuple(notes))


def _stays(pod: Pod, which: Which) -> str:
    if pod.mirror:
        return "a static pod, which only the node's own files end"
    if pod.controller == "DaemonSet":
        return "of a daemon set, which would start it again here"
    if which == "gpu" and not pod.gpu:
        return "holds no GPU"
    return ""


def _needs(pod: Pod, *, delete_emptydir_data: bool, force: bool) -> list[Asks]:
    needs = []
    if not pod.controller and not force:
        needs.append(Asks(pod, "nothing would start it again elsewhere (no controller)", "force"))
    if pod.local and not delete_emptydir_data:
        needs.append(
            Asks(pod, f"its local data would be lost (emptyDir {', '.join(pod.local)})", "delete_emptydir_data")
        )
    return needs


def _note(stays: Stays) -> str:
    pod = stays.pod
    if pod.gpu:
        return f"the pod {pod.path} holds {_counts(pod.gpu)} and stays: {stays.why}"
    if pod.uses and pod.controller != "DaemonSet":
        return f"the pod {pod.path} may use a GPU without holding one ({'; '.join(pod.uses)}) and stays: {stays.why}"
    return ""


def _counts(gpu: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {name}" for name, count in sorted(gpu.items()))


# --- reading --------------------------------------------------------------------------------------------------


def pod_from_json(pod: Mapping[str, Any]) -> Pod:
    """A pod of the API."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    owners = metadata.get("ownerReferences") or []
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        phase=(pod.get("status") or {}).get("phase", ""),
        leaving=metadata.get("deletionTimestamp") or "",
        grace_s=int(metadata.get("deletionGracePeriodSeconds") or spec.get("terminationGracePeriodSeconds") or 0),
        controller=next((owner["kind"] for owner in owners if owner.get("controller")), ""),
        mirror=_MIRROR in (metadata.get("annotations") or {}),
        gpu=gpu_of(spec),
        uses=tuple(_uses(spec)),
        local=tuple(volume["name"] for volume in spec.get("volumes") or [] if "emptyDir" in volume),
        labels=metadata.get("labels") or {},
    )


def gpu_of(spec: Mapping[str, Any]) -> dict[str, int]:
    """What a pod reserves of NVIDIA's resources, counted as the scheduler does.

    Containers and sidecars (init containers that are always restarted) hold theirs together; an init container holds
    its own beside the sidecars that started before it, and its reservation lasts as long as the pod.
    """
    together: dict[str, int] = {}
    most: dict[str, int] = {}
    for container in spec.get("initContainers") or []:
        own = _limits(container)
        if container.get("restartPolicy") == "Always":
            together = _sum(together, own)
            most = _most(most, together)
        else:
            most = _most(most, _sum(together, own))
    for container in spec.get("containers") or []:
        together = _sum(together, _limits(container))
    return {name: count for name, count in _most(most, together).items() if count}


def _limits(container: Mapping[str, Any]) -> dict[str, int]:
    # Requests and limits of an extended resource are equal; either may be left out.
    resources = container.get("resources") or {}
    return _most(held(resources.get("limits") or {}), held(resources.get("requests") or {}))


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _most(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}


def _uses(spec: Mapping[str, Any]) -> Iterable[str]:
    for volume in spec.get("volumes") or []:
        path = (volume.get("hostPath") or {}).get("path", "")
        if path.rstrip("/") == "/dev" or path.startswith("/dev/nvidia"):
            yield f"the node's {path} is mounted"
    if str(spec.get("runtimeClassName") or "").startswith("nvidia"):
        yield f"runtime class {spec['runtimeClassName']}"
    if spec.get("resourceClaims"):
        yield f"resource claim {', '.join(claim['name'] for claim in spec['resourceClaims'])}"
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        visible = {one["name"]: one.get("value") for one in container.get("env") or []}.get("NVIDIA_VISIBLE_DEVICES")
        if (container.get("securityContext") or {}).get("privileged") and visible not in (None, "", "void", "none"):
            yield f"container {container['name']} is privileged with NVIDIA_VISIBLE_DEVICES={visible}"
