"""The YAML on the pages: files that migprov reads, plays that Ansible reads, options that modules have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs._site import collection

from . import pages, yaml_kinds

BLOCKS = [block for page in pages.documents() for block in pages.blocks(page) if block.language == "yaml"]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_a_block_is_a_good_one_of_its_kind(block: pages.Block) -> None:
    if block.file and meant_to_fail(block):
        return
    for found in yaml_kinds.documents(block):
        yaml_kinds.check(block, found)


def meant_to_fail(block: pages.Block) -> bool:
    """A file that the page shows because migprov refuses it."""
    commands = [command for other in pages.blocks(block.page) for command in pages.commands(other)]
    return any(command.status == 1 and str(block.file) in command.plain for command in commands)


def test_ansible_reads_every_play(tmp_path: Path) -> None:
    books = []
    for block in BLOCKS:
        for number, found in enumerate(yaml_kinds.documents(block)):
            if (text := yaml_kinds.plays(found)) is not None:
                # Named as its place, which Ansible tells.
                books.append(tmp_path / f"{block.where.replace('/', '-').replace(':', '-')}-{number}.yml")
                books[-1].write_text(text)
    assert len(books) > 5
    command = [sys.executable, "-m", "ansible", "playbook", "--syntax-check", "-i", "gpu1,", *map(str, books)]
    done = subprocess.run(command, env=os.environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_option_of_a_task_is_one_of_its_module() -> None:
    modules = collection.documented()["module"]
    seen = 0
    for block in BLOCKS:
        for found in yaml_kinds.documents(block):
            for task in yaml_kinds.tasks(found):
                for key, given in task.items():
                    if key.startswith("migprov.gpu."):
                        options = modules[key.removeprefix("migprov.gpu.")]["doc"].get("options", {})
                        assert set(given or {}) <= set(options), block.where
                        seen += 1
    assert seen
