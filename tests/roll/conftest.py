"""Rolls over simulated nodes, through the real ansible-playbook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .control import Control

if TYPE_CHECKING:
    from migprov.sim.nodes import Fleet


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """A control node with an empty state folder."""
    control = Control(tmp_path)
    try:
        yield control
    finally:
        control.close()


@pytest.fixture
def two(make_fleet: Callable[..., Fleet]) -> Fleet:
    return make_fleet(nodes=2)


@pytest.fixture
def three(make_fleet: Callable[..., Fleet]) -> Fleet:
    return make_fleet(nodes=3)


def writes(fleet: Fleet) -> list[int]:
    """How many writes each node's driver has seen."""
    return [node.sim.write_count() for node in fleet]
