"""A roll stops at the first doubt and can be taken up again: some cases. benchmarks/rolls.py tries all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.slurm.cluster import missing

from .rolls import Ground, ground
from .rolls_cases import stops_and_is_taken_up_again
from .rolls_faults import LOST
from .rolls_kills import ALL, CONTROLLER, Kill, half_changed, killed_and_taken_up_again
from .rolls_slurm import RESUME, killed_between_drain_and_resume, slurm_ground
from .rolls_ways import COMMAND, PLAYBOOK

pytestmark = pytest.mark.timeout(900)  # Ansible on a machine that has other work
Tried = Callable[[str, int], None]


@pytest.fixture(scope="module")
def small() -> Iterator[Ground]:
    """Three nodes in batches of two and one: a node has a neighbour and one behind it."""
    with ground(3, (2, 1)) as made:
        yield made


def test_a_node_lost_in_its_turn(small: Ground, tried: Tried) -> None:
    stops_and_is_taken_up_again(small, PLAYBOOK, LOST, "gpu2")
    tried("rolls", 1)


@pytest.mark.long
def test_the_controller_killed_while_its_playbook_lives_on(small: Ground, tried: Tried) -> None:
    kill = Kill("after_line", 3, CONTROLLER, "playbook")
    killed_and_taken_up_again(small, COMMAND, kill)
    tried("rolls", 1)


@pytest.mark.long
def test_a_node_left_half_changed_is_told_and_finished(small: Ground, tried: Tried) -> None:
    half_changed(small, COMMAND, "gpu2")
    tried("rolls", 1)


@pytest.mark.long
@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_killed_while_slurm_keeps_the_node_away(tried: Tried) -> None:
    with slurm_ground() as (made, cluster):
        killed_between_drain_and_resume(made, cluster, COMMAND, RESUME, ALL)
    tried("rolls", 1)
