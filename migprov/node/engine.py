"""Carrying a plan out: step by step, each asserted, each GPU by itself, written down before and after."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager, suppress
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set

from ..mig import steps
from ..mig.drain import Drain
from ..mig.errors import GpuBusy, MigError
from ..mig.history import as_entries
from ..mig.plan import Planned, predict, working
from ..mig.state import Gpu, State
from ..mig.steps import Step
from . import act, ending, journal, services
from .errors import EffectMissing, ServiceFailed, Stopped
from .holders import Holders
from .kernel import modules_on_top
from .nvml import Nvml
from .outcome import Outcome, differs, fared, first_of, hangs, now_of, passed_over, shape, unexpected
from .read import read
from .watchdog import Watchdog

_SETTLE_S = 10.0
_PAUSE_S = 0.2
_GRACE_S = 10.0  # between SIGTERM and SIGKILL, also where work on other GPUs has used up the time
_DRAINING = (steps.STOP_SERVICE, steps.WAIT_FOR_PROCESS, steps.END_PROCESS)
_SERVICES = (steps.STOP_SERVICE, steps.START_SERVICE)


class Options(NamedTuple):
    """How a plan is carried out. ``step_limit_s``: how long one step may take before the driver counts as hung.

    ``at_boot``: services that are started may be ordered after this run, so none is waited for.
    """

    task: str
    who: str
    drain: Drain
    stop_on_error: bool
    step_limit_s: float
    hung: Callable[[Outcome], None]
    at_boot: bool = False


class Engine:
    """One run of a plan on one node. The node's lock is held by the caller."""

    def __init__(self, nvml: Nvml, before: State, planned: Planned, options: Options) -> None:
        self._nvml = nvml
        self._before = before
        self._planned = planned
        self._options = options
        self._done: List[Step] = []
        self._undone: List[Step] = []
        self._failed: Dict[Optional[int], MigError] = {error.gpu: error for error in planned.refused}
        self._stopped_units: List[str] = []
        self._passed_over: Set[int] = set()
        self._asked: Set[Optional[int]] = set()
        self._asked_at = 0.0
        self._drain_until: Optional[float] = None
        self._ended = False
        self._change = ""

    def run(self) -> Outcome:
        """Do the steps. Nothing is raised once the first one has begun: failures are in the outcome."""
        planned = self._planned.steps
        if not planned:
            return self._finish()
        with self._until_told_to_end():
            self._change = journal.begin(
                self._options.who,
                self._options.task,
                as_entries(self._before, {step.gpu for step in planned if step.gpu is not None}),
                [step.to_json() for step in planned],
                [step.unit for step in planned if step.action == steps.START_SERVICE],
            )
            self._all_steps()
            return self._finish()

    # -- the steps -------------------------------------------------------------------------------------------

    def _all_steps(self) -> None:
        try:
            for step in self._planned.steps:
                if step.action == steps.START_SERVICE:
                    continue
                if self._ended and step.gpu is not None:
                    self._failed.setdefault(step.gpu, _told_to_end(self._before.gpu(step.gpu)))
                if self._failed and self._options.stop_on_error and step.gpu is not None:
                    self._passed_over.add(step.gpu)
                elif step.gpu not in self._failed:
                    self._one_step(step)
        finally:
            self._start_services()

    def _one_step(self, step: Step) -> None:
        try:
            self._patiently(step)
        except Exception as failure:  # whatever it was: what has been done so far must be told
            self._failed[step.gpu] = error = failure if isinstance(failure, MigError) else unexpected(failure)
            if step.action == steps.STOP_SERVICE:
                self._held_by(step.unit, error)
            elif step.action == steps.END_PROCESS:
                self._tell_asked(step, error)
            own = [other for other in self._done if other.gpu == step.gpu]
            limit = self._options.step_limit_s * 4
            with Watchdog(limit, lambda: self._hang(step.gpu, "taking back what was done", limit)):
                left = act.undo(self._nvml, own, self._undone)
            if left is not None:
                error.message += "; not all that was done could be taken back: %s" % left.message
            return
        self._done.append(step)

    def _held_by(self, unit: str, error: MigError) -> None:
        """A service that does not stop is in the way on every GPU for which it was to be stopped."""
        for needed, gpu in self._planned.needed:
            if needed == unit and gpu not in self._failed:
                message = "GPU %d is held by %s: %s" % (gpu, unit, error.message)
                self._failed[gpu] = ServiceFailed(message, gpu=gpu, next=error.next)

    def _limit(self, step: Step) -> float:
        limit = self._options.step_limit_s
        return limit + (self._options.drain.timeout_s + _SETTLE_S if step.action in _DRAINING else 0.0)

    def _patiently(self, step: Step) -> None:
        """After processes were ended the driver may still call the GPU in use for a moment; that is waited out."""
        cleared = any(other.action in _DRAINING for other in self._done)
        limit = time.monotonic() + (_SETTLE_S if cleared else 0.0)
        allowed = self._limit(step)
        while True:
            try:
                with Watchdog(allowed, lambda: self._hang(step.gpu, "the step %s" % step.action, allowed)):
                    self._perform(step)
                return
            except GpuBusy as error:
                if step.action in _DRAINING or time.monotonic() >= limit:
                    with Watchdog(allowed, lambda: self._hang(step.gpu, "looking who uses it", allowed)):
                        named = self._named(error, step)
                    raise named from None
            time.sleep(_PAUSE_S)

    def _perform(self, step: Step) -> None:
        if step.action == steps.STOP_SERVICE:
            self._stopped_units.append(step.unit)  # also where stopping fails half-way: it is started again
            services.stop(step.unit)
        elif step.action == steps.WAIT_FOR_PROCESS:
            ending.wait(step, self._deadline(), lambda: self._ended, lambda: self._lists(step))
        elif step.action == steps.END_PROCESS:
            self._ask_all_on(step.gpu)
            ending.end(step, self._deadline(step.gpu), lambda: self._ended)
        else:
            act.perform(self._nvml, step)

    def _lists(self, step: Step) -> bool:
        return any(client.pid == step.pid for client in self._nvml.clients(step.uuid))

    def _ask_all_on(self, gpu: Optional[int]) -> None:
        """All that has to go from a GPU is asked at once, so that each has the whole time to end."""
        if gpu not in self._asked:
            ending.ask([step for step in self._planned.steps if (step.action, step.gpu) == (steps.END_PROCESS, gpu)])
            self._asked.add(gpu)
            self._asked_at = time.monotonic()

    def _tell_asked(self, failed: Step, error: MigError) -> None:
        """What became of the processes that were asked to end together with the one that did not."""
        if failed.gpu not in self._asked:
            return
        own = [step for step in self._planned.steps if (step.action, step.gpu) == (failed.action, failed.gpu)]
        others = own[own.index(failed) + 1 :]
        self._done += [step for step in others if not ending.runs(step)]
        still = [str(step.pid) for step in others if ending.runs(step)]
        if still:
            error.message += "; asked to end too, and still there: %s" % ", ".join(still)

    def _deadline(self, asked: Optional[int] = None) -> float:
        """One deadline for all work that has to go, counted from the first; some grace for each GPU that was asked."""
        if self._drain_until is None:
            self._drain_until = time.monotonic() + self._options.drain.timeout_s
        if asked is None:
            return self._drain_until
        return max(self._drain_until, self._asked_at + min(self._options.drain.timeout_s, _GRACE_S))

    def _named(self, error: GpuBusy, step: Step) -> GpuBusy:
        """The same error with the holders as they are now, or the kernel modules where there is no process."""
        if error.holders or step.gpu is None:
            return error
        gpu = self._before.gpu(step.gpu)
        try:
            found = Holders().of_gpu(gpu.minor, self._nvml.clients(gpu.uuid))
        except MigError:
            return error
        error.holders = [dict(process._asdict()) for process in found]
        if found:
            error.message += "; it is held by %s" % ", ".join(process.label for process in found[:5])
        elif modules_on_top():
            error.message += "; no process holds it: a kernel module may (%s)" % ", ".join(modules_on_top())
            error.next = "unload the module that holds it, such as nvidia_drm (modprobe -r), then run again"
        return error

    def _start_services(self) -> None:
        """Start again whatever was stopped, by this run or by one that died, whatever happened in between."""
        for step in self._planned.steps:
            if step.action != steps.START_SERVICE:
                continue
            stopped_here = any(other.unit == step.unit for other in self._planned.steps if other is not step)
            if stopped_here and step.unit not in self._stopped_units:
                continue
            try:
                services.start(step.unit, wait=not self._options.at_boot)
            except MigError as failure:
                self._failed.setdefault(None, failure)
            else:
                self._done.append(step)

    # -- the end ---------------------------------------------------------------------------------------------

    def _finish(self) -> Outcome:
        after: Optional[State] = None
        try:
            limit = self._options.step_limit_s
            with Watchdog(limit, lambda: self._hang(None, "reading the node after the change", limit)):
                after = read(self._nvml)
        except Exception as failure:  # whatever it was: what has been done so far must be told
            self._failed.setdefault(None, failure if isinstance(failure, MigError) else unexpected(failure))
        if after is not None:
            self._compare(after)
        outcome = self._outcome(after)
        if self._change:
            result, message = ("failed", str(outcome.error)) if outcome.error else ("done", "")
            try:
                journal.end(self._change, result, message, after is None or differs(self._before, after))
            except MigError as failure:
                return outcome._replace(error=outcome.error or failure)
        return outcome

    def _compare(self, after: State) -> None:
        expected = predict(self._before, self._planned.steps)
        planned = {step.gpu for step in self._planned.steps if step.gpu is not None}
        for index in planned - set(self._failed) - self._passed_over:
            was = self._before.gpu(index)
            now = now_of(was, after)
            healed = was.error is not None  # what such a GPU would be could not be foreseen
            if now is None:
                self._failed[index] = EffectMissing(
                    "%s: every step reported success, and the GPU is gone" % was.label,
                    gpu=index,
                    next="look at dmesg, and who may have taken it away; info tells which GPUs there are",
                )
            elif now.error is not None or (not healed and shape(expected.gpu(index)) != shape(now)):
                self._failed[index] = EffectMissing(
                    "%s: every step reported success, and the GPU is not as planned" % now.label,
                    gpu=index,
                    next="look at before and after; another program may be changing this node",
                )
            elif now.needs_reset and Step(steps.RESET_GPU, index, was.uuid) in self._done:
                self._failed[index] = EffectMissing(
                    "%s: its reset reported success, and it still needs one: %s" % (now.label, now.needs_reset),
                    gpu=index,
                    next="reboot the node; where that does not help either, the card needs replacement",
                )
            elif self._options.task == "drain":
                self._compare_work(now)

    def _compare_work(self, now: Gpu) -> None:
        came = working(now, self._options.drain)
        if came:
            self._failed[now.index] = GpuBusy(
                "%s is in use again, by %s" % (now.label, ", ".join(process.label for process in came[:5])),
                gpu=now.index,
                next="stop the unit or the job that starts it, then run again",
                holders=[dict(process._asdict()) for process in came],
            )

    def _outcome(self, after: Optional[State]) -> Outcome:
        begun = {step.gpu for step in self._done if step.action not in _SERVICES}
        touched = {step.gpu for step in self._done if step.action not in (*_SERVICES, steps.WAIT_FOR_PROCESS)}
        results: Dict[str, Any] = {}
        for index in sorted(i for i in begun | set(self._failed) | self._passed_over if i is not None):
            error = self._failed.get(index)
            if error is None and index in self._passed_over:
                error = passed_over(self._before.gpu(index))
            results[str(index)] = fared(("failed" if index in touched else "refused") if error else "done", error)
        return Outcome(
            self._before,
            after,
            self._planned.steps,
            self._done,
            self._undone,
            {"gpus": results},
            first_of(list(self._failed.values())),
        )

    def _hang(self, gpu: Optional[int], what: str, limit_s: float) -> None:
        """Called from the watchdog's thread: the driver does not answer, so neither can this run go on."""
        error = hangs(gpu, what, limit_s)
        self._failed = {gpu: error, **{other: known for other, known in self._failed.items() if other != gpu}}
        try:
            self._start_services()
            with suppress(MigError):
                journal.end(self._change, "interrupted", error.message)
        finally:
            self._options.hung(self._outcome(None))

    @contextmanager
    def _until_told_to_end(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the run after the step in hand; a lost terminal does not end it at all."""

        def told(number: int, frame: object) -> None:
            self._ended = True

        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        saved = {number: signal.getsignal(number) for number in numbers}
        for number in numbers:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else told)
        try:
            yield
        finally:
            for number, handler in saved.items():
                signal.signal(number, handler)


def _told_to_end(gpu: Gpu) -> Stopped:
    message = "%s: the run was told to end before this GPU's turn was over" % gpu.label
    return Stopped(message, gpu=gpu.index, next="run again: it goes on from here")
