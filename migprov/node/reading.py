"""The tasks that only read. What just one of them uses is imported where it is used: most requests are these."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ..mig.errors import BadRequest, MigError
from ..mig.profiles import Card
from . import journal
from .nvml import Nvml
from .outcome import Outcome
from .read import read
from .request import Request


def _info(nvml: Nvml, request: Request) -> Outcome:
    profiles = request.flag("profiles", False)
    with_caps = request.flag("caps", False)
    state = read(nvml, processes=request.flag("processes", True), cards=profiles)
    if with_caps:
        from . import caps

        state = caps.with_minors(state)
    data: Dict[str, Any] = journal.as_data(journal.interrupted())
    if profiles:
        data["profiles"] = {str(i): _card_json(card) for i, card in (state.cards or {}).items()}
    return Outcome(state, state, data=data)


def _usage(nvml: Nvml, request: Request) -> Outcome:
    from . import usage

    state = read(nvml)
    return Outcome(state, state, data={"usage": usage.measure(nvml, state.gpus)})


def _history(nvml: Nvml, request: Request) -> Outcome:
    state = read(nvml)
    return Outcome(state, state, data={"changes": [dict(change._asdict()) for change in journal.changes()]})


def _driver(nvml: Nvml, request: Request) -> Outcome:
    from . import driver, kernel

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
        "kernel_module_version": kernel.module_version(),
        "gpus": found,
    }
    return Outcome(state, state, data=data)


def _verify(nvml: Nvml, request: Request) -> Outcome:
    from ..mig.compare import differences
    from ..mig.select import wanted_gpus
    from ..mig.wanted import entries_from_json
    from .errors import NotAsWanted

    entries = entries_from_json(request.params.get("entries"))
    with_cuda = request.flag("cuda", False)
    state = read(nvml)
    died = journal.as_data(journal.interrupted())
    try:
        wanted = wanted_gpus(state.gpus, entries)
    except MigError as error:
        return Outcome(state, state, data=died, error=error)
    found = differences(state, wanted)
    data: Dict[str, Any] = {"verified": sorted(wanted), **died}
    if with_cuda and not found:
        from . import cuda

        data["cuda"] = cuda.check([state.gpu(index) for index in sorted(wanted)], request.step_limit_s)
        found = cuda.failures(data["cuda"])
    if not found:
        return Outcome(state, state, data=data)
    differs = NotAsWanted(
        "%d difference%s: %s" % (len(found), "" if len(found) == 1 else "s", "; ".join(found[:3])),
        next="apply the layout (with --check first, to see the steps)",
        differences=found,
    )
    return Outcome(state, state, data=data, error=differs)


def _card_json(card: Card) -> Dict[str, Any]:
    return {"source": card.source, "profiles": [dict(profile._asdict()) for profile in card.profiles]}


TASKS: Dict[str, Callable[[Nvml, Request], Outcome]] = {
    "info": _info,
    "driver": _driver,
    "verify": _verify,
    "history": _history,
    "usage": _usage,
}
