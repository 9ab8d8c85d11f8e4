"""Draining and resuming, before a real slurmctld."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from migprov.fleet import slurm
from migprov.fleet.commands import Commands

from .cluster import Cluster


def test_an_idle_node_is_drained_with_a_reason_that_names_the_change_and_given_back(
    cluster: Cluster, here: Commands
) -> None:
    before = cluster.sinfo()
    outcome = slurm.drain(here, "gn0", "voice, from alpha")
    assert cluster.state("gn0") == "IDLE+DRAIN"
    assert cluster.show("gn0", "Reason").startswith("migprov: voice, from alpha [root@")
    assert [step.to_json() for step in outcome.steps] == [
        {"action": "drain_node", "node": "gn0", "reason": "migprov: voice, from alpha"}
    ]
    assert outcome.fact == {
        "scheduler": "slurm",
        "node": "gn0",
        "drained": True,
        "by_migprov": True,
        "reason": "migprov: voice, from alpha",
        "manager": False,
    }
    assert cluster.state("gn1") == "IDLE"
    assert [(one.node, one.reason) for one in slurm.drained_by_migprov(here)] == [("gn0", "migprov: voice, from alpha")]
    back = slurm.resume(here, "gn0")
    assert back.changed
    assert not back.fact["drained"]
    assert cluster.sinfo() == before
    assert slurm.drained_by_migprov(here) == []


def test_both_are_idempotent(cluster: Cluster, here: Commands) -> None:
    slurm.drain(here, "gn0", "voice")
    since = cluster.show("gn0", "Reason")
    assert not slurm.drain(here, "gn0", "voice").changed
    assert cluster.show("gn0", "Reason") == since
    assert slurm.resume(here, "gn0").changed
    assert not slurm.resume(here, "gn0").changed


def test_check_tells_the_same_steps_and_writes_nothing(cluster: Cluster, here: Commands) -> None:
    cluster.submit("gn0")
    before = cluster.sinfo()
    told = slurm.drain(here, "gn0", "voice", check=True)
    assert [step.action for step in told.steps] == ["drain_node", "wait_for_job"]
    assert told.fact["by_migprov"]
    assert cluster.sinfo() == before
    cluster.do("scancel", "--user=root")
    cluster.until(lambda: cluster.state("gn0") == "IDLE", "gn0 is empty")
    slurm.drain(here, "gn0", "voice")
    told = slurm.resume(here, "gn0", check=True)
    assert told.changed
    assert not told.fact["drained"]
    assert cluster.state("gn0") == "IDLE+DRAIN"


def test_a_running_job_is_waited_for_and_new_ones_stay_pending(cluster: Cluster, here: Commands) -> None:
    job = cluster.submit("gn0")
    ends = threading.Timer(1.5, cluster.do, ["scancel", "--signal=TERM", "--full", job])
    outcomes: list[slurm.Outcome] = []
    drain = partial(slurm.drain, here, "gn0", "voice", timeout_s=60, poll_s=0.5)
    waiting = threading.Thread(target=lambda: outcomes.append(drain()))
    waiting.start()
    cluster.until(lambda: "DRAIN" in cluster.state("gn0"), "gn0 is drained")
    later = cluster.submit("gn0", name="later", runs=False)
    assert (cluster.job(job), waiting.is_alive()) == ("RUNNING", True)
    ends.start()
    waiting.join(60)
    assert [step.action for step in outcomes[0].steps] == ["drain_node", "wait_for_job"]
    assert (cluster.state("gn0"), cluster.job(later)) == ("IDLE+DRAIN", "PENDING")
    slurm.resume(here, "gn0")
    cluster.until(lambda: cluster.job(later) == "RUNNING", "the pending job runs")


def test_when_the_time_is_up_the_job_runs_on_is_named_and_the_node_is_back(cluster: Cluster, here: Commands) -> None:
    job = cluster.submit("gn0", name="a|b and more")
    before = cluster.sinfo()
    with pytest.raises(slurm.JobsStay) as caught:
        slurm.drain(here, "gn0", "voice", timeout_s=1)
    assert cluster.job(job) == "RUNNING"
    assert cluster.sinfo() == before
    (named,) = caught.value.jobs
    assert (named.id, named.user, named.name, named.state) == (job, "root", "a|b and more", "RUNNING")
    assert f"job {job} (a|b and more, user root, running since " in str(caught.value)
    assert "in service again" in str(caught.value)
    assert "Nothing was changed on the node" in str(caught.value)
    assert caught.value.to_json()["jobs"][0]["id"] == job


def test_a_drain_that_an_earlier_run_left_is_not_given_back_when_the_time_is_up(
    cluster: Cluster, here: Commands
) -> None:
    cluster.submit("gn0")
    cluster.drain("gn0", "migprov: older")
    with pytest.raises(slurm.JobsStay, match="stays drained, as it was found"):
        slurm.drain(here, "gn0", "voice", timeout_s=0.5)
    assert cluster.state("gn0") == "MIXED+DRAIN"


def test_requeue_puts_jobs_back_and_never_cancels_one_that_cannot_be(cluster: Cluster, here: Commands) -> None:
    again = cluster.submit("gn0", "--requeue")
    outcome = slurm.drain(here, "gn0", "voice", jobs="requeue", timeout_s=60, poll_s=0.5)
    assert outcome.requeued == (again,)
    assert [step.action for step in outcome.steps] == ["drain_node", "requeue_job"]
    assert cluster.job(again) == "PENDING"
    assert cluster.state("gn0") == "IDLE+DRAIN"
    cluster.clean()
    never = cluster.submit("gn0", "--no-requeue")
    with pytest.raises(slurm.JobsStay, match=f"job {never} is not requeued"):
        slurm.drain(here, "gn0", "voice", jobs="requeue", timeout_s=1)
    assert cluster.job(never) == "RUNNING"


def test_members_of_an_array_are_requeued_one_by_one(cluster: Cluster, here: Commands) -> None:
    job = cluster.submit("gn0", "--array=3-4", "--requeue", runs=False)
    cluster.until(lambda: cluster.job(job) == "RUNNING\nRUNNING", "both run")
    outcome = slurm.drain(here, "gn0", "voice", jobs="requeue", timeout_s=60, poll_s=0.5)
    assert sorted(outcome.requeued) == [f"{job}_3", f"{job}_4"]


def test_what_somebody_else_drained_is_not_written_to_and_stays_drained(cluster: Cluster, here: Commands) -> None:
    cluster.drain("gn0", "bad fan")
    since = cluster.show("gn0", "Reason")
    outcome = slurm.drain(here, "gn0", "voice")
    assert not outcome.changed
    assert outcome.note.startswith("gn0 was drained by root on ")
    assert outcome.note.endswith("(bad fan), not by migprov: it stays drained")
    assert (outcome.fact["drained"], outcome.fact["by_migprov"]) == (True, False)
    back = slurm.resume(here, "gn0")
    assert not back.changed
    assert "bad fan" in back.note
    assert (cluster.state("gn0"), cluster.show("gn0", "Reason")) == ("IDLE+DRAIN", since)
    assert slurm.drained_by_migprov(here) == []


def test_jobs_on_a_node_that_somebody_else_drained_are_waited_for_and_never_requeued(
    cluster: Cluster, here: Commands
) -> None:
    job = cluster.submit("gn0", "--requeue")
    cluster.drain("gn0", "bad fan")
    with pytest.raises(slurm.JobsStay, match="bad fan"):
        slurm.drain(here, "gn0", "voice", jobs="requeue", timeout_s=0.5)
    assert (cluster.job(job), cluster.state("gn0")) == ("RUNNING", "MIXED+DRAIN")


def test_a_node_that_is_down_and_not_drained_is_left_alone(cluster: Cluster, here: Commands) -> None:
    cluster.do("scontrol", "update", "nodename=gn0", "state=down", "reason=no fan")
    with pytest.raises(slurm.OutOfService, match="no fan") as caught:
        slurm.drain(here, "gn0", "voice")
    assert "state=drain" in str(caught.value)
    assert cluster.state("gn0") == "DOWN"
    assert slurm.read(here, "gn0").node.reason == "no fan"


def test_a_reservation_for_maintenance_is_there_again_afterwards(cluster: Cluster, here: Commands) -> None:
    words = ["starttime=now", "duration=60", "user=root", "flags=maint,ignore_jobs", "nodes=gn0"]
    cluster.do("scontrol", "create", "reservation", "reservationname=m", *words)
    try:
        cluster.until(lambda: "MAINT" in cluster.state("gn0"), "the reservation begins")
        before = cluster.sinfo()
        slurm.drain(here, "gn0", "voice")
        assert "DRAIN" in cluster.state("gn0")
        slurm.resume(here, "gn0")
        cluster.until(lambda: cluster.sinfo() == before, "gn0 is as before")
    finally:
        cluster.do("scontrol", "delete", "reservationname=m")


def test_somebody_who_resumes_the_node_meanwhile_ends_the_wait(cluster: Cluster, here: Commands) -> None:
    cluster.submit("gn0")
    resume = threading.Timer(1.0, cluster.do, ["scontrol", "update", "nodename=gn0", "state=resume"])
    resume.start()
    with pytest.raises(slurm.SlurmError, match="somebody put it back into service"):
        slurm.drain(here, "gn0", "voice", timeout_s=30, poll_s=0.2)


def test_a_reboot_that_slurm_was_asked_for_is_neither_run_into_nor_called_off(cluster: Cluster, here: Commands) -> None:
    cluster.submit("gn0", "--exclusive")

    def reboot() -> None:
        cluster.until(lambda: "DRAIN" in cluster.state("gn0"), "gn0 is drained")
        cluster.do("scontrol", "reboot", "ASAP", "nextstate=resume", "gn0")

    asking = threading.Thread(target=reboot)
    asking.start()
    with pytest.raises(slurm.OutOfService, match=r"about to reboot .* It stays drained \(migprov: voice\)"):
        slurm.drain(here, "gn0", "voice", timeout_s=60, poll_s=0.2)
    asking.join()
    with pytest.raises(slurm.NotBack, match="would call that off"):
        slurm.resume(here, "gn0")
    assert cluster.state("gn0") == "ALLOCATED+DRAIN+REBOOT_REQUESTED"
    cluster.do("scontrol", "cancel_reboot", "gn0")
    cluster.do("scancel", "--user=root")
    slurm.drain(here, "gn0", "voice", timeout_s=60, poll_s=0.2)
    slurm.resume(here, "gn0")
    assert cluster.state("gn0") == "IDLE"
    cluster.submit("gn1", "--exclusive")
    cluster.do("scontrol", "reboot", "gn1")
    with pytest.raises(slurm.OutOfService, match=r"reboot requested.* Nothing was changed, in Slurm or on the node"):
        slurm.drain(here, "gn1", "voice")
    assert cluster.state("gn1") == "ALLOCATED+REBOOT_REQUESTED"
    cluster.do("scontrol", "cancel_reboot", "gn1")


def test_without_its_slurmd_a_node_is_not_resumed(cluster: Cluster, here: Commands) -> None:
    slurm.drain(here, "gn0", "voice")
    cluster.control("stop", "gn0")
    cluster.do("scontrol", "update", "nodename=gn0", "state=down", "reason=migprov: voice")
    cluster.do("scontrol", "update", "nodename=gn0", "state=drain", "reason=migprov: voice")
    try:
        with pytest.raises(slurm.NotBack):
            slurm.resume(here, "gn0", settle_s=1)
    finally:
        cluster.control("start", "gn0")
