"""States and steps in words, for people and for diffs. Works on the wire form (docs/architecture.md)."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from . import steps


def describe(state: Optional[Mapping[str, Any]]) -> List[str]:
    """A node's layout as lines: what a diff compares. Ids and memory in use are left out: they are not wanted."""
    lines: List[str] = []
    for gpu in (state or {}).get("gpus", []):
        lines.append("GPU %s %s (%s): %s" % (gpu["index"], gpu.get("name"), gpu.get("uuid"), _mode(gpu)))
        for instance in gpu.get("instances", []):
            lines.append("  %s at memory slice %s" % (instance["profile"], instance["start"]))
            for compute in instance["compute_instances"]:
                if compute["profile"] != instance["profile"]:
                    lines.append("    %s" % compute["profile"])
            if not instance["compute_instances"]:
                lines.append("    no compute instance")
    return lines


def _mode(gpu: Mapping[str, Any]) -> str:
    if gpu.get("error"):
        return "does not answer: %s" % gpu["error"]["message"]
    if not gpu.get("mig_capable"):
        return "no MIG"
    mode = "MIG enabled" if gpu["mig_current"] else "MIG disabled"
    if gpu["mig_pending"] != gpu["mig_current"]:
        mode += ", %s pending" % ("enabled" if gpu["mig_pending"] else "disabled")
    if gpu.get("needs_reset"):
        mode += ", needs a reset: %s" % gpu["needs_reset"]
    return mode


def describe_step(step: Mapping[str, Any]) -> str:
    """One step as a phrase."""
    where = "" if step["gpu"] is None else "GPU %s: " % step["gpu"]
    action = step["action"]
    if action == steps.SET_MIG_MODE:
        return where + ("enable MIG mode" if step["enabled"] else "disable MIG mode")
    if action == steps.RESET_GPU:
        return where + "reset"
    if action == steps.DESTROY_GPU_INSTANCE:
        return where + "destroy GPU instance %s (%s at %s)" % (step["gi_id"], step["profile"], step["start"])
    if action == steps.CREATE_GPU_INSTANCE:
        return where + "create GPU instance %s at %s" % (step["profile"], step["start"])
    if action == steps.STOP_SERVICE:
        return where + "stop %s" % step["unit"]
    if action == steps.START_SERVICE:
        return where + "start %s" % step["unit"]
    if action in (steps.WAIT_FOR_PROCESS, steps.END_PROCESS):
        verb = "end" if action == steps.END_PROCESS else "wait for"
        return where + "%s process %s (%s, user %s)" % (verb, step["pid"], step["command"], step["user"])
    if action not in (steps.CREATE_COMPUTE_INSTANCE, steps.DESTROY_COMPUTE_INSTANCE):
        return where + str(action).replace("_", " ")  # of a newer release, in a node's journal
    inside = "in %s at %s" % (step["profile"], step["gi_start"])
    if action == steps.DESTROY_COMPUTE_INSTANCE:
        return where + "destroy compute instance %s (%s) %s" % (step["ci_id"], step["ci_profile"], inside)
    at = "" if step["ci_start"] is None else " at %s" % step["ci_start"]
    return where + "create compute instance %s%s %s" % (step["ci_profile"], at, inside)
