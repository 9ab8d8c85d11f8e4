# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of each module: what the action plugins validate and what the documentation is checked against.

Each value holds the keyword arguments that AnsibleModule and ArgumentSpecValidator share.
"""

from __future__ import annotations

from typing import Any, Dict

_GPUS: Dict[str, Any] = {"type": "list", "elements": "raw", "required": True}

_LAYOUT: Dict[str, Any] = {
    "argument_spec": {
        "file": {"type": "str"},
        "name": {"type": "str"},
        "config": {"type": "list", "elements": "dict"},
    },
    "mutually_exclusive": [("file", "config"), ("name", "config")],
    "required_one_of": [("file", "config")],
    "required_together": [("file", "name")],
}

MIG_INFO: Dict[str, Any] = {
    "argument_spec": {
        "processes": {"type": "bool", "default": True},
        "profiles": {"type": "bool", "default": False},
    }
}
GPU_DRIVER: Dict[str, Any] = {"argument_spec": {"minimum": {"type": "str"}}}
MIG_MODE: Dict[str, Any] = {"argument_spec": {"enabled": {"type": "bool", "required": True}, "gpus": _GPUS}}
GPU_RESET: Dict[str, Any] = {"argument_spec": {"gpus": _GPUS, "force": {"type": "bool", "default": False}}}
MIG_INSTANCES: Dict[str, Any] = {"argument_spec": {"gpus": _GPUS, "instances": {"type": "raw", "required": True}}}
MIG_LAYOUT: Dict[str, Any] = _LAYOUT
MIG_VERIFY = _LAYOUT
