"""Ansible before simulated nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .plays import Ansible

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet


@pytest.fixture
def before(tmp_path: Path) -> Callable[[Fleet], Ansible]:
    """Ansible with the inventory of a fleet."""
    return lambda fleet: Ansible(tmp_path, fleet.inventory)


@pytest.fixture
def ansible(fleet: Fleet, before: Callable[[Fleet], Ansible]) -> Ansible:
    """Ansible before one node with three A100-80GB."""
    return before(fleet)
