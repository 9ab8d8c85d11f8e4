"""A roll stops at the first doubt and can be taken up again: some cases. benchmarks/rolls.py tries all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.slurm.cluster import missing

from .rolls import Ground, ground
from .rolls_cases import stops_and_is_taken_up_again
from .rolls_faults import FAILING, LOST, Fault
from .rolls_kills import ALL, CONTROLLER, Kill, half_changed, killed_and_taken_up_again
from .rolls_slurm import RESUME, killed_between_drain_and_resume, slurm_ground
from .rolls_ways import COMMAND, PLAYBOOK, Way

pytestmark = pytest.mark.timeout(900)  # Ansible on a machine that has other work
Tried = Callable[[str, int], None]


@pytest.fixture(scope="module")
def small() -> Iterator[Ground]:
    """Three nodes in batches of one and two."""
    with ground(3, (1, 2)) as made:
        yield made


@pytest.mark.parametrize(
    ("way", "fault", "name"),
    [(PLAYBOOK, LOST, "gpu2"), (COMMAND, FAILING, "gpu1")],
    ids=lambda each: getattr(each, "name", each),
)
def test_one_fault(small: Ground, way: Way, fault: Fault, name: str, tried: Tried) -> None:
    stops_and_is_taken_up_again(small, way, fault, name)
    tried("rolls", 1)


def test_the_controller_killed_while_its_playbook_lives_on(small: Ground, tried: Tried) -> None:
    kill = Kill("after_line", 3, CONTROLLER, "playbook")
    killed_and_taken_up_again(small, COMMAND, kill)
    tried("rolls", 1)


def test_the_playbook_killed_in_a_batch(small: Ground, tried: Tried) -> None:
    killed_and_taken_up_again(small, PLAYBOOK, Kill("task", 20, ALL, "in the first batch"))
    tried("rolls", 1)


def test_a_node_left_half_changed_is_told_and_finished(small: Ground, tried: Tried) -> None:
    half_changed(small, COMMAND, "gpu2")
    tried("rolls", 1)


@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_killed_while_slurm_keeps_the_node_away(tried: Tried) -> None:
    with slurm_ground() as (made, cluster):
        killed_between_drain_and_resume(made, cluster, COMMAND, RESUME, ALL)
    tried("rolls", 1)
