"""A simulated node in words, for people."""

from __future__ import annotations

from typing import Any


def describe(node: dict[str, Any]) -> str:
    """What `SimNode.show()` says, as lines of text."""
    lines = [f"{node['directory']}: driver {node['driver_version']} ({node['driver']}), {node['write_count']} writes"]
    for gpu in node["gpus"]:
        lines += _gpu(gpu)
    lines += [f"fault: {_words(fault)}" for fault in node["faults"]]
    return "\n".join(lines)


def _gpu(gpu: dict[str, Any]) -> list[str]:
    lines = [f"GPU {gpu['index']}: {gpu['name']} {gpu['memory_mib']} MiB {gpu['pci_bus_id']} {gpu['uuid']}{_mode(gpu)}"]
    for instance in gpu["instances"]:
        lines.append(f"  GI {instance['gi_id']}: {instance['profile']} at {instance['start']}:{instance['size']}")
        for ci in instance["compute_instances"]:
            lines.append(f"    CI {ci['ci_id']}: {ci['profile']} at {ci['start']}:{ci['size']} {ci['uuid']}")
    for process in gpu["processes"]:
        where = "" if process["gi_id"] is None else f" on GI {process['gi_id']} CI {process['ci_id']}"
        lines.append(f"  process {process['pid']}: {process['kind']}, {process['memory_mib']} MiB{where}")
    return lines


def _mode(gpu: dict[str, Any]) -> str:
    marks = [name for name in ("hypervisor", "lost", "requires_reset", "remap_pending") if gpu[name]]
    if gpu["mig_capable"]:
        marks.insert(0, "MIG on" if gpu["mig_current"] else "MIG off")
        if gpu["mig_pending"] != gpu["mig_current"]:
            marks.insert(1, f"pending {'on' if gpu['mig_pending'] else 'off'}")
    return f" [{', '.join(marks)}]" if marks else ""


def _words(fault: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in fault.items() if value is not None)
