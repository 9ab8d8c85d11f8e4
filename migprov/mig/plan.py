"""From what is to what is wanted: the steps, and the state they lead to."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import geometry, names, steps
from .drain import Drain, clear
from .errors import GpuBusy, GpuLost, MigError, NotMigCapable, ResetRequired, UnknownProfile
from .fit import Busy, Fit, beside, fit
from .profiles import Card, count_names
from .state import ComputeInstance, Gpu, GpuInstance, Process, State
from .steps import Step
from .wanted import WantedGpu, WantedInstance

_REFUSE = Drain()


class Planned(NamedTuple):
    """The steps for a node, the GPUs that are left as they are with the reason, and all GPUs that were asked about.

    ``needed``: (unit, GPU) for each GPU that a service is stopped for; among the steps it is stopped but once.
    """

    steps: Tuple[Step, ...]
    refused: Tuple[MigError, ...]
    about: FrozenSet[int] = frozenset()
    needed: FrozenSet[Tuple[str, int]] = frozenset()


def planned(done: Sequence[Step], refused: Sequence[MigError], about: Iterable[int] = ()) -> Planned:
    """The plan of a node from the steps of its GPUs."""
    stops = frozenset(
        (step.unit, step.gpu) for step in done if step.action == steps.STOP_SERVICE and step.gpu is not None
    )
    return Planned(tuple(with_services(done)), tuple(refused), frozenset(about), stops)


def plan(state: State, wanted: Mapping[int, WantedGpu], drain: Drain = _REFUSE) -> List[Step]:
    """The steps that bring each wanted GPU to its layout, GPU after GPU; empty when nothing is to be done.

    Raises GpuLost, ResetRequired, NotMigCapable, UnknownProfile, LayoutImpossible or GpuBusy before any step is
    known: either the whole plan stands or nothing is done.
    """
    found = plan_node(state, wanted, drain)
    if found.refused:
        raise found.refused[0]
    return list(found.steps)


def plan_node(state: State, wanted: Mapping[int, WantedGpu], drain: Drain = _REFUSE) -> Planned:
    """The steps for every GPU that can have its layout now.

    A GPU that is busy or does not answer is refused and does not keep the others from theirs; what can never be
    (NotMigCapable, UnknownProfile, LayoutImpossible) is raised: then nothing is done on the whole node.
    """
    cards = state.cards or {}
    done: List[Step] = []
    refused: List[MigError] = []
    for index in sorted(wanted):
        gpu = state.gpu(index)
        try:
            done += plan_gpu(gpu, wanted[index], cards.get(index), drain)
        except MigError as error:
            error.gpu = index
            if not error.message.startswith(gpu.label):
                error.message = "%s: %s" % (gpu.label, error.message)
            if not isinstance(error, (GpuBusy, GpuLost, ResetRequired)):
                raise
            refused.append(error)
    return planned(done, refused, wanted)


def with_services(done: Sequence[Step]) -> List[Step]:
    """The same steps with each service stopped once, and started again after everything, the last stopped first."""
    kept: List[Step] = []
    units: List[str] = []
    for step in done:
        if step.action == steps.STOP_SERVICE:
            if step.unit in units:
                continue
            units.append(step.unit)
        kept.append(step)
    return kept + [Step(steps.START_SERVICE, None, "", unit=unit) for unit in reversed(units)]


def refuse_if_not_answering(gpu: Gpu) -> None:
    """Raises GpuLost or ResetRequired for a GPU that could not be read."""
    if gpu.error is None:
        return
    message = "%s: %s" % (gpu.label, gpu.error.message)
    if gpu.error.code == ResetRequired.code:
        raise ResetRequired(message, gpu=gpu.index, next="reset it (task reset, module gpu_reset), then run again")
    raise GpuLost(message, gpu=gpu.index, next="see what info says of this GPU")


def plan_gpu(gpu: Gpu, wanted: WantedGpu, card: Optional[Card], drain: Drain = _REFUSE) -> List[Step]:
    """The steps for one GPU; see ``plan``."""
    refuse_if_not_answering(gpu)
    if not gpu.mig_capable:
        if not wanted.mig_enabled:
            return []
        raise NotMigCapable(
            "%s, %s, has no MIG" % (gpu.label, gpu.name), gpu=gpu.index, next="keep this GPU out of the layout"
        )
    if not wanted.mig_enabled:
        return _disable(gpu, drain)
    mode = _enable(gpu, drain)
    if wanted.instances is None:
        return mode
    if card is None:
        raise UnknownProfile(
            "%s, %s: its driver tells no profiles while MIG is off, and the product table does not know it"
            % (gpu.label, gpu.name),
            gpu=gpu.index,
            next="enable MIG mode first (task mig_mode), then apply the layout",
        )
    return mode + _instances(gpu, card, wanted.instances, drain)


def _enable(gpu: Gpu, drain: Drain) -> List[Step]:
    if not gpu.mig_pending:
        in_way = [] if gpu.mig_current else blocking(gpu)
        way = clear(gpu, in_way, "its MIG mode would change", drain)
        return [*way, Step(steps.SET_MIG_MODE, gpu.index, gpu.uuid, enabled=True)]
    if not gpu.mig_current:
        way = clear(gpu, gpu.processes, "it has to be reset: MIG mode is pending", drain)
        return [*way, Step(steps.RESET_GPU, gpu.index, gpu.uuid)]
    return []


def _disable(gpu: Gpu, drain: Drain) -> List[Step]:
    if not gpu.mig_current and not gpu.mig_pending:
        return []
    in_way = blocking(gpu) if gpu.mig_current else []
    done = clear(gpu, in_way, "its MIG mode would be disabled", drain)
    done += [step for gi in gpu.instances for step in _destroy(gpu, gi)]
    if gpu.mig_pending:
        return [*done, Step(steps.SET_MIG_MODE, gpu.index, gpu.uuid, enabled=False)]
    return [*done, Step(steps.RESET_GPU, gpu.index, gpu.uuid)]


def blocking(gpu: Gpu) -> List[Process]:
    """The processes that keep the MIG mode from changing.

    Where that takes a reset (Ampere) anybody who has the GPU open is in the way, on newer products only work is.
    """
    product = geometry.find(gpu.device_id, gpu.name)
    if product is None or product.mode_needs_reset:
        return list(gpu.processes)
    return [process for process in gpu.processes if process.kind != "open" or process.gi_id is not None]


def working(gpu: Gpu, drain: Drain) -> List[Process]:
    """The work on a GPU: neither agents nor what merely has it open."""
    return [process for process in gpu.processes if process.kind != "open" and not drain.is_agent(process)]


def _instances(gpu: Gpu, card: Card, wanted: Sequence[WantedInstance], drain: Drain) -> List[Step]:
    chosen = fit(card, gpu.instances, _busy(gpu, drain), wanted, gpu.index)
    lost = _lost_processes(gpu, chosen)
    done = clear(gpu, lost, _no_place(gpu, card, wanted, lost), drain)
    done += [step for gi in chosen.destroyed for step in _destroy(gpu, gi)]
    for placed in chosen.placed:
        if placed.kept is not None:
            done += [_destroy_compute(gpu, placed.kept, ci) for ci in placed.inside.destroy]
    for placed in chosen.placed:
        name = placed.profile.name
        if placed.kept is None:
            done.append(
                Step(
                    steps.CREATE_GPU_INSTANCE,
                    gpu.index,
                    gpu.uuid,
                    profile=name,
                    profile_id=placed.profile.profile_id,
                    start=placed.start,
                    size=placed.profile.size,
                )
            )
        for compute in placed.inside.create:
            inner = names.compute_instance_name(compute.slices, placed.profile.slices, name)
            done.append(
                Step(
                    steps.CREATE_COMPUTE_INSTANCE,
                    gpu.index,
                    gpu.uuid,
                    profile=name,
                    gi_start=placed.start,
                    ci_profile=inner,
                    ci_start=compute.start,
                )
            )
    return done


def _no_place(gpu: Gpu, card: Card, wanted: Sequence[WantedInstance], lost: Sequence[Process]) -> str:
    """Why the work is in the way, and the nearest layout that would let it stay."""
    if not lost:
        return ""
    busy = {process.gi_id for process in gpu.processes}
    stay = [gi for gi in gpu.instances if gi.gi_id in busy]
    rest = beside(card, stay, wanted)
    return (
        "the wanted layout has no place for what they run on; beside %s, which %s in use, there is room for %s of it"
        % (
            count_names("%s at slice %d" % (gi.profile, gi.start) for gi in stay),
            "is" if len(stay) == 1 else "are",
            count_names(rest) if rest else "nothing",
        )
    )


def _busy(gpu: Gpu, drain: Drain) -> Busy:
    work = [process for process in gpu.processes if not drain.is_agent(process)]
    return Busy(
        frozenset(p.gi_id for p in work if p.gi_id is not None),
        frozenset((p.gi_id, p.ci_id) for p in work if p.gi_id is not None and p.ci_id is not None),
    )


def _lost_processes(gpu: Gpu, chosen: Fit) -> List[Process]:
    gone = {gi.gi_id for gi in chosen.destroyed}
    inner = {
        (placed.kept.gi_id, ci.ci_id)
        for placed in chosen.placed
        if placed.kept is not None
        for ci in placed.inside.destroy
    }
    return [p for p in gpu.processes if p.gi_id is not None and (p.gi_id in gone or (p.gi_id, p.ci_id) in inner)]


def _destroy(gpu: Gpu, gi: GpuInstance) -> List[Step]:
    return [_destroy_compute(gpu, gi, ci) for ci in gi.compute_instances] + [
        Step(
            steps.DESTROY_GPU_INSTANCE,
            gpu.index,
            gpu.uuid,
            gi_id=gi.gi_id,
            profile=gi.profile,
            profile_id=gi.profile_id,
            start=gi.start,
            size=gi.size,
        )
    ]


def _destroy_compute(gpu: Gpu, gi: GpuInstance, ci: ComputeInstance) -> Step:
    return Step(
        steps.DESTROY_COMPUTE_INSTANCE,
        gpu.index,
        gpu.uuid,
        gi_id=gi.gi_id,
        profile=gi.profile,
        gi_start=gi.start,
        ci_id=ci.ci_id,
        ci_profile=ci.profile,
        ci_start=ci.start,  # where it is created again should this be taken back
    )


def predict(state: State, done: Sequence[Step]) -> State:
    """The state that the steps lead to; ids and UUIDs that only the driver knows are None."""
    per_gpu: Dict[int, List[Step]] = {}
    for step in done:
        if step.gpu is not None:
            per_gpu.setdefault(step.gpu, []).append(step)
    gpus: Tuple[Gpu, ...] = state.gpus
    for index, own in per_gpu.items():
        gpus = tuple(predict_gpu(gpu, own) if gpu.index == index else gpu for gpu in gpus)
    return state._replace(gpus=gpus)


def predict_gpu(gpu: Gpu, done: Sequence[Step]) -> Gpu:
    """One GPU after its steps."""
    for step in done:
        gpu = _after(gpu, step)
    return gpu


def _after(gpu: Gpu, step: Step) -> Gpu:
    if step.action in (steps.WAIT_FOR_PROCESS, steps.END_PROCESS):
        return gpu._replace(processes=tuple(p for p in gpu.processes if p.pid != step.pid))
    if step.action in (steps.STOP_SERVICE, steps.START_SERVICE):
        return gpu
    if step.action == steps.SET_MIG_MODE:
        return gpu._replace(mig_current=bool(step.enabled), mig_pending=bool(step.enabled))
    if step.action == steps.RESET_GPU:
        return gpu._replace(mig_current=gpu.mig_pending, instances=(), needs_reset=None, error=None)
    if step.action == steps.DESTROY_GPU_INSTANCE:
        return gpu._replace(instances=tuple(gi for gi in gpu.instances if gi.start != step.start))
    if step.action == steps.CREATE_GPU_INSTANCE:
        new = GpuInstance(None, step.profile, step.profile_id or 0, step.start or 0, step.size or 0)
        return gpu._replace(instances=tuple(sorted((*gpu.instances, new), key=lambda gi: gi.start)))
    return gpu._replace(
        instances=tuple(_after_inside(gi, step) if gi.start == step.gi_start else gi for gi in gpu.instances)
    )


def _after_inside(gi: GpuInstance, step: Step) -> GpuInstance:
    if step.action == steps.DESTROY_COMPUTE_INSTANCE:
        kept = tuple(ci for ci in gi.compute_instances if ci.ci_id != step.ci_id)
        return gi._replace(compute_instances=kept)
    parsed = names.parse(step.ci_profile)
    new = ComputeInstance(None, step.ci_profile, step.ci_start, parsed.compute_slices or parsed.slices)
    return gi._replace(compute_instances=(*gi.compute_instances, new))
