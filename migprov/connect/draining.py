"""How work in the way of a change is dealt with: as a caller says it, and as it goes over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import BadRequest
from ..mig.drain import REFUSE, Drain
from ..mig.errors import BadRequest as NotADrain

Policy: TypeAlias = str | Mapping[str, Any]
"""What to do with work in the way: `refuse`, `wait` or `terminate`, or `{"policy", "timeout_s", "agents"}`."""


def drain_params(policy: Policy, timeout_s: float | None, agents: Sequence[str] | None) -> dict[str, Any]:
    """The `drain` of a request; what is None is the node's default, or what the mapping says.

    Raises:
        BadRequest: there is no such policy, time or unit.
    """
    given: dict[str, Any] = {"policy": policy} if isinstance(policy, str) else dict(policy)
    if timeout_s is not None:
        given["timeout_s"] = timeout_s
    if agents is not None:
        # a single name would be taken for a list of letters
        given["agents"] = agents if isinstance(agents, str) else list(agents)
    try:
        Drain.from_json(given)
    except NotADrain as error:
        raise BadRequest(f"{error.message}.") from None
    return given


def waiting_s(drain: Any) -> float:
    """How long a request with this `drain` may wait for work to end, in seconds, on top of what it does itself."""
    try:
        known = Drain.from_json(drain)
    except NotADrain:  # the node refuses it at once
        return 0.0
    return 0.0 if known.policy == REFUSE else known.timeout_s
