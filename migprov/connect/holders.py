"""Who holds the chosen GPUs, out of the state that `info` gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..mig.select import chosen
from ..mig.state import Gpu
from ..mig.wanted import Selectors


def holders(state: Mapping[str, Any], gpus: Selectors) -> dict[str, list[dict[str, Any]]]:
    """`holders`: the processes of the chosen GPUs, each with `gpu` (index) and `uuid` beside what the state says of it.

    `unread`: `gpu`, `code` and `message` of those that do not answer, whose holders nobody knows.

    Raises:
        migprov.mig.errors.UnknownGpu: the node has no such GPU.
    """
    known = {each["index"]: each for each in state["gpus"]}
    named = [Gpu(each["index"], each.get("uuid") or "", each.get("pci_bus_id") or "") for each in state["gpus"]]
    selected = [known[gpu.index] for gpu in chosen(named, gpus)]
    return {
        "holders": [
            {"gpu": gpu["index"], "uuid": gpu["uuid"], **process}
            for gpu in selected
            for process in gpu.get("processes") or ()
        ],
        "unread": [{"gpu": gpu["index"], **gpu["error"]} for gpu in selected if gpu.get("error")],
    }
