"""The tasks that change. Each is: read, plan, do the steps, read again; what differs is only what is wanted."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import Any, Callable, Dict, List, Optional, Set

from ..mig import steps
from ..mig.drain import Drain, clear
from ..mig.errors import BadRequest, MigError
from ..mig.plan import Planned, plan_node, planned, predict, refuse_if_not_answering, working
from ..mig.select import chosen, wanted_gpus
from ..mig.state import Gpu, State
from ..mig.steps import Step
from ..mig.wanted import WantedGpu, entries_from_json, instances_from_json, selectors
from . import driver, journal, lock, services
from .errors import ModeNotEffective, NoHistory
from .nvml import Nvml
from .outcome import Outcome, fared, first_of, hung_in, passed_over
from .read import read
from .request import Request
from .watchdog import Watchdog

Planner = Callable[[State, Request], Planned]

_BOOT = "boot"  # what the journal calls a layout that was restored at boot


def run(nvml: Nvml, request: Request, hung: Callable[[Outcome], None]) -> Outcome:
    """Run the request's task. Raises MigError only when nothing was changed; later failures are in the outcome.

    ``hung`` is called with what is known when the driver stops answering; it is expected to end the process.
    """
    planner = _CHANGING[request.task]
    data: Dict[str, Any] = {"lock": lock.holder()} if request.check else {}
    with nullcontext() if request.check else lock.locked(request.wait_s):
        with Watchdog(request.step_limit_s, lambda: hung(hung_in("reading the node", request.step_limit_s))):
            before = read(nvml, cards=True)
        died = journal.interrupted()
        data.update(journal.as_data(died))
        try:
            plan = _with_left_over(planner(before, request), died)
        except MigError as error:
            if not request.check:
                _start_left_over(died)
            return Outcome(before, before, error=error, data=data)
        if plan.refused:
            data["gpus"] = {str(error.gpu): fared("refused", error) for error in plan.refused}
            if request.flag("stop_on_error", False) or not plan.steps:
                if not request.check:
                    _start_left_over(died)
                waiting = {step.gpu for step in plan.steps if step.gpu is not None}
                data["gpus"].update((str(index), fared("refused", passed_over(before.gpu(index)))) for index in waiting)
                data["gpus"] = {index: data["gpus"][index] for index in sorted(data["gpus"], key=int)}
                return Outcome(before, before, plan.steps, error=first_of(plan.refused), data=data)
        if request.check:
            after = predict(before, plan.steps)
            return Outcome(before, after, plan.steps, plan.steps, data=data, error=first_of(plan.refused))
        if not plan.steps:
            if died is not None and _gpus(died, before) <= plan.about:
                journal.continued(died, "found in place by a later run")
            return Outcome(before, before, data=data)
        outcome = _carry_out(nvml, before, plan, request, hung)
        if died is not None and outcome.error is None and _gpus(died, before) <= plan.about:
            journal.continued(died, "brought to an end by a later run")
        return outcome._replace(data={**data, **(outcome.data or {})})


def _carry_out(nvml: Nvml, before: State, plan: Planned, request: Request, hung: Callable[[Outcome], None]) -> Outcome:
    from .engine import Engine, Options  # most plans are empty

    options = Options(
        _BOOT if request.at_boot else request.task,
        request.who,
        Drain.from_json(request.params.get("drain")),
        request.flag("stop_on_error", False),
        request.step_limit_s,
        hung,
        request.at_boot,
    )
    return Engine(nvml, before, plan, options).run()


def _with_left_over(plan: Planned, died: Optional[journal.Change]) -> Planned:
    """The plan, with the start of services that a run which died had stopped."""
    started = {step.unit for step in plan.steps if step.action == steps.START_SERVICE}
    left = [unit for unit in _left_over(died) if unit not in started]
    return plan._replace(steps=(*plan.steps, *(Step(steps.START_SERVICE, None, "", unit=u) for u in left)))


def _gpus(change: journal.Change, here: State) -> Set[int]:
    """The GPUs, by index, that a change was to touch, as far as they are still there."""
    touched = [step.get("gpu") for step in change.planned]
    return {gpu.index for gpu in here.gpus if gpu.index in touched}


def _left_over(died: Optional[journal.Change]) -> List[str]:
    return [unit for unit in (died.services if died else []) if not services.is_active(unit)]


def _start_left_over(died: Optional[journal.Change]) -> None:
    """Whatever becomes of this request, what the run that died had stopped comes back."""
    for unit in _left_over(died):
        with suppress(MigError):
            services.start(unit)


def _plan_layout(state: State, request: Request) -> Planned:
    return _plan_entries(state, request, request.params.get("entries"))


def _plan_entries(state: State, request: Request, entries: Any) -> Planned:
    wanted = wanted_gpus(state.gpus, entries_from_json(entries))
    enabling = [gpu for gpu in state.gpus if gpu.index in wanted and wanted[gpu.index].mig_enabled]
    driver.check(state.driver_version, enabling, None)
    return plan_node(state, wanted, _drain(request))


def _plan_rollback(state: State, request: Request) -> Planned:
    # what a boot restored is no change that anybody made: going back before it would leave the cards empty
    known = [change for change in journal.changes() if change.before and change.changed and change.task != _BOOT]
    while known and _unfinished_rollback(known[-1]):
        known.pop()  # it was on its way back before the change that precedes it, and is taken up again
    if not known:
        raise NoHistory(
            "the journal of this node holds no change to go back before",
            next="apply the layout that is wanted; nothing was changed",
        )
    return _plan_entries(state, request, known[-1].before)


def _unfinished_rollback(change: journal.Change) -> bool:
    return change.task == "rollback" and change.result in ("failed", "interrupted") and not change.continued


def _drain(request: Request) -> Drain:
    return Drain.from_json(request.params.get("drain"))


def _plan_mig_mode(state: State, request: Request) -> Planned:
    if "enabled" not in request.params:
        raise BadRequest("enabled is missing: true or false")
    enabled = request.flag("enabled", False)
    gpus = _capable(state, request, enabled)
    if enabled:
        driver.check(state.driver_version, gpus, None)
    return plan_node(state, {gpu.index: WantedGpu(enabled, None) for gpu in gpus}, _drain(request))


def _plan_instances(state: State, request: Request) -> Planned:
    instances = instances_from_json(request.params.get("instances"), "instances")
    gpus = _capable(state, request, True)
    for gpu in gpus:
        if gpu.error is None and gpu.mig_capable and not (gpu.mig_current and gpu.mig_pending):
            raise ModeNotEffective(
                "%s: MIG mode is not enabled" % gpu.label, gpu=gpu.index, next="run mig_mode first, or apply a layout"
            )
    return plan_node(state, {gpu.index: WantedGpu(True, instances) for gpu in gpus}, _drain(request))


def _plan_reset(state: State, request: Request) -> Planned:
    force = request.flag("force", False)
    done: List[Step] = []
    refused: List[MigError] = []
    for gpu in _selected(state, request):
        try:
            if gpu.needs_reset is None:
                refuse_if_not_answering(gpu)
                if not force and gpu.mig_current == gpu.mig_pending:
                    continue
            done += clear(gpu, gpu.processes, "it would be reset", _drain(request))
            done.append(Step(steps.RESET_GPU, gpu.index, gpu.uuid))
        except MigError as error:
            refused.append(error)
    return planned(done, refused)


def _plan_drain(state: State, request: Request) -> Planned:
    """Work goes, agents stay: they are stopped only around a change."""
    done: List[Step] = []
    refused: List[MigError] = []
    drain = _drain(request)
    for gpu in _selected(state, request):
        try:
            done += clear(gpu, working(gpu, drain), "it is to be drained", drain)
        except MigError as error:
            refused.append(error)
    return planned(done, refused)


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


_CHANGING: Dict[str, Planner] = {
    "layout": _plan_layout,
    "mig_mode": _plan_mig_mode,
    "instances": _plan_instances,
    "reset": _plan_reset,
    "drain": _plan_drain,
    "rollback": _plan_rollback,
}
