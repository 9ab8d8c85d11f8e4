"""Results in words and tables, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from ..mig.text import describe_step
from ..result import Result
from .notes import interrupted

if TYPE_CHECKING:
    from rich.console import RenderableType

_GIB = 1024
_DIFF_STYLES = {"+++": "bold", "---": "bold", "@@": "cyan", "+": "green", "-": "red"}


def node_info(result: Result) -> Iterator[RenderableType]:
    """A table of the GPUs of one node."""
    if result.after is not None or result.before is not None:
        yield _node_table(result.host, result.after or result.before or {})
    if result.failed:
        yield from error(result)
    yield from interruption(result)


def changes(results: Sequence[Result], *, diff: bool, check: bool) -> Iterator[RenderableType]:
    """What was done on every node, or would be, step by step."""
    for result in results:
        yield from node_changes(result, diff=diff)
    word = "would change" if check else "changed"
    yield from summary(results, {word: sum(r.changed and not r.failed for r in results)})


def node_changes(result: Result, *, diff: bool) -> Iterator[RenderableType]:
    """What was done on one node, or would be."""
    yield _headline(result)
    planned = result.steps if not result.failed else ()
    for step in planned:
        yield Text(f"  {describe_step(step)}")
    if result.failed:
        yield from error(result, headline=False)
    yield from interruption(result)
    if diff and result.diff:
        yield from _diff(result.diff)


def node_verdict(result: Result) -> Iterator[RenderableType]:
    """Whether one node is as wanted, and where not."""
    if result.failed:
        yield from error(result)
    else:
        yield Text.assemble((f"{result.host}: ", "bold"), ("as wanted", "green"), *_cuda(result))
    yield from interruption(result)


def _cuda(result: Result) -> Iterator[str]:
    """How the trial of CUDA went: how many devices work, and which were not tried for what reason."""
    tried = [one for one in (result.data.get("cuda") or {}).values() if isinstance(one, dict)]
    works = sum(one.get("result") == "ok" for one in tried)
    if works:
        yield f", CUDA works on {works} of {len(tried)} device{'' if len(tried) == 1 else 's'}"
    reasons = [str(one.get("message")) for one in tried if one.get("result") == "skipped"]
    for reason in dict.fromkeys(reasons):
        yield f", CUDA skipped on {reasons.count(reason)}: {reason}"


def _headline(result: Result) -> Text:
    host = (f"{result.host}: ", "bold")
    if result.failed:
        in_part = any(one.get("result") == "done" for one in _fared(result).values())
        return Text.assemble(
            host, ("unreachable" if result.unreachable else "failed in part" if in_part else "failed", "red")
        )
    if not result.changed:
        return Text.assemble(host, ("nothing to do", "green"))
    return Text.assemble(host, ("would change" if result.check else "changed", "yellow"))


def _fared(result: Result) -> Mapping[str, Mapping[str, Any]]:
    """How each GPU fared, by index, where the node says it."""
    fared: Mapping[str, Mapping[str, Any]] = result.data.get("gpus") or {}
    return fared if result.task != "driver" else {}


def error(result: Result, headline: bool = True) -> Iterator[Text]:
    """Why a node failed: what is wrong, with whom, how each GPU fared, what was done, and what to do next."""
    told: Mapping[str, Any] = result.error or {}
    if headline:
        yield _headline(result)
    fared = _fared(result)
    # Where several GPUs have a result of their own, each message stands there.
    if len(fared) < 2 or told.get("gpu") is None:
        yield Text(f"  {str(told.get('message') or 'no message').removeprefix(f'{result.host}: ')}")
    if len(fared) > 1:
        for index, one in fared.items():
            why = one.get("error") or {}
            yield Text(f"  GPU {index}: {one['result']}" + (f": {why.get('message')}" if why else ""))
    for difference in told.get("differences") or ():
        yield Text(f"  - {difference}")
    for holder in told.get("holders") or ():
        yield Text(f"  held by {_holder(holder)}")
    yield from _listed("would be done" if result.check else "done", result.steps)
    yield from _listed("undone again", told.get("undone") or ())
    if told.get("next"):
        yield Text(f"  Next: {told['next']}", style="cyan")


def interruption(result: Result) -> Iterator[Text]:
    """That the last change of the node was interrupted, if it was."""
    said = interrupted(result)
    if said:
        yield Text(f"  Note: {said}", style="yellow")


def _listed(what: str, steps: Iterable[Mapping[str, Any]]) -> Iterator[Text]:
    for step in steps:
        yield Text(f"  {what}: {describe_step(step)}")


def _diff(text: str) -> Iterator[Text]:
    for line in text.splitlines():
        style = next((style for start, style in _DIFF_STYLES.items() if line.startswith(start)), "")
        yield Text(f"  {line}", style=style)


def summary(results: Sequence[Result], counts: Mapping[str, int]) -> Iterator[Text]:
    """The last line, where there are several nodes; `counts` are those that went well."""
    unreachable = sum(result.unreachable for result in results)
    failed = sum(result.failed for result in results) - unreachable
    yield from last_line(len(results), failed, unreachable, counts)


def last_line(nodes: int, failed: int, unreachable: int, counts: Mapping[str, int]) -> Iterator[Text]:
    """The same, counted already; an unreachable node is not among the failed ones here."""
    if nodes < 2:
        return
    parts = [f"{number} {what}" for what, number in counts.items()]
    parts += [f"{failed} failed", f"{unreachable} unreachable"]
    yield Text(f"{nodes} nodes: {', '.join(parts)}", style="red" if failed or unreachable else "bold")


def _node_table(host: str, state: Mapping[str, Any]) -> Table:
    title = f"{host}, driver {state.get('driver_version') or 'unknown'}"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=box.SIMPLE_HEAD)
    table.add_column("GPU", justify="right")
    table.add_column("Product", overflow="fold")
    table.add_column("Memory", justify="right", no_wrap=True)
    table.add_column("MIG", no_wrap=True)
    table.add_column("Instances", overflow="fold")
    table.add_column("Holders", overflow="fold")
    for gpu in state.get("gpus", ()):
        table.add_row(*_gpu_row(gpu))
    return table


def _gpu_row(gpu: Mapping[str, Any]) -> tuple[Text, ...]:
    product = str(gpu.get("product") or gpu.get("name") or "unknown")
    if gpu.get("error"):
        cells = [Text("does not answer", style="red"), Text(str(gpu["error"].get("message", "")), style="red")]
        return Text(str(gpu["index"])), Text(product), Text(""), *cells, Text("")
    used, total = gpu.get("memory_used_mib"), gpu.get("memory_mib")
    return (
        Text(str(gpu["index"])),
        Text(product),
        Text(f"{_gib(used)} of {_gib(total)} GiB"),
        _mode(gpu),
        Text("\n".join(_instance(instance) for instance in gpu.get("instances", ()))),
        Text("\n".join(_holder(process) for process in gpu.get("processes", ()))),
    )


def _gib(mib: float | None) -> str:
    return "?" if mib is None else f"{mib / _GIB:.1f}"


def _mode(gpu: Mapping[str, Any]) -> Text:
    if not gpu.get("mig_capable"):
        return Text("none", style="dim")
    words = {True: "on", False: "off"}
    now, then = bool(gpu["mig_current"]), bool(gpu["mig_pending"])
    if now != then:
        return Text(f"{words[now]}, {words[then]} after reset", style="yellow")
    return Text(words[now], style="green" if now else "")


def _instance(instance: Mapping[str, Any]) -> str:
    text = f"{instance['profile']} at {instance['start']}"
    inside = [ci["profile"] for ci in instance["compute_instances"] if ci["profile"] != instance["profile"]]
    if not instance["compute_instances"]:
        return f"{text} (no compute instance)"
    return f"{text} ({', '.join(inside)})" if inside else text


def _holder(process: Mapping[str, Any]) -> str:
    """Such as `python3 (pid 4242, asr, compute, 9.6 GiB, GPU instance 1, asr.service)`."""
    parts = [f"pid {process['pid']}"]
    parts += [str(process[key]) for key in ("user", "kind") if process.get(key)]
    if process.get("memory_mib") is not None:
        parts.append(f"{_gib(process['memory_mib'])} GiB")
    if process.get("gi_id") is not None:
        parts.append(f"GPU instance {process['gi_id']}")
    if process.get("unit"):
        parts.append(str(process["unit"]))
    if process.get("container"):
        parts.append(f"container {str(process['container'])[:12]}")
    return f"{process.get('command') or 'unknown'} ({', '.join(parts)})"
