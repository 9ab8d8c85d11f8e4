"""Nodes that have the same to say, told together: what a fleet of thousands comes to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ..fleet.grouped import hosts
from ..result import Result
from . import output, text

if TYPE_CHECKING:
    from rich.console import RenderableType

_ANY = "node"
_UUID = re.compile(r" \(GPU-[0-9a-f-]{36}\)")


class Folded:
    """Blocks of text, each with the names of those nodes it is true of. Keeps text and names, no results."""

    def __init__(self, brief: Callable[[Result], Iterable[RenderableType]]) -> None:
        self._brief = brief
        self._names: dict[tuple[bool, str, str], list[str]] = {}

    def add(self, result: Result) -> None:
        first, *rest = self._brief(_anonymous(result))
        # UUIDs differ from node to node; the index beside each says which GPU is meant.
        headline = output.rendered([first[len(f"{_ANY}: ") :] if isinstance(first, Text) else first])
        body = _UUID.sub("", output.rendered(rest))
        self._names.setdefault((result.failed, headline, body), []).append(result.host)

    def blocks(self) -> Iterator[str]:
        """The blocks, the largest first; those of nodes that failed come last and name all of them."""
        for (failed, headline, rest), names in sorted(
            self._names.items(), key=lambda item: (item[0][0], -len(item[1]), item[1][0])
        ):
            number = f" ({len(names):,} nodes)" if len(names) > 1 else ""
            named = ", ".join(names) if failed else hosts(names)
            yield output.rendered([Text(f"{named}{number}:", style="bold")]).rstrip("\n") + f" {headline}{rest}"


def _anonymous(result: Result) -> Result:
    """The result as if any node had given it."""
    told = result.error
    if told is not None:
        told = {**told, "message": str(told.get("message") or "no message").removeprefix(f"{result.host}: ")}
    return replace(result, host=_ANY, error=told)


def brief_info(result: Result) -> Iterator[RenderableType]:
    """What the GPUs of a node are and how they are cut, without what differs from node to node."""
    if result.failed:
        yield from text.error(result)
        return
    state = result.after or {}
    yield Text(f"{result.host}: driver {state.get('driver_version') or 'unknown'}")
    for words, number in Counter(_gpu(gpu) for gpu in state.get("gpus", ())).items():
        yield Text(f"  {number} x {words}")
    yield from text.interruption(result)


def _gpu(gpu: Mapping[str, Any]) -> str:
    product = str(gpu.get("product") or gpu.get("name") or "unknown")
    if gpu.get("error"):
        return f"{product}: does not answer: {gpu['error'].get('message', '')}"
    if not gpu.get("mig_capable"):
        return product
    words = {True: "on", False: "off"}
    now, then = bool(gpu["mig_current"]), bool(gpu["mig_pending"])
    mode = words[now] if now == then else f"{words[now]}, {words[then]} after reset"
    cut = Counter(instance["profile"] for instance in gpu.get("instances", ()))
    inside = ", ".join(f"{number} x {profile}" for profile, number in sorted(cut.items()))
    return f"{product}, MIG {mode}" + (f": {inside}" if inside else "")


class Gpus:
    """How many GPUs answered, have MIG mode on, are held by somebody."""

    def __init__(self) -> None:
        self.gpus = self.cut = self.held = 0

    def add(self, result: Result) -> None:
        for gpu in (result.after or {}).get("gpus", ()):
            self.gpus += not gpu.get("error")
            self.cut += bool(gpu.get("mig_current"))
            self.held += bool(gpu.get("processes"))

    def in_words(self) -> Iterator[Text]:
        yield Text(f"{self.gpus:,} GPUs: {self.cut:,} with MIG mode on, {self.held:,} with processes on them")
