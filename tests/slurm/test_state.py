"""What Slurm's commands write, as data: 22.05 as recorded here, 24.11 in its documented form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from migprov.fleet.slurm import state
from migprov.fleet.slurm.state import Job, Node

TEXT = """NodeName=gn0 Arch=x86_64 CoresPerSocket=1 
   CPUAlloc=1 CPUEfctv=2 CPUTot=2 CPULoad=2.31
   AvailableFeatures=(null)
   Gres=gpu:h200:2
   NodeAddr=127.0.0.1 NodeHostName=vm Port=17900 Version=22.05.8
   OS=Linux 6.18 State=DOWN #1 SMP
   State=MIXED+DRAIN ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A
   Partitions=p 
   Comment=State=IDLE Reason=none
   Reason=migprov: voice [two] a=b State=IDLE [root@2026-11-22T17:46:00]

NodeName=gn1 CoresPerSocket=1 
   Gres=(null)
   State=DOWN*+DRAIN ThreadsPerCore=1
   Reason=Not responding [slurm@2026-11-22T17:46:00]

NodeName=gn2 CoresPerSocket=1 
   State=IDLE ThreadsPerCore=1

"""  # noqa: W291


def test_nodes_as_text() -> None:
    gn0, gn1, gn2 = state.nodes_from_text(TEXT)
    assert gn0 == Node(
        "gn0",
        "MIXED",
        frozenset({"DRAIN"}),
        "migprov: voice [two] a=b State=IDLE",
        "root",
        "2026-11-22T17:46:00",
        "gpu:h200:2",
    )
    assert (gn0.drained, gn0.busy, gn0.in_service) == (True, True, False)
    assert (gn1.state, gn1.flags, gn1.gres) == ("DOWN", {"DRAIN", "NOT_RESPONDING"}, "")
    assert (gn1.down, gn1.responding) == (True, False)
    assert gn2 == Node("gn2", "IDLE", frozenset())
    assert gn2.in_service


# The first is how 24.11 writes it (a list of flags, times as objects), the second how 22.05's sinfo does.
FORMS: list[dict[str, Any]] = [
    {
        "state": ["MIXED", "DRAIN"],
        "reason": "migprov: voice",
        "reason_changed_at": {"set": True, "infinite": False, "number": 1_790_000_000},
        "reason_set_by_user": "root",
        "gres": "gpu:h200:2(S:0)",
    },
    {
        "state": "mixed",
        "state_flags": ["DRAIN"],
        "reason": "migprov: voice",
        "reason_changed_at": 1_790_000_000,
        "reason_set_by_user": "root",
        "gres": "gpu:h200:2(S:0)",
    },
]


@pytest.mark.parametrize("form", FORMS)
def test_nodes_as_json(form: dict[str, Any]) -> None:
    document = json.dumps({"nodes": [{"name": "gn0", **form}], "last_update": {}, "errors": []})
    assert state.nodes_from_json(document) == [
        Node(
            "gn0",
            "MIXED",
            frozenset({"DRAIN"}),
            "migprov: voice",
            "root",
            "2026-09-21T14:13:20Z",
            "gpu:h200:2(S:0)",
        )
    ]


def test_a_node_that_nobody_drained_as_json() -> None:
    none = {"set": True, "infinite": False, "number": 0}
    (node,) = state.nodes_from_json(
        json.dumps({"nodes": [{"name": "gn0", "state": ["IDLE"], "reason": "", "reason_changed_at": none, "gres": ""}]})
    )
    assert node == Node("gn0", "IDLE", frozenset())


@pytest.mark.parametrize("text", ["[]", "{}", '{"nodes": 3}', "nothing"])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no list|Expecting value"):
        state.nodes_from_json(text)


@pytest.mark.parametrize(
    ("text", "base", "flags"),
    [
        ("IDLE", "IDLE", set()),
        ("IDLE*+DRAIN", "IDLE", {"NOT_RESPONDING", "DRAIN"}),
        ("IDLE+DRAIN*", "IDLE", {"NOT_RESPONDING", "DRAIN"}),
        ("ALLOCATED+DRAIN", "ALLOCATED", {"DRAIN"}),
        ("IDLE+MAINTENANCE+RESERVED", "IDLE", {"MAINTENANCE", "RESERVED"}),
        ("IDLE+MAINT", "IDLE", {"MAINTENANCE"}),
        ("IDLE~", "IDLE", {"POWERED_DOWN"}),
        ("mixed@", "MIXED", {"REBOOT_REQUESTED"}),
        ("reboot^", "REBOOT", {"REBOOT_ISSUED"}),
        ("idle!", "IDLE", {"POWER_DOWN"}),
        ("IDLE+PLANNED", "IDLE", {"PLANNED"}),
        ("drained", "IDLE", {"DRAIN"}),
        ("draining", "MIXED", {"DRAIN"}),
        ("UNKNOWN+INVALID_REG", "UNKNOWN", {"INVALID_REG"}),
    ],
)
def test_states(text: str, base: str, flags: set[str]) -> None:
    (node,) = state.nodes_from_text(f"NodeName=gn0\n   State={text} ThreadsPerCore=1\n")
    assert (node.state, node.flags) == (base, flags)


def test_jobs() -> None:
    text = "12_3|14|ann|RUNNING|2026-11-22T17:42:31|a|b c\nand more\n2|2|root|COMPLETING|N/A|\n"
    assert state.jobs(text) == (
        Job("12_3", "14", "ann", "RUNNING", "2026-11-22T17:42:31", "a|b c"),
        Job("2", "2", "root", "COMPLETING", "N/A", ""),
    )
    assert state.jobs("") == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("slurm-wlm 22.05.8", (22, 5)), ("slurm 24.11.5-rc1", (24, 11)), ("slurm 23.02", (23, 2)), ("scontrol", None)],
)
def test_versions(text: str, wanted: tuple[int, int] | None) -> None:
    assert state.version(text) == wanted
