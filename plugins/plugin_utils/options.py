# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that name GPUs, layouts and instances, turned into the params of a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleFileNotFound

from . import library
from .node_action import NodeAction
from .refusal import Refusal

_INLINE = "inline"


def selectors(given: list[Any]) -> str | list[int | str]:
    """The option `gpus` as selectors. Templates may have made texts of numbers, so "1" is the index 1."""
    if given == ["all"]:
        return "all"
    if not given or "all" in given:
        raise Refusal(f"gpus: {given!r} must be 'all' alone, or a list of index, UUID and PCI bus id")
    return [_selector(item) for item in given]


def _selector(item: Any) -> int | str:
    if isinstance(item, str):
        return int(item) if item.strip().isdecimal() else item.strip()
    if isinstance(item, bool) or not isinstance(item, int):
        raise Refusal(f"gpus: {item!r} is no index, UUID (GPU-...) or PCI bus id")
    return item


def instances(given: Any) -> list[dict[str, Any]]:
    """The option `instances` as wanted instances; its two forms are those of `mig-devices` in a layout file."""
    if given in ({}, []):
        return []
    if not isinstance(given, (dict, list)):
        raise Refusal("instances: must be a mapping of profile to count, or a list of instances")
    devices = [_dashed(item) for item in given] if isinstance(given, list) else given
    entries = _inline([{"devices": "all", "mig-enabled": True, "mig-devices": devices}], "instances")
    wanted: list[dict[str, Any]] = entries[0]["instances"]
    return wanted


def _dashed(item: Any) -> Any:
    return {str(key).replace("_", "-"): value for key, value in item.items()} if isinstance(item, dict) else item


def _inline(config: list[dict[str, Any]], option: str) -> list[dict[str, Any]]:
    """Entries of a layout that stands in the task. JSON is YAML, so one reader serves files and tasks."""
    document = json.dumps({"version": "v1", "mig-configs": {_INLINE: config}}, indent=1)
    try:
        layout = library.layouts.loads(document, option).layout(_INLINE)
    except library.layouts.LayoutError as error:
        # The lines are those of the JSON text, which nobody has seen.
        problems = [f"{option}: {problem.message}. {problem.hint}".rstrip() for problem in error.problems]
        raise Refusal("\n".join(problems)) from None
    return [entry | {"source": f"{option}, entry {number}"} for number, entry in enumerate(layout.to_json(), 1)]


class LayoutAction(NodeAction):
    """A task whose option is a layout: a file and a name, or the layout itself."""

    def params(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """The entries of the layout."""
        if options["file"] is None:
            return {"entries": _inline(options["config"] or [], "config")}
        path = self._found(options["file"], task_vars)
        try:
            text = self._loader.get_text_file_contents(path)
            entries = library.layouts.loads(text, path).layout(options["name"]).to_json()
        except library.layouts.LayoutError as error:
            raise Refusal(str(error)) from None
        except AnsibleError as error:
            raise Refusal(f"{path}: the layout file cannot be read: {error}") from None
        return {"entries": entries}

    def _found(self, file: str, task_vars: dict[str, Any]) -> str:
        """The path of the file. A playbook that is called by its collection name has no folder of the user's, so the
        inventory's folder and the current one are looked at too.
        """
        try:
            return str(self._find_needle("files", file))
        except AnsibleFileNotFound as error:
            searched = [str(path) for path in error.paths or []]
        folders = [str(task_vars[key]) for key in ("inventory_dir",) if task_vars.get(key)]
        folders.append(str(Path.cwd()))
        for folder in folders:
            path = Path(folder) / file
            if path.is_file():
                return str(path)
            searched.append(str(path))
        looked = ", ".join(dict.fromkeys(searched))
        raise Refusal(f"file: no layout file {file} on the control node; looked for {looked or file}")
