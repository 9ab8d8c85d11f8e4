"""The queries, as text. Pure. Times are whole seconds; `select` is what stands between the braces.

One card or instance has many series over days: pods come and go and each gives it other labels. So what is asked for
is always an aggregate by the card's UUID and the instance.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MEMORY = "DCGM_FI_DEV_FB_USED"
FREE = "DCGM_FI_DEV_FB_FREE"
RESERVED = "DCGM_FI_DEV_FB_RESERVED"
TOTAL = "DCGM_FI_DEV_FB_TOTAL"
SM = "DCGM_FI_PROF_SM_ACTIVE"
ENGINE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
BUSY = "DCGM_FI_DEV_GPU_UTIL"
DEVICE = ("UUID", "GPU_I_ID", "GPU_I_PROFILE")
"""What names a card or an instance in dcgm-exporter's series; the UUID of an instance's rows is its card's."""

_FINEST = 2000  # steps of a window, at most
_BUCKET_S = 300
_POINTS = 2_000_000  # of a query, at most: a server refuses above 50 million unless told otherwise
_MOST_DEVICES = 500  # names in one regular expression


@dataclass(frozen=True)
class Window:
    """A window of so many seconds. `step_s`: how finely quantiles are made; `bucket_s`: how finely gaps are seen."""

    seconds: int

    @property
    def step_s(self) -> int:
        return max(math.ceil(self.seconds / _FINEST), 1)

    @property
    def bucket_s(self) -> int:
        return max(self.step_s, min(_BUCKET_S, self.seconds // 12), 1)

    @property
    def devices_at_once(self) -> int:
        """Cards of which one query may ask; a card may have seven instances."""
        return max(min(_POINTS // (self.seconds // self.step_s + 1), _MOST_DEVICES), 1)


def selector(uuids: Iterable[str], also: str = "") -> str:
    """The label matchers for these cards, and what the user adds."""
    pattern = "|".join(re.escape(each) for each in uuids)
    return ",".join(part for part in (f"UUID=~{json.dumps(pattern)}", also) if part)


def peak(metric: str, select: str, window: Window, by: Sequence[str] = DEVICE) -> str:
    """The highest sample."""
    return f"max by ({_labels(by)}) (max_over_time({metric}{{{select}}}[{window.seconds}s]))"


def p95(metric: str, select: str, window: Window, by: Sequence[str] = DEVICE) -> str:
    """The 95th percentile over time, of the highest at each step."""
    return (
        f"quantile_over_time(0.95, (max by ({_labels(by)}) ({metric}{{{select}}}))[{window.seconds}s:{window.step_s}s])"
    )


def samples(select: str, window: Window, by: Sequence[str] = DEVICE) -> str:
    """How many samples of memory there are."""
    return f"sum by ({_labels(by)}) (count_over_time({MEMORY}{{{select}}}[{window.seconds}s]))"


def buckets(select: str, window: Window, by: Sequence[str] = DEVICE) -> str:
    """In how many buckets of the window there is a sample."""
    inner = f"max by ({_labels(by)}) (count_over_time({MEMORY}{{{select}}}[{window.bucket_s}s]))"
    return f"count_over_time(({inner})[{window.seconds}s:{window.bucket_s}s])"


def total(metrics: Sequence[str], select: str, window: Window) -> str:
    """The highest sum of these metrics."""
    summed = " + ".join(f"{metric}{{{select}}}" for metric in metrics)
    return f"max by ({_labels(DEVICE)}) (max_over_time(({summed})[{window.seconds}s:{window.step_s}s]))"


def last(select: str, window: Window, by: Sequence[str]) -> str:
    """When the last sample was, seconds since the epoch."""
    return _time("max", select, window, by)


def first(select: str, window: Window, by: Sequence[str]) -> str:
    """When the first sample was, seconds since the epoch."""
    return _time("min", select, window, by)


def _time(which: str, select: str, window: Window, by: Sequence[str]) -> str:
    inner = f"timestamp({MEMORY}{{{select}}})"
    return f"{which} by ({_labels(by)}) ({which}_over_time({inner}[{window.seconds}s:{window.step_s}s]))"


def _labels(names: Sequence[str]) -> str:
    return ", ".join(names)
