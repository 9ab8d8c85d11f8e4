"""Which layout the inventory gives a host: `mig_layout` with `mig_layouts_file`, or what the role mig_layout takes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

from ..errors import LayoutFileError
from ..layouts import Layout, LayoutError, LayoutFile, loads
from .variables import Host, first_line

_INLINE = "inline"


@dataclass(frozen=True)
class HostLayout:
    """A host's layout. `file` and `name` are None where its entries stand in the inventory itself."""

    layout: Layout
    file: str | None
    name: str | None


class LayoutFiles:
    """Layout files, each read once however many hosts name it. Nothing is contacted."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._files: dict[str, LayoutFile | LayoutError | AnsibleError] = {}
        self._inline: dict[str, Layout] = {}

    def of(self, host: Host) -> HostLayout | None:
        """The layout of a host, None when its variables name none.

        The role's own variables (`mig_layout_file`, `mig_layout_name`, `mig_layout_config`) win.

        Raises:
            InventoryError: its variables do not fit together, or a variable cannot be resolved.
            LayoutFileError: the layout cannot be used; the text names host, file and line.
        """
        if (config := _config(host)) is not None:
            return HostLayout(self._entries(host, *config), None, None)
        if (name := _name(host)) is None:
            return None
        path = _path(host, name[0])
        try:
            return HostLayout(self._read(path).layout(name[1]), path, name[1])
        except LayoutError as error:
            raise LayoutFileError(f"{host.name}: {error}") from error  # its text has the hints
        except AnsibleError as error:
            raise LayoutFileError(f"{host.name}: {path} cannot be read: {first_line(error)}.") from error

    def _read(self, path: str) -> LayoutFile:
        if path not in self._files:
            try:
                # Ansible's reader, because a layout file may be encrypted with a vault like any other.
                self._files[path] = loads(self._loader.get_text_file_contents(path), path)
            except (LayoutError, AnsibleError) as error:
                self._files[path] = error
        found = self._files[path]
        if isinstance(found, Exception):
            raise found
        return found

    def _entries(self, host: Host, variable: str, entries: list[Any]) -> Layout:
        # JSON is YAML, so one reader serves files and variables.
        document = json.dumps({"version": "v1", "mig-configs": {_INLINE: entries}}, indent=1)
        if document not in self._inline:
            try:
                self._inline[document] = loads(document, variable).layout(_INLINE)
            except LayoutError as error:
                # The lines are those of the JSON text, which nobody has seen.
                problem = error.problems[0]
                raise LayoutFileError(
                    f"{host.name}: {variable}: {problem.message}.", next=problem.hint or None
                ) from error
        return self._inline[document]


def _config(host: Host) -> tuple[str, list[Any]] | None:
    """The entries that stand in the inventory, and the variable they stand in."""
    given = host.get("mig_layout_config")
    if given:
        if not isinstance(given, list):
            raise host.wrong(
                "mig_layout_config", "is no list of entries", "write it as 'mig-configs' in a layout file has it"
            )
        for other in ("mig_layout_file", "mig_layout_name"):
            if host.get(other):
                raise host.wrong(other, "and mig_layout_config are both set", "keep one of them")
        return "mig_layout_config", given
    short = host.get("mig_layout")
    if isinstance(short, list) and short and not host.get("mig_layout_name"):
        return "mig_layout", short
    return None


def _name(host: Host) -> tuple[str, str] | None:
    """The variable that names a layout, and the name."""
    for variable in ("mig_layout_name", "mig_layout"):
        given = host.get(variable)
        if given in (None, "", []):
            continue
        if not isinstance(given, str):
            raise host.wrong(variable, "is neither a layout's name nor a list of entries", "put a name in quotes")
        return variable, given
    return None


def _path(host: Host, named_by: str) -> str:
    """The layout file: as given, or beside the inventory, or in the current folder."""
    variable = "mig_layout_file" if host.get("mig_layout_file") else "mig_layouts_file"
    given = host.get(variable)
    if not given:
        raise host.wrong(
            named_by, "names a layout and no mig_layouts_file says where it stands", "set mig_layouts_file"
        )
    if not isinstance(given, str):
        raise host.wrong(variable, "is not the path of a file", "correct it")
    wanted = Path(given).expanduser()
    folders = [Path(str(folder)) for folder in (host.get("inventory_dir"),) if folder]
    places = [wanted] if wanted.is_absolute() else [folder / wanted for folder in (*folders, Path.cwd())]
    for place in places:
        if place.is_file():
            return os.fspath(place)
    looked = ", ".join(dict.fromkeys(map(str, places)))
    raise host.wrong(variable, f"names no file that is there (looked for {looked})", "correct it")
