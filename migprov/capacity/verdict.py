"""Who is hollow: a verdict on each card and instance, with the reasons in words and numbers. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from .demand import accepts
from .model import HEADROOM, WHOLE, Workload
from .products import Offer, ProductData, all_products
from .usage import Usage

Kind = Literal["full", "hollow", "idle", "unknown"]
"""full: nothing smaller would do. hollow: something smaller would. idle: not used. unknown: too little is known."""

IDLE_MEMORY_MIB = 128
"""What a card uses that nobody uses, at most."""
_MIB = 1024
_SIZES_DIFFER = 1.05  # drivers and boards of one product differ by a little from the table


@dataclass(frozen=True)
class Thresholds:
    """What the verdicts go by.

    `headroom`: added to the memory, a share of it. `memory`: which figure has to fit, the peak or the 95th
    percentile. `idle_memory_mib`: what a card uses that nobody uses, at most (the driver's own is not counted; a CUDA
    context takes more than this). `idle_activity`: SM activity and utilisation, 0 to 1, up to which nobody is at work.
    `min_samples` and `min_covered` (a share of the window): with less of either the verdict is unknown.
    """

    headroom: float = HEADROOM
    memory: Literal["peak", "p95"] = "peak"
    idle_memory_mib: int = IDLE_MEMORY_MIB
    idle_activity: float = 0.02
    min_samples: int = 10
    min_covered: float = 0.5


@dataclass(frozen=True)
class Verdict:
    """`fits` is the smallest profile that would do for a hollow one, None where the product has none or is not known.

    `needed_mib` is the memory with headroom, `unused_mib` what is beyond it; None where the memory is not known.
    """

    usage: Usage
    kind: Kind
    reasons: tuple[str, ...]
    fits: str | None = None
    needed_mib: int | None = None

    @property
    def unused_mib(self) -> int | None:
        """Memory of the card or instance beyond what is needed, MiB."""
        total = self.usage.memory_total_mib
        if total is None or self.needed_mib is None or self.kind == "unknown":
            return None
        return total if self.kind == "idle" else max(total - self.needed_mib, 0)


def judge(usage: Usage, thresholds: Thresholds | None = None) -> Verdict:
    """The verdict on a card's or an instance's own row."""
    by = thresholds or Thresholds()
    if doubts := _doubts(usage, by):
        return Verdict(usage, "unknown", tuple(doubts))
    used = _used(usage, by)
    if used is None:  # _doubts has said so; this is for the type
        return Verdict(usage, "unknown", ("its memory is not known",))
    if idle := _idle(usage, by):
        return Verdict(usage, "idle", tuple(idle), needed_mib=0)
    return _by_size(usage, used, by)


def _used(usage: Usage, by: Thresholds) -> int | None:
    return usage.memory_peak_mib if by.memory == "peak" else usage.memory_p95_mib


def _doubts(usage: Usage, by: Thresholds) -> list[str]:
    found = []
    if usage.samples < by.min_samples:
        found.append(f"{_count(usage.samples, 'sample')} in {span(usage.window_s)}, {by.min_samples} are needed")
    if usage.covered < by.min_covered:
        found.append(
            f"there are samples for {_percent(usage.covered)} of {span(usage.window_s)}, "
            f"{_percent(by.min_covered)} are needed"
        )
    if not usage.current:
        found.append("it was not seen any more at the end of the window: cut anew, removed, or no longer measured")
    if _used(usage, by) is None:
        found.append("the memory in use is not known for the whole time")
    if usage.memory_total_mib is None:
        found.append("its size is not known")
    elif cannot_be(usage):
        peak, total = gib(usage.memory_peak_mib or 0), gib(usage.memory_total_mib)
        found.append(f"{peak} in use are more than the {total} that it has: one of the two is wrong")
    return found


def cannot_be(usage: Usage) -> bool:
    """Whether more was in use than there is, as where MiB were taken for GiB."""
    return (usage.memory_peak_mib or 0) > (usage.memory_total_mib or math.inf) * _SIZES_DIFFER


def _idle(usage: Usage, by: Thresholds) -> list[str]:
    """Why it is idle; empty when it is not."""
    peak = usage.memory_peak_mib or 0
    activity = {"SM activity": usage.sm_peak, "utilisation": usage.util_peak}
    known = {name: value for name, value in activity.items() if value is not None}
    if peak > by.idle_memory_mib or any(value > by.idle_activity for value in known.values()):
        return []
    in_use = f"at most {peak} MiB were in use in {span(usage.window_s)}"
    reasons = [f"{in_use}; up to {by.idle_memory_mib} MiB count as nobody's"]
    if known:
        return [*reasons, ", ".join(f"{name} at most {_percent(value)}" for name, value in known.items())]
    return [*reasons, "its activity was not measured"]


def _by_size(usage: Usage, used: int, by: Thresholds) -> Verdict:
    total = usage.memory_total_mib or 0
    wish = Workload("", used, headroom=by.headroom, sms=_sms(usage))
    which = "peak" if by.memory == "peak" else "95th percentile"
    need = f"{which} {gib(used)}, with {_percent(by.headroom)} headroom {gib(wish.needed_mib)} of {gib(total)}"
    at_work = _activity(usage, wish.sms)
    product = all_products().get(usage.product or "")
    if product is None:
        return _without_product(usage, wish.needed_mib, need)
    fits = _smallest(wish, product, usage)
    if fits is None:
        inside = "" if usage.profile is None else f" than {usage.profile}"
        why = f"no smaller profile{inside} of {product.key} has that"
        return Verdict(usage, "full", (need, why, *at_work), needed_mib=wish.needed_mib)
    has = f"{fits.name} would do: {gib(fits.memory_mib or 0)}" + (f", {fits.sms} SMs" if fits.sms else "")
    return Verdict(usage, "hollow", (need, has, *at_work), fits.name, wish.needed_mib)


def _without_product(usage: Usage, needed: int, need: str) -> Verdict:
    """A product without MIG, or one that the table does not have: hollow when half of it would do."""
    name = usage.model or usage.product or "this product"
    if needed * 2 <= (usage.memory_total_mib or 0):
        return Verdict(usage, "hollow", (need, f"less than half; no profiles are known of {name}"), None, needed)
    return Verdict(usage, "full", (need, f"more than half; no profiles are known of {name}"), needed_mib=needed)


def _smallest(wish: Workload, product: ProductData, usage: Usage) -> Offer | None:
    """The smallest profile that is enough and takes less of the card than what is there now.

    Media extensions are for those that ask for them, and a card has one set: such a profile is not proposed. What takes
    less than a profile that the table does not have is told by its memory.
    """
    offers = (product.offer(name) for name in accepts(wish, product) if name != WHOLE and "+" not in name)
    now, total = product.find(usage.profile or WHOLE), usage.memory_total_mib or 0
    if now is not None:
        fitting = [each for each in offers if each.memory_slices < now.memory_slices]
    else:
        fitting = [each for each in offers if (each.memory_mib or total) < total]
    return min(fitting, key=lambda each: (each.memory_slices, each.sms or 0, each.name), default=None)


def _sms(usage: Usage) -> int | None:
    """How many SMs were at work, by the 95th percentile of SM activity; None where that was not measured."""
    product = all_products().get(usage.product or "")
    if product is None or usage.sm_p95 is None:
        return None
    has = product.find(usage.profile or WHOLE)
    return None if has is None or has.sms is None else max(math.ceil(round(usage.sm_p95 * has.sms, 6)), 1)


def _activity(usage: Usage, sms: int | None) -> list[str]:
    found = []
    if usage.sm_p95 is not None:
        inside = f", about {sms} SMs" if sms is not None else ""
        found.append(f"SM activity 95th percentile {_percent(usage.sm_p95)}{inside}")
    elif usage.util_p95 is not None:
        # A kernel on one SM makes a card busy: utilisation tells when, not how much.
        found.append(
            f"utilisation 95th percentile {_percent(usage.util_p95)}; how many SMs that takes was not measured"
        )
    return found


def gib(mib: float) -> str:
    """`9.6 GiB`; below a tenth of that, in MiB."""
    return f"{mib:.0f} MiB" if mib < _MIB / 10 else f"{mib / _MIB:.1f} GiB"


def span(seconds: float) -> str:
    """A window in its largest fitting unit: `14 d`, `36 h`, `90 s`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            return f"{round(seconds / size, 1):g} {unit}"
    return f"{seconds:g} s"


def _percent(share: float) -> str:
    return f"{round(share * 100, 1):g} %"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
