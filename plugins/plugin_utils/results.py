# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the reply of the node program to what an Ansible task returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import library

ABOUT_NO_GPU: dict[str, Any] = {"gpu": None, "holders": [], "undone": [], "differences": []}
"""What the error of a node program has and one of the control side has not."""


def failure(error: dict[str, Any], others: Sequence[str] = ()) -> dict[str, Any]:
    """The result of a task that failed; `error` is the error object of docs/architecture.md.

    `others`: how the GPUs fared that it is not about.
    """
    parts = [_sentence(str(error["message"])), *map(_sentence, others)]
    undone = error.get("undone") or []
    if undone:
        parts.append(f"Undone: {'; '.join(library.describe_step(step) for step in undone)}.")
    if error.get("next"):
        parts.append(f"Next: {_sentence(error['next'])}")
    return {"failed": True, "msg": " ".join(parts), "error": error}


def fared(reply: dict[str, Any]) -> list[str]:
    """How the GPUs fared that the error of a changing task is not about."""
    error, gpus = reply["error"] or {}, reply["data"].get("gpus")
    if not isinstance(gpus, dict):
        return []
    others = {index: one for index, one in gpus.items() if index != str(error.get("gpu"))}
    return [
        f"GPU {index}: {one['result']}" + (f" ({one['error']['message']})" if one.get("error") else "")
        for index, one in others.items()
    ]


def interrupted(reply: dict[str, Any]) -> str:
    """What to say of the node's last change, whose run died on the way."""
    change = reply["data"]["interrupted"]
    by = f" by {change['who']}" if change.get("who") else ""
    return (
        f"The last change of this node ({change['task']}, {change['when']}{by}) was interrupted: its run died on the "
        "way. Applying the layout goes on from what the GPUs are; migprov.gpu.mig_rollback goes back."
    )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def explained(error: dict[str, Any], *, become: bool) -> dict[str, Any]:
    """The error with the next action in Ansible's words where the node cannot know them."""
    if error["code"] == "no_permission" and not become:
        return error | {"next": "run the task as root: become: true, or ansible-playbook --become."}
    return error


def with_diff(reply: dict[str, Any]) -> dict[str, Any]:
    """`diff` for --diff, when the node was read."""
    if reply["before"] is None or reply["after"] is None:
        return {}
    return {
        "diff": {
            "before": _text(reply["before"]),
            "after": _text(reply["after"]),
            "before_header": "GPUs before",
            "after_header": "GPUs as they would be" if reply["check"] else "GPUs after",
        }
    }


def state_of(reply: dict[str, Any]) -> dict[str, Any]:
    """`gpus` and `driver_version` of a task that only reads, when the node was read."""
    state = reply["after"] or reply["before"]
    return {} if state is None else {"driver_version": state.get("driver_version"), "gpus": state["gpus"]}


def summary(state: dict[str, Any]) -> list[str]:
    """A node for people: each GPU, its instances, who holds it."""
    lines: list[str] = []
    for gpu in state["gpus"]:
        lines += library.describe({"gpus": [gpu]})
        if gpu.get("error"):
            continue
        lines.append(f"  {gpu['memory_used_mib']} of {gpu['memory_mib']} MiB used")
        lines += [_holder(process) for process in gpu.get("processes", [])]
    return lines


def _holder(process: dict[str, Any]) -> str:
    where = "" if process.get("gi_id") is None else f" in GPU instance {process['gi_id']}"
    memory = "" if process.get("memory_mib") is None else f", {process['memory_mib']} MiB"
    return f"  held{where} by {process['pid']} {process.get('command')} ({process.get('user')}){memory}"


def _text(state: dict[str, Any]) -> str:
    return "".join(f"{line}\n" for line in library.describe(state))
