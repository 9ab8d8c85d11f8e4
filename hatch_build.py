"""Put the Ansible collection `migprov.gpu` beside the package: one wheel, one editable install.

A static force-include table would be copied by an editable install and then win over the live files,
because site-packages precedes what a .pth file adds. So the table is filled here, and only for real wheels.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COLLECTION = "ansible_collections/migprov/gpu"
PARTS = ("galaxy.yml", "README.md", "CHANGELOG.md", "meta", "playbooks", "plugins", "roles")


class CollectionHook(BuildHookInterface):  # type: ignore[type-arg]
    """Ships the collection's files, or links them in an editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each build; `version` is "standard" or "editable"."""
        root = Path(self.root)
        if version == "editable":
            link_collection(root)
            return
        for part in PARTS:
            build_data["force_include"][str(root / part)] = f"{COLLECTION}/{part}"


def link_collection(root: Path) -> None:
    """Make `.dev/ansible_collections/migprov/gpu` a link to the checkout; leaves a right one alone."""
    link = root / ".dev" / COLLECTION
    link.parent.mkdir(parents=True, exist_ok=True)
    target = Path("../../..")
    with contextlib.suppress(OSError):
        if link.readlink() == target:
            return
    link.unlink(missing_ok=True)
    link.symlink_to(target, target_is_directory=True)
