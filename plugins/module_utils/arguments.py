# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of each module: what the action plugins validate and what the documentation is checked against.

Each value holds the keyword arguments that AnsibleModule and ArgumentSpecValidator share.
"""

from __future__ import annotations

from typing import Any, Dict

_GPUS: Dict[str, Any] = {"type": "list", "elements": "raw", "required": True}

_POLICY: Dict[str, Any] = {"type": "str", "choices": ["refuse", "wait", "terminate"], "default": "refuse"}
_TIMEOUT: Dict[str, Any] = {"type": "float", "default": 300.0}
_AGENTS: Dict[str, Any] = {"type": "list", "elements": "str"}
_STOP: Dict[str, Any] = {"type": "bool", "default": False}
_DRAIN: Dict[str, Any] = {
    "drain": _POLICY,
    "drain_timeout": _TIMEOUT,
    "agents": _AGENTS,
    "stop_on_error": _STOP,
}

_WHICH: Dict[str, Any] = {
    "file": {"type": "str"},
    "name": {"type": "str"},
    "config": {"type": "list", "elements": "dict"},
}
_WHICH_RULES: Dict[str, Any] = {
    "mutually_exclusive": [("file", "config"), ("name", "config")],
    "required_one_of": [("file", "config")],
    "required_together": [("file", "name")],
}

MIG_INFO: Dict[str, Any] = {
    "argument_spec": {
        "processes": {"type": "bool", "default": True},
        "profiles": {"type": "bool", "default": False},
        "caps": {"type": "bool", "default": False},
    }
}
GPU_DRIVER: Dict[str, Any] = {"argument_spec": {"minimum": {"type": "str"}}}
GPU_HOLDERS_INFO: Dict[str, Any] = {
    "argument_spec": {"gpus": {"type": "list", "elements": "raw", "default": ["all"]}},
}
MIG_HISTORY_INFO: Dict[str, Any] = {"argument_spec": {}}
MIG_MODE: Dict[str, Any] = {
    "argument_spec": {"enabled": {"type": "bool", "required": True}, "gpus": _GPUS, **_DRAIN},
}
GPU_RESET: Dict[str, Any] = {"argument_spec": {"gpus": _GPUS, "force": {"type": "bool", "default": False}, **_DRAIN}}
GPU_DRAIN: Dict[str, Any] = {
    "argument_spec": {"gpus": _GPUS, "policy": _POLICY, "timeout": _TIMEOUT, "agents": _AGENTS, "stop_on_error": _STOP},
}
MIG_INSTANCES: Dict[str, Any] = {
    "argument_spec": {"gpus": _GPUS, "instances": {"type": "raw", "required": True}, **_DRAIN},
}
MIG_LAYOUT: Dict[str, Any] = {"argument_spec": {**_WHICH, **_DRAIN}, **_WHICH_RULES}
MIG_VERIFY: Dict[str, Any] = {"argument_spec": {**_WHICH, "cuda": {"type": "bool", "default": False}}, **_WHICH_RULES}
MIG_ROLLBACK: Dict[str, Any] = {"argument_spec": dict(_DRAIN)}
MIG_BOOT_INFO: Dict[str, Any] = {
    "argument_spec": {
        **_WHICH,
        "current": {"type": "bool", "default": False},
        "driver_wait_s": {"type": "float", "default": 60.0},
        "step_limit_s": {"type": "float", "default": 60.0},
        "limit_s": {"type": "float", "default": 300.0},
    },
    "mutually_exclusive": [("file", "config"), ("name", "config")],
    "required_if": [("current", False, ("file", "config"), True)],
    "required_together": [("file", "name")],
}

_SLURM: Dict[str, Any] = {"node": {"type": "str", "required": True}, "conf": {"type": "str"}}

SLURM_NODE_INFO: Dict[str, Any] = {"argument_spec": dict(_SLURM)}
SLURM_NODE: Dict[str, Any] = {
    "argument_spec": {
        **_SLURM,
        "state": {"type": "str", "choices": ["drained", "resumed"], "required": True},
        "change": {"type": "str"},
        "jobs": {"type": "str", "choices": ["wait", "requeue"], "default": "wait"},
        "timeout": {"type": "float", "default": 3600.0},
        "settle": {"type": "float", "default": 60.0},
    },
    "required_if": [("state", "drained", ("change",))],
}

_K8S: Dict[str, Any] = {
    "node": {"type": "str", "required": True},
    "kubeconfig": {"type": "path"},
    "context": {"type": "str"},
}
_PODS: Dict[str, Any] = {"type": "str", "choices": ["gpu", "all"], "default": "gpu"}

K8S_NODE_INFO: Dict[str, Any] = {
    "argument_spec": {**_K8S, "pods": _PODS, "rights": {"type": "bool", "default": False}},
}
K8S_NODE: Dict[str, Any] = {
    "argument_spec": {
        **_K8S,
        "state": {"type": "str", "choices": ["drained", "uncordoned"], "required": True},
        "change": {"type": "str"},
        "pods": _PODS,
        "delete_emptydir_data": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
        "companions": {"type": "list", "elements": "str"},
        "gpus": {"type": "list", "elements": "dict"},
        "mig_strategy": {"type": "str", "choices": ["none", "single", "mixed"]},
        "device_plugin": {"type": "list", "elements": "str"},
        "timeout": {"type": "float", "default": 300.0},
        "poll": {"type": "float", "default": 2.0},
    },
    "required_if": [("state", "drained", ("change",))],
}
K8S_MIG_MANAGER: Dict[str, Any] = {
    "argument_spec": {
        **_K8S,
        **_WHICH,
        "layout": {"type": "str"},
        "namespace": {"type": "str"},
        "config_map": {"type": "str"},
        "timeout": {"type": "float", "default": 1800.0},
        "poll": {"type": "float", "default": 5.0},
    },
    **_WHICH_RULES,
}
SLURM_GRES: Dict[str, Any] = {
    "argument_spec": {
        "node": {"type": "str", "required": True},
        "conf": {"type": "str", "default": "/etc/slurm/slurm.conf"},
        "gres_conf": {"type": "str"},
        "mode": {"type": "str", "choices": ["autodetect", "explicit"], "required": True},
        "gpus": {"type": "list", "elements": "dict", "required": True},
        "profiles": {"type": "dict"},
        "type": {"type": "str", "default": ""},
        "dev": {"type": "str", "default": "/dev"},
        "take": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
        "restart": {"type": "list", "elements": "str", "default": ["systemctl", "restart", "slurmctld"]},
    },
}
