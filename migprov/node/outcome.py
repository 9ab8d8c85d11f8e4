"""What a task came to, and the errors that any task can end in."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Sequence

from ..mig.errors import MigError
from ..mig.state import Gpu, State
from ..mig.steps import Step
from .errors import DriverHangs, Stopped


class Outcome(NamedTuple):
    """What a task did. ``error`` is set when it failed; then ``steps`` were done and ``undone`` taken back."""

    before: Optional[State]
    after: Optional[State]
    planned: Sequence[Step] = ()
    steps: Sequence[Step] = ()
    undone: Sequence[Step] = ()
    data: Optional[Dict[str, Any]] = None
    error: Optional[MigError] = None


def shape(gpu: Gpu) -> Any:
    """What a plan decides about a GPU: mode, instances and what is inside them."""
    inner = [(gi.profile_id, gi.start, sorted(ci.size for ci in gi.compute_instances)) for gi in gpu.instances]
    return (gpu.error, gpu.mig_current, gpu.mig_pending, inner)


def differs(before: State, after: State) -> bool:
    """Whether the layout of any GPU that answers is another than before."""
    pairs = [(gpu, now_of(gpu, after)) for gpu in before.gpus]
    return any(now and not was.error and not now.error and shape(was) != shape(now) for was, now in pairs)


def now_of(gpu: Gpu, after: State) -> Optional[Gpu]:
    """The same GPU in a later state, whatever index it has there; None when it is gone."""
    for now in after.gpus:
        if now.uuid == gpu.uuid if gpu.uuid and now.uuid else now.index == gpu.index:
            return now
    return None


def fared(result: str, error: Optional[MigError]) -> Dict[str, Any]:
    """How one GPU fared, for ``data``: ``done``, ``failed`` or ``refused``."""
    told = None if error is None else {"code": error.code, "message": error.message, "next": error.next}
    return {"result": result, "error": told}


def passed_over(gpu: Gpu) -> Stopped:
    """The error of a GPU that stop_on_error kept from its turn."""
    message = "%s: nothing was done, since another GPU failed first and stop_on_error is set" % gpu.label
    return Stopped(message, gpu=gpu.index, next="see that GPU")


def first_of(errors: Sequence[MigError]) -> Optional[MigError]:
    """The error to tell of several, with their number in it."""
    if len(errors) > 1:
        errors[0].message = "%s (and %d more failed)" % (errors[0].message, len(errors) - 1)
    return errors[0] if errors else None


def hangs(gpu: Optional[int], what: str, limit_s: float) -> DriverHangs:
    """The error for a driver that did not come back from ``what`` within ``limit_s`` seconds."""
    return DriverHangs(
        "%s%s did not end within %g s: the driver hangs" % ("" if gpu is None else "GPU %d: " % gpu, what, limit_s),
        gpu=gpu,
        next="look at dmesg for Xid; the node may need a reboot; run again after that: it goes on from there",
    )


def hung_in(what: str, limit_s: float) -> Outcome:
    """The outcome of a task whose reading never came back."""
    return Outcome(None, None, error=hangs(None, what, limit_s))


def unexpected(failure: Exception) -> MigError:
    """A failure that no code foresaw, as an error that says where it came from."""
    import traceback  # takes long, and should not be needed

    where = " ".join(" ".join(traceback.format_tb(failure.__traceback__)[-1:]).split())
    return MigError(
        "the node program failed: %s: %s" % (type(failure).__name__, failure),
        next="run info to see the node's state, and report this as a bug of migprov: %s" % where,
    )
