"""Who drained a node, and what is done about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migprov.fleet.slurm import NotBack, OutOfService
from migprov.fleet.slurm.plan import Jobs, by_migprov, plan_drain, plan_resume, reason_for
from migprov.fleet.slurm.state import Job, Node, Reading

IDLE = Node("gn0", "IDLE", frozenset())
OURS = replace(IDLE, flags=frozenset({"DRAIN"}), reason="migprov: voice")
THEIRS = replace(OURS, reason="bad fan", reason_by="ann")
JOB = Job("7", "7", "bob", "RUNNING", "2026-11-22T17:42:31", "train")


@pytest.mark.parametrize(
    ("node", "jobs", "actions"),
    [
        (IDLE, "wait", ["drain_node"]),
        (replace(IDLE, flags=frozenset({"MAINTENANCE", "RESERVED"})), "wait", ["drain_node"]),
        (OURS, "wait", []),
        (replace(OURS, reason="migprov: older"), "wait", ["drain_node"]),
        (replace(OURS, state="DOWN"), "wait", []),
        (THEIRS, "wait", []),
        (THEIRS, "requeue", []),
        (replace(THEIRS, state="DOWN"), "wait", []),
        (replace(THEIRS, flags=frozenset({"FAIL"})), "wait", []),
        (replace(THEIRS, reason=""), "wait", []),
        # somebody's words that only mention migprov
        (replace(THEIRS, reason="see migprov: voice"), "wait", []),
    ],
)
def test_drain(node: Node, jobs: Jobs, actions: list[str]) -> None:
    assert [step.action for step in plan_drain(Reading(node), "voice", jobs).steps] == actions


@pytest.mark.parametrize(
    ("node", "jobs", "action"),
    [
        (IDLE, "wait", "wait_for_job"),
        (IDLE, "requeue", "requeue_job"),
        (OURS, "requeue", "requeue_job"),
        (THEIRS, "wait", "wait_for_job"),
        (THEIRS, "requeue", "wait_for_job"),
    ],
)
def test_jobs_on_it(node: Node, jobs: Jobs, action: str) -> None:
    step = plan_drain(Reading(node, (JOB,)), "voice", jobs).steps[-1]
    assert step.to_json() == {"action": action, "node": "gn0", "job": "7", "user": "bob", "name": "train"}


@pytest.mark.parametrize("node", [replace(IDLE, state="DOWN"), replace(IDLE, state="DOWN", reason="no fan")])
def test_down_and_not_drained_is_refused(node: Node) -> None:
    with pytest.raises(OutOfService, match=r"Nothing was changed"):
        plan_drain(Reading(node), "voice", "wait")


GOING = ["REBOOT_REQUESTED", "REBOOT_ISSUED", "POWER_DOWN", "POWERING_DOWN"]


@pytest.mark.parametrize("flag", GOING)
@pytest.mark.parametrize("node", [IDLE, OURS, THEIRS])
def test_what_slurm_is_about_to_reboot_is_not_drained_and_a_resume_does_not_call_it_off(node: Node, flag: str) -> None:
    node = replace(node, flags=node.flags | {flag})
    with pytest.raises(OutOfService, match=r"about to reboot .* Nothing was changed"):
        plan_drain(Reading(node), "voice", "wait")
    if by_migprov(node):
        with pytest.raises(NotBack, match=r"would call that off. It stays drained \(migprov: voice\)"):
            plan_resume(Reading(node))
    else:
        assert plan_resume(Reading(node)).steps == ()


@pytest.mark.parametrize(
    ("node", "actions", "noted"),
    [
        (IDLE, [], False),
        (OURS, ["resume_node"], False),
        (THEIRS, [], True),
        (replace(IDLE, state="DOWN", reason="migprov: voice"), [], False),
        (replace(OURS, flags=frozenset({"FAIL"}), reason="bad fan"), [], True),
    ],
)
def test_resume(node: Node, actions: list[str], noted: bool) -> None:
    plan = plan_resume(Reading(node))
    assert [step.action for step in plan.steps] == actions
    assert bool(plan.note) == noted


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("layout voice", "migprov: layout voice"),
        ('"voice"\n and  more\t', 'migprov: voice" and more'),
        ("", "migprov: a change of the MIG layout"),
        ("x" * 500, "migprov: " + "x" * 200),
    ],
)
def test_reasons_are_one_line(change: str, reason: str) -> None:
    assert reason_for(change) == reason
    assert by_migprov(replace(OURS, reason=reason_for(change)))
