# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError

from ..plugin_utils import library

DOCUMENTATION = r"""
name: layout_config
short_description: The layout that GPUs have, as C(config) of mig_layout
version_added: 0.1.0
description:
  - Turns GPUs as RV(migprov.gpu.mig_info#module:gpus) gives them into the entries that bring them back to exactly that,
    every placement included. GPUs are named by UUID.
  - GPUs without MIG, and those that do not answer, are left out.
author:
  - migprov contributors (@migprov)
positional: _input
options:
  _input:
    description: The GPUs.
    type: list
    elements: dict
    required: true
seealso:
  - plugin: migprov.gpu.mig_layout
    plugin_type: module
"""

EXAMPLES = r"""
- name: Remember how the GPUs are cut
  migprov.gpu.mig_info:
  register: found

- name: Bring that back
  migprov.gpu.mig_layout:
    config: "{{ found.gpus | migprov.gpu.layout_config }}"
  become: true
"""

RETURN = r"""
_value:
  description: The entries, as O(migprov.gpu.mig_layout#module:config) takes them. Empty where no GPU has MIG.
  type: list
  elements: dict
"""


def layout_config(gpus: Any) -> list[dict[str, Any]]:
    """The entries of a layout that describe these GPUs; see DOCUMENTATION."""
    library.require()
    try:
        # without Ansible's tags, which PyYAML does not take
        known = [gpu for gpu in json.loads(json.dumps(gpus)) if gpu["mig_capable"] and not gpu.get("error")]
        if not known:
            return []
        text = library.layouts.export({"gpus": known})
        uuids = {gpu["index"]: gpu["uuid"] for gpu in known}
        entries: list[dict[str, Any]] = yaml.safe_load(text)["mig-configs"]["current"]
        return [{**entry, "devices": [uuids[index] for index in entry["devices"]]} for entry in entries]
    except (TypeError, KeyError, ValueError) as error:
        raise AnsibleFilterError(f"layout_config wants GPUs as migprov.gpu.mig_info returns: {error!r}") from error


class FilterModule:
    """The filters of the collection in this file."""

    def filters(self) -> dict[str, Callable[[Any], list[dict[str, Any]]]]:
        """By name."""
        return {"layout_config": layout_config}
