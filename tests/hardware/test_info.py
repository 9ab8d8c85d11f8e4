"""`migprov info` beside `nvidia-smi -q -x` and `nvidia-smi mig -lgip -lgipp`."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import migprov

from . import smi
from .conftest import Comparisons
from .conftest import migprov as command

_ON = {"Enabled": True, "Disabled": False}


def test_info_is_what_nvidia_smi_says(to: Comparisons) -> None:
    root = smi.state()
    gpus = root.findall("gpu")
    answer = command("info", "--local", "--json")
    to.same("exit code", answer.code, 0)
    to.same("failed, changed", (answer.node["failed"], answer.node["changed"]), (False, False))
    ours = answer.node["after"]
    to.same("driver version", ours["driver_version"], root.findtext("driver_version"))
    to.same("GPUs", len(ours["gpus"]), int(root.findtext("attached_gpus") or -1))
    for gpu, theirs in zip(ours["gpus"], gpus, strict=False):
        of = f"GPU {gpu['index']}: "
        for what, value in _fields(theirs).items():
            to.same(of + what, gpu[what], value)
        to.same(of + "processes with memory", _listed(gpu), smi.processes(theirs))


def _fields(gpu: ElementTree.Element) -> dict[str, object]:
    return {
        "error": None,
        "uuid": gpu.findtext("uuid"),
        "pci_bus_id": gpu.get("id"),
        "minor": int(gpu.findtext("minor_number") or -1),
        "name": gpu.findtext("product_name"),
        "device_id": f"0x{gpu.findtext('pci/pci_device_id')}",
        "memory_mib": smi.mib(gpu.findtext("fb_memory_usage/total")),
        "memory_used_mib": smi.mib(gpu.findtext("fb_memory_usage/used")),
        "mig_capable": True,
        "mig_current": _ON[gpu.findtext("mig_mode/current_mig") or ""],
        "mig_pending": _ON[gpu.findtext("mig_mode/pending_mig") or ""],
        "instances": [],
        "needs_reset": None,
    }


def _listed(gpu: dict[str, object]) -> dict[int, int]:
    found = gpu["processes"]
    assert isinstance(found, list)
    return {one["pid"]: one["memory_mib"] for one in found if one["kind"] != "open"}


def test_info_for_people(to: Comparisons) -> None:
    answer = command("info", "--local")
    to.same("exit code", answer.code, 0)
    lines = [line.split() for line in answer.out.splitlines()]
    rows = [line for line in lines if line and line[0].isdigit()]
    to.same("rows", [int(row[0]) for row in rows], list(range(len(smi.profiles()))))
    to.same("MIG", {row[-1] if row[-1] == "off" else row for row in map(tuple, rows)}, {"off"})


def test_profiles_are_what_nvidia_smi_lists(to: Comparisons) -> None:
    listed = smi.profiles()
    with migprov.local() as node:
        told = node.task("info", {"profiles": True}).data["profiles"]
    to.same("GPUs", sorted(map(int, told)), sorted(listed))
    for index, card in told.items():
        theirs = listed[int(index)]
        of = f"GPU {index}: "
        to.same(of + "profiles come from", card["source"], "nvml")
        to.same(of + "profiles", sorted(one["profile_id"] for one in card["profiles"]), sorted(theirs))
        for one in card["profiles"]:
            row = theirs[one["profile_id"]]
            of = f"GPU {index}, profile {row.id}: "
            to.same(of + "name", one["name"], row.name)
            to.same(of + "at most", one["max_instances"], row.most)
            to.same(of + "memory, GiB", round(one["memory_mib"] / 1024 * 4) / 4, row.gib)  # nvidia-smi says quarters
            to.same(of + "SMs", one["sm_count"], row.sms)
            to.same(of + "slices", f"{one['slices']}g", row.name.split(".")[0])
            to.same(of + "placements", (tuple(one["starts"]), one["size"]), (row.starts, row.size))


def test_driver(to: Comparisons) -> None:
    version = smi.state().findtext("driver_version")
    with migprov.local() as node:
        found = node.driver()
        to.same("new enough", found.error, None)
        to.same("kernel module", found.data["kernel_module_version"], version)
        to.same("the same as a minimum", node.driver(minimum=version).error, None)
        try:
            node.driver(minimum="999.1")
            refused = None
        except migprov.errors.NodeFailed as error:
            refused = error.error_code
    to.same("older than 999.1", refused, "driver_too_old")
