"""The changes of a node as a table, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from ..mig import steps
from ..mig.text import describe_step
from ..result import Result
from . import text

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {"done": "green", "failed": "red", "interrupted": "red", "running": "yellow"}


def timelines(results: Sequence[Result]) -> Iterator[RenderableType]:
    """A table of the changes of every node, oldest first."""
    for result in results:
        if result.failed:
            yield from text.error(result)
        elif result.data.get("changes"):
            yield _table(result.host, result.data["changes"])
        else:
            yield Text.assemble((f"{result.host}: ", "bold"), "no changes in its journal")
    yield from text.summary(results, {"answered": sum(not result.failed for result in results)})


def _table(host: str, changes: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=host, title_justify="left", title_style="bold", header_style="dim", box=box.SIMPLE_HEAD)
    for name in ("When", "Who", "Task", "From", "To", "Result"):
        table.add_column(name, overflow="fold", no_wrap=name == "When")
    for change in changes:
        result = str(change["result"])
        ended = Text(result, style=_STYLES.get(result, ""))
        if change["message"]:
            ended.append(f": {change['message']}", style="")
        before, after = _layouts(change)
        table.add_row(Text(change["when"]), Text(change["who"]), Text(change["task"]), before, after, ended)
    return table


def _layouts(change: Mapping[str, Any]) -> tuple[Text, Text]:
    """What the GPUs of a change were, and what they were to become."""
    before, after, numbers = [], [], {}
    for step in change["planned"]:
        if step["gpu"] is not None:
            numbers[step["uuid"]] = f"GPU {step['gpu']}"
    for entry in change["before"]:
        uuid = entry["devices"][0]
        own = [step for step in change["planned"] if step["uuid"] == uuid]
        was = _Card(entry)
        before.append(f"{numbers.get(uuid, uuid)}: {was}")
        wanted = was.after(own)
        others = [describe_step({**step, "gpu": None}) for step in own if step["action"] in _WORK]
        # Nothing of the layout was to change: then it was about the work.
        after.append(
            f"{numbers.get(uuid, uuid)}: {', '.join(others) if str(wanted) == str(was) and others else wanted}"
        )
    return Text("\n".join(before)), Text("\n".join(after))


_WORK = (steps.WAIT_FOR_PROCESS, steps.END_PROCESS, steps.STOP_SERVICE, steps.RESET_GPU)


class _Card:
    """Mode and GPU instances of one GPU, by memory slice, out of an entry of the journal."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.enabled = bool(entry["mig_enabled"])
        self.instances: dict[int, str] = {each["start"]: each["profile"] for each in entry["instances"] or ()}

    def after(self, planned: Sequence[Mapping[str, Any]]) -> _Card:
        """The same GPU after these steps."""
        card = _Card({"mig_enabled": self.enabled, "instances": ()})
        card.instances = dict(self.instances)
        for step in planned:
            action = step["action"]
            if action == steps.SET_MIG_MODE:
                card.enabled = bool(step["enabled"])
            elif action == steps.RESET_GPU:
                card.instances = {}
            elif action == steps.DESTROY_GPU_INSTANCE:
                card.instances.pop(step["start"], None)
            elif action == steps.CREATE_GPU_INSTANCE:
                card.instances[step["start"]] = step["profile"]
        return card

    def __str__(self) -> str:
        placed = ", ".join(f"{profile} at {start}" for start, profile in sorted(self.instances.items()))
        return placed or ("MIG on, empty" if self.enabled else "MIG off")
