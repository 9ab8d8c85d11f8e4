"""What pods ask for, so that workloads get what the plan gives them. Pure.

With the MIG strategy mixed a MIG device is a resource of its own, `nvidia.com/mig-3g.40gb`; with single it is
`nvidia.com/gpu` on nodes where all devices are of one kind, told apart by the label of the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..capacity.model import WHOLE, Workload
from ..errors import BadRequest
from ..fleet.kubernetes.resources import GPU, resource
from ..mig import geometry
from . import names
from .errors import CannotRender
from .plan_file import PlanFile, PlannedCard, Seat
from .text import File, documents

Form = Literal["resources", "patch", "deployment"]
_VIDEO = frozenset(("decoder", "encoder"))


@dataclass(frozen=True)
class Options:
    """`image` goes into a Deployment; `container` is the container's name (None: the workload's); `pin`: only the
    nodes that the plan names.
    """

    strategy: Literal["mixed", "single"] = "mixed"
    form: Form = "resources"
    image: str | None = None
    container: str | None = None
    namespace: str | None = None
    pin: bool = False


@dataclass(frozen=True)
class Group:
    """Replicas of a workload that ask for the same: one Deployment. `name` is its name."""

    workload: Workload
    name: str
    profile: str
    seats: tuple[Seat, ...]


def file(workloads: Sequence[Workload], plan: PlanFile, options: Options | None = None) -> File:
    """The requests of all workloads that the plan places.

    Raises:
        CannotRender: the strategy does not fit the plan, or an option is missing. BadRequest: other workloads' plan.
    """
    chosen = options or Options()
    plan.check_strategy(chosen.strategy)
    if chosen.form == "deployment" and chosen.image is None:
        raise CannotRender("a Deployment needs an image", next="give --image, or render --as resources or patch.")
    found = groups(workloads, plan)
    if not found:
        raise CannotRender(f"{plan.path} places no replica, so there is nothing to ask for")
    if chosen.form == "resources":
        made: list[Any] = [{group.name: _block(group, plan, chosen) for group in found}]
    elif chosen.form == "patch":
        made = [_patch(group, plan, chosen) for group in found]
    else:
        made = [_deployment(group, plan, chosen) for group in found]
    return File(f"{_FILES[chosen.form]}.yaml", documents(made, [_SAID[chosen.form], *_notes(found, plan, chosen)]))


_FILES = {"resources": "resources", "patch": "patches", "deployment": "deployments"}
_SAID = {
    "resources": "By migprov render pods: what each workload's container asks for, and where.",
    "patch": "By migprov render pods: kubectl patch deployment NAME --patch-file FILE, one document each.",
    "deployment": "By migprov render pods.",
}


def _notes(found: Sequence[Group], plan: PlanFile, options: Options) -> list[str]:
    notes = []
    for group in found:
        if others := plan.others.get(group.workload.name):
            notes.append(
                f"{group.name}: {others} more without a seat in the plan: no place, or left where it runs. "
                + ("So replicas is not in the patch." if options.form == "patch" else "Mind the number of replicas.")
            )
    if not options.pin:
        notes.append("The scheduler may choose other nodes than the plan that offer the same.")
    for group in found:
        if group.workload.shares_card is not True and group.profile != WHOLE:
            notes.append(f"{group.name}: who shares its card is in the plan; Kubernetes does not know of cards.")
        limit = group.workload.most_per_node
        if limit is not None and (limit > 1 or options.form != "deployment"):
            notes.append(f"{group.name}: at most {limit} on a node is in the plan, not in this file.")
    return notes


def groups(workloads: Sequence[Workload], plan: PlanFile) -> list[Group]:
    """The workloads in parts that ask for the same, in the workloads' order. Raises BadRequest: another plan."""
    named = {workload.name: workload for workload in workloads}
    by: dict[str, dict[str, list[Seat]]] = defaultdict(lambda: defaultdict(list))
    for seat in plan.seats:
        if seat.workload not in named:
            raise BadRequest(
                f"{plan.path} places {seat.workload!r}, which is no workload of the file",
                next="give the workloads file that the plan was made of.",
            )
        by[seat.workload][seat.profile].append(seat)
    found = []
    for name, parts in by.items():
        for profile, seats in parts.items():
            whole = name if len(parts) == 1 else f"{name}-{profile}"
            found.append(Group(named[name], names.dns_label(whole), profile, tuple(seats)))
    order = list(named)
    return sorted(found, key=lambda group: order.index(group.workload.name))


def requests(group: Group, strategy: str) -> dict[str, Any]:
    """The container's `resources`: extended resources are limits, which count as requests too."""
    name = GPU if group.profile == WHOLE or strategy == "single" else resource(group.profile)
    return {"limits": {name: 1}}


def _block(group: Group, plan: PlanFile, options: Options) -> dict[str, Any]:
    made: dict[str, Any] = {"replicas": len(group.seats), "resources": requests(group, options.strategy)}
    if env := _env(group):
        made["env"] = env
    if affinity := _affinity(group, plan, options):
        made["affinity"] = affinity
    return made


def _patch(group: Group, plan: PlanFile, options: Options) -> dict[str, Any]:
    # A number that leaves some out would end them.
    replicas = {} if plan.others.get(group.workload.name) else {"replicas": len(group.seats)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(group, options),
        "spec": {**replicas, "template": {"spec": _pod(group, plan, options)}},
    }


def _deployment(group: Group, plan: PlanFile, options: Options) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": group.name}
    template = {"metadata": {"labels": labels}, "spec": _pod(group, plan, options)}
    spec = {"replicas": len(group.seats), "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(group, options), "spec": spec}


def _metadata(group: Group, options: Options) -> dict[str, str]:
    if options.namespace is None:
        return {"name": group.name}
    return {"name": group.name, "namespace": names.object_name(options.namespace, "the namespace")}


def _pod(group: Group, plan: PlanFile, options: Options) -> dict[str, Any]:
    container: dict[str, Any] = {"name": options.container or names.dns_label(group.workload.name)}
    if options.form == "deployment":
        container["image"] = options.image
    container["resources"] = requests(group, options.strategy)
    if env := _env(group):
        container["env"] = env
    pod: dict[str, Any] = {"containers": [container]}
    if affinity := _affinity(group, plan, options):
        pod["affinity"] = affinity
    return pod


def _env(group: Group) -> list[dict[str, str]]:
    """The container runtime gives the video libraries only to those who ask."""
    if not group.workload.engines & _VIDEO:
        return []
    return [{"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "compute,utility,video"}]


# --- where --------------------------------------------------------------------------------------------------------


def _affinity(group: Group, plan: PlanFile, options: Options) -> dict[str, Any]:
    made: dict[str, Any] = {}
    wanted: list[dict[str, Any]] = []
    if products := _products(group, plan, options):
        wanted.append({"key": names.PRODUCT, "operator": "In", "values": products})
    if options.pin:
        hosts = sorted({names.label_value(seat.host, "the host") for seat in group.seats})
        wanted.append({"key": names.HOST, "operator": "In", "values": hosts})
    if wanted:
        terms = [{"matchExpressions": wanted}]
        made["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    if group.workload.most_per_node == 1 and options.form == "deployment":
        # Only there the labels of the pods are ours.
        apart = {"labelSelector": {"matchLabels": {"app.kubernetes.io/name": group.name}}, "topologyKey": names.HOST}
        made["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}
    return made


def _products(group: Group, plan: PlanFile, options: Options) -> list[str]:
    """The values of the product's label among which the scheduler may choose; none where all nodes would do.

    A resource is not enough where cards of another product offer it too, or where the strategy single calls
    everything a GPU.
    """
    planned = {seat.product for seat in group.seats}
    single = options.strategy == "single" and any(card.mig for card in plan.cards)
    offering = {card.product for card in plan.cards if _offers(card, group.profile)}
    if not single and offering <= planned:
        return []
    profile = group.profile if single and group.profile != WHOLE else None
    return sorted(names.product_label(model, profile) for product in planned for model in _models(product))


def _offers(card: PlannedCard, profile: str) -> bool:
    return not card.mig if profile == WHOLE else profile in card.profiles


def _models(product: str) -> Mapping[str, None]:
    found = next((each for each in geometry.products() if each.key == product), None)
    if found is None:
        raise BadRequest(f"there is no product {product!r}")
    return dict.fromkeys(found.names)
