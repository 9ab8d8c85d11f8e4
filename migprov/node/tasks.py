"""The tasks. Each is: read, plan, do the steps, read again; what differs is only what is wanted."""

from __future__ import annotations

import traceback
from contextlib import nullcontext
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from ..mig import steps
from ..mig.compare import differences
from ..mig.errors import BadRequest, GpuBusy, MigError
from ..mig.plan import plan, predict
from ..mig.profiles import Card
from ..mig.select import chosen, wanted_gpus
from ..mig.state import Gpu, State
from ..mig.steps import Step
from ..mig.wanted import WantedGpu, entries_from_json, instances_from_json, selectors
from . import act, driver
from .errors import EffectMissing, ModeNotEffective, NotAsWanted
from .lock import locked
from .nvml import Nvml
from .read import read
from .request import Request


class Outcome(NamedTuple):
    """What a task did. ``error`` is set when it failed; then ``steps`` were done and ``undone`` taken back."""

    before: Optional[State]
    after: Optional[State]
    planned: Sequence[Step] = ()
    steps: Sequence[Step] = ()
    undone: Sequence[Step] = ()
    data: Optional[Dict[str, Any]] = None
    error: Optional[MigError] = None


Wanted = Dict[int, WantedGpu]


def run(nvml: Nvml, request: Request) -> Outcome:
    """Run the request's task. Raises MigError only when nothing was changed; later failures are in the outcome."""
    if request.task in _READ_ONLY:
        return _READ_ONLY[request.task](nvml, request)
    planner = _CHANGING[request.task]
    with nullcontext() if request.check else locked(request.wait_s):
        before = read(nvml, cards=True)
        try:
            planned = planner(before, request)
        except MigError as error:
            return Outcome(before, before, error=error)
        if request.check:
            return Outcome(before, predict(before, planned), planned, planned)
        if not planned:
            return Outcome(before, before)
        return _carry_out(nvml, before, planned)


def _carry_out(nvml: Nvml, before: State, planned: Sequence[Step]) -> Outcome:
    done: List[Step] = []
    undone: List[Step] = []
    error: Optional[MigError] = None
    for step in planned:
        try:
            act.perform(nvml, step)
        except Exception as failure:  # whatever it was: what has been done so far must be told
            error = failure if isinstance(failure, MigError) else unexpected(failure)
            own = [other for other in done if other.gpu == step.gpu]
            undone = act.undo(nvml, own)
            break
        done.append(step)
    after: Optional[State] = None
    try:
        after = read(nvml)
    except MigError as failure:
        error = error or failure
    if error is None and after is not None:
        expected = predict(before, planned)
        off = [gpu.label for gpu, now in zip(expected.gpus, after.gpus) if _shape(gpu) != _shape(now)]
        if off:
            error = EffectMissing(
                "every step reported success, and %s is not as planned" % off[0],
                next="look at before and after; another program may be changing this node",
            )
    return Outcome(before, after, planned, done, undone, error=error)


def unexpected(failure: Exception) -> MigError:
    """A failure that no code foresaw, as an error that says where it came from."""
    where = " | ".join(traceback.format_tb(failure.__traceback__)[-1].split("\n")[:2]) if failure.__traceback__ else ""
    return MigError(
        "the node program failed: %s: %s" % (type(failure).__name__, failure),
        next="run info to see the node's state, and report this as a bug of migprov: %s" % " ".join(where.split()),
    )


def _shape(gpu: Gpu) -> Any:
    inner = [(gi.profile_id, gi.start, sorted(ci.size for ci in gi.compute_instances)) for gi in gpu.instances]
    return (gpu.error, gpu.mig_current, gpu.mig_pending, inner)


# -- what only reads ---------------------------------------------------------------------------------------------


def _info(nvml: Nvml, request: Request) -> Outcome:
    profiles = request.flag("profiles", False)
    state = read(nvml, processes=request.flag("processes", True), cards=profiles)
    data = {"profiles": {str(i): _card_json(card) for i, card in (state.cards or {}).items()}} if profiles else {}
    return Outcome(state, state, data=data)


def _driver(nvml: Nvml, request: Request) -> Outcome:
    least = request.params.get("minimum")
    if least is not None and not isinstance(least, str):
        raise BadRequest("minimum must be a driver version such as 580.159.04, as text")
    if least is not None:
        driver.version(least)
    state = read(nvml, processes=False)
    try:
        found = driver.check(state.driver_version, state.gpus, least)
    except MigError as error:
        return Outcome(state, state, error=error)
    data = {
        "driver_version": state.driver_version,
        "nvml_version": nvml.nvml_version(),
        "kernel_module_version": driver.kernel_module(),
        "gpus": found,
    }
    return Outcome(state, state, data=data)


def _verify(nvml: Nvml, request: Request) -> Outcome:
    entries = entries_from_json(request.params.get("entries"))
    state = read(nvml)
    try:
        wanted = wanted_gpus(state.gpus, entries)
    except MigError as error:
        return Outcome(state, state, error=error)
    found = differences(state, wanted)
    data = {"verified": sorted(wanted)}
    if not found:
        return Outcome(state, state, data=data)
    differs = NotAsWanted(
        "%d difference%s: %s" % (len(found), "" if len(found) == 1 else "s", "; ".join(found[:3])),
        next="apply the layout (with --check first, to see the steps)",
        differences=found,
    )
    return Outcome(state, state, data=data, error=differs)


# -- what changes ------------------------------------------------------------------------------------------------


def _plan_layout(state: State, request: Request) -> List[Step]:
    wanted = wanted_gpus(state.gpus, entries_from_json(request.params.get("entries")))
    enabling = [gpu for gpu in state.gpus if gpu.index in wanted and wanted[gpu.index].mig_enabled]
    driver.check(state.driver_version, enabling, None)
    return plan(state, wanted)


def _plan_mig_mode(state: State, request: Request) -> List[Step]:
    if "enabled" not in request.params:
        raise BadRequest("enabled is missing: true or false")
    enabled = request.flag("enabled", False)
    gpus = _capable(state, request, enabled)
    if enabled:
        driver.check(state.driver_version, gpus, None)
    return plan(state, {gpu.index: WantedGpu(enabled, None) for gpu in gpus})


def _plan_instances(state: State, request: Request) -> List[Step]:
    instances = instances_from_json(request.params.get("instances"), "instances")
    gpus = _capable(state, request, True)
    for gpu in gpus:
        if gpu.error is None and gpu.mig_capable and not (gpu.mig_current and gpu.mig_pending):
            raise ModeNotEffective(
                "%s: MIG mode is not enabled" % gpu.label, gpu=gpu.index, next="run mig_mode first, or apply a layout"
            )
    return plan(state, {gpu.index: WantedGpu(True, instances) for gpu in gpus})


def _plan_reset(state: State, request: Request) -> List[Step]:
    force = request.flag("force", False)
    planned = []
    for gpu in _selected(state, request):
        if not force and gpu.mig_current == gpu.mig_pending:
            continue
        if gpu.processes:
            raise GpuBusy(
                "%s is in use by process %d (%s) and cannot be reset"
                % (gpu.label, gpu.processes[0].pid, gpu.processes[0].command),
                gpu=gpu.index,
                next="move or stop this work, then run again; nothing was changed",
                holders=[dict(process._asdict()) for process in gpu.processes],
            )
        planned.append(Step(steps.RESET_GPU, gpu.index, gpu.uuid))
    return planned


def _selected(state: State, request: Request) -> List[Gpu]:
    return chosen(state.gpus, selectors(request.params.get("gpus", "all"), "gpus"))


def _capable(state: State, request: Request, needed: bool) -> List[Gpu]:
    """The selected GPUs; with ``all``, those without MIG are passed over where MIG is needed."""
    everything = request.params.get("gpus", "all") == "all"
    return [
        gpu
        for gpu in _selected(state, request)
        if gpu.mig_capable or gpu.error is not None or not (everything and needed)
    ]


def _card_json(card: Card) -> Dict[str, Any]:
    return {"source": card.source, "profiles": [dict(profile._asdict()) for profile in card.profiles]}


_READ_ONLY: Dict[str, Callable[[Nvml, Request], Outcome]] = {"info": _info, "driver": _driver, "verify": _verify}
_CHANGING: Dict[str, Callable[[State, Request], List[Step]]] = {
    "layout": _plan_layout,
    "mig_mode": _plan_mig_mode,
    "instances": _plan_instances,
    "reset": _plan_reset,
}
