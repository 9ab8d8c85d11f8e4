"""Do one step and assert its effect by reading again."""

from __future__ import annotations

import time
from typing import Callable, Dict, List, Optional, Sequence, Set

from ..mig import names, steps
from ..mig.errors import GpuBusy, MigError
from ..mig.steps import Step
from . import smi
from .errors import IN_USE, EffectMissing, ModeNotEffective, ResetRefused
from .nvml import Nvml
from .nvml_data import Ci

_SETTLE_S = 2.0
_PAUSE_S = 0.2


def perform(nvml: Nvml, step: Step) -> None:
    """Do the step. Raises a typed error that names the GPU when it fails or when its effect is not there."""
    try:
        _ACTIONS[step.action](nvml, step)
    except MigError as error:
        error.gpu = step.gpu
        if step.gpu is not None and not error.message.startswith("GPU %d " % step.gpu):
            error.message = "GPU %d (%s): %s" % (step.gpu, step.uuid, error.message)
        raise


def undo(nvml: Nvml, done: Sequence[Step], undone: List[Step]) -> Optional[MigError]:
    """Take back what was done to instances, last first, as far as it goes; ``undone`` gets each step that did it.

    Returns the first error. What has nothing to do with a step that could not be taken back is taken back all the
    same. The MIG mode stays as it is: taking it back would need another reset.
    """
    first: Optional[MigError] = None
    missing: Set[Optional[int]] = set()  # where a GPU instance did not come back nothing can be put into it
    until = time.monotonic() + _SETTLE_S
    for step in reversed(done):
        if step.action == steps.DESTROY_COMPUTE_INSTANCE and step.gi_start in missing:
            continue
        try:
            for inverse in _inverse(nvml, step, done):
                _patiently(nvml, inverse, until)
                undone.append(inverse)
        except MigError as error:
            first = first or error
            if step.action == steps.DESTROY_GPU_INSTANCE:
                missing.add(step.start)
    return first


def _patiently(nvml: Nvml, step: Step, until: float) -> None:
    while True:
        try:
            return perform(nvml, step)
        except GpuBusy:  # somebody may be looking at an instance that has just appeared
            if time.monotonic() >= until:
                raise
        time.sleep(_PAUSE_S)


def _inverse(nvml: Nvml, step: Step, done: Sequence[Step]) -> List[Step]:
    if step.action == steps.DESTROY_GPU_INSTANCE:
        return [step._replace(action=steps.CREATE_GPU_INSTANCE, gi_id=None)]
    if step.action == steps.DESTROY_COMPUTE_INSTANCE:
        return [step._replace(action=steps.CREATE_COMPUTE_INSTANCE, gi_id=None, ci_id=None)]
    if step.action == steps.CREATE_GPU_INSTANCE:
        gi_id = _gi_at(nvml, step.uuid, step.start)
        inner = nvml.compute_instances(step.uuid, gi_id)
        gone = [
            step._replace(
                action=steps.DESTROY_COMPUTE_INSTANCE,
                gi_id=gi_id,
                gi_start=step.start,
                ci_id=ci.ci_id,
                ci_profile=step.profile,
            )
            for ci in inner
        ]
        return [*gone, step._replace(action=steps.DESTROY_GPU_INSTANCE, gi_id=gi_id)]
    if step.action == steps.CREATE_COMPUTE_INSTANCE and not _made_with_gpu_instance(step, done):
        gi_id = _gi_at(nvml, step.uuid, step.gi_start)
        made = [ci for ci in nvml.compute_instances(step.uuid, gi_id) if _is_made_by(step, ci)]
        if made:  # ids are used again, so the newest need not have the highest; without a place they are alike
            return [step._replace(action=steps.DESTROY_COMPUTE_INSTANCE, gi_id=gi_id, ci_id=made[-1].ci_id)]
    return []


def _is_made_by(step: Step, ci: Ci) -> bool:
    parsed = names.parse(step.ci_profile)
    return ci.size == (parsed.compute_slices or parsed.slices) and step.ci_start in (None, ci.start)


def _made_with_gpu_instance(step: Step, done: Sequence[Step]) -> bool:
    return any(
        other.action == steps.CREATE_GPU_INSTANCE and (other.uuid, other.start) == (step.uuid, step.gi_start)
        for other in done
    )


def _set_mig_mode(nvml: Nvml, step: Step) -> None:
    wanted = bool(step.enabled)
    status = nvml.set_mig_mode(step.uuid, wanted)
    current, pending = nvml.mig_mode(step.uuid) or (False, False)
    if current == wanted and pending == wanted:
        return
    word = "enabled" if wanted else "disabled"
    if pending != wanted:
        reason = "in use by another client" if status == IN_USE else "activation status %d" % status
        raise ModeNotEffective("MIG mode is not %s: %s" % (word, reason), next="end what uses the GPU, then run again")
    if status == IN_USE:
        raise GpuBusy(
            "MIG mode %s is pending: the GPU is in use by another client" % word,
            next="end every process that has the GPU open (monitoring agents too), then run again: "
            "the reset that is due will be done then",
        )
    _reset(nvml, step)


def _reset(nvml: Nvml, step: Step) -> None:
    with nvml.released():
        smi.reset(step.uuid, _known(step.gpu))  # a GPU that requires a reset may not even tell its UUID
    uuid = step.uuid or nvml.identity(_known(step.gpu)).uuid
    current, pending = nvml.mig_mode(uuid) or (False, False)
    if current != pending:
        raise ResetRefused("the reset left the MIG mode pending", next="reboot the node, then run again")


def _destroy_compute_instance(nvml: Nvml, step: Step) -> None:
    nvml.destroy_compute_instance(step.uuid, _known(step.gi_id), _known(step.ci_id))
    if any(ci.ci_id == step.ci_id for ci in nvml.compute_instances(step.uuid, _known(step.gi_id))):
        raise EffectMissing("compute instance %s is still there after its destruction" % step.ci_id)


def _destroy_gpu_instance(nvml: Nvml, step: Step) -> None:
    nvml.destroy_gpu_instance(step.uuid, _known(step.gi_id))
    if any(gi.gi_id == step.gi_id for gi in nvml.gpu_instances(step.uuid, [(_known(step.profile_id), 8)])):
        raise EffectMissing("GPU instance %s is still there after its destruction" % step.gi_id)


def _create_gpu_instance(nvml: Nvml, step: Step) -> None:
    made = nvml.create_gpu_instance(step.uuid, _known(step.profile_id), _known(step.start), _known(step.size))
    listed = nvml.gpu_instances(step.uuid, [(_known(step.profile_id), 8)])
    if made not in listed or (made.profile_id, made.start) != (step.profile_id, step.start):
        raise EffectMissing("%s was to be created at memory slice %s and is not there" % (step.profile, step.start))


def _create_compute_instance(nvml: Nvml, step: Step) -> None:
    parsed = names.parse(step.ci_profile)
    gi_id = _gi_at(nvml, step.uuid, step.gi_start)
    made = nvml.create_compute_instance(step.uuid, gi_id, parsed.compute_slices or parsed.slices, step.ci_start)
    if made not in nvml.compute_instances(step.uuid, gi_id) or step.ci_start not in (None, made.start):
        raise EffectMissing("compute instance %s was to be created in %s and is not there" % (step.ci_profile, gi_id))


def _gi_at(nvml: Nvml, uuid: str, start: object) -> int:
    pairs = [(profile.profile_id, profile.max_instances) for profile in nvml.profiles(uuid)]
    found = next((gi for gi in nvml.gpu_instances(uuid, pairs) if gi.start == start), None)
    if found is None:
        raise EffectMissing("there is no GPU instance at memory slice %s" % start)
    return found.gi_id


def _known(value: object) -> int:
    if not isinstance(value, int):
        raise EffectMissing("the step does not say which instance it means")
    return value


_ACTIONS: Dict[str, Callable[[Nvml, Step], None]] = {
    steps.SET_MIG_MODE: _set_mig_mode,
    steps.RESET_GPU: _reset,
    steps.DESTROY_COMPUTE_INSTANCE: _destroy_compute_instance,
    steps.DESTROY_GPU_INSTANCE: _destroy_gpu_instance,
    steps.CREATE_GPU_INSTANCE: _create_gpu_instance,
    steps.CREATE_COMPUTE_INSTANCE: _create_compute_instance,
}
