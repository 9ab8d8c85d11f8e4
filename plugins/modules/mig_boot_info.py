#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mig_boot_info
short_description: What a node needs to restore its MIG layout at boot
version_added: 0.1.0
description:
  - Returns a layout as the node program reads it at boot, each GPU by its UUID and each instance with its placement,
    and the node program itself as a file on the control node. The role C(migprov.gpu.mig_persist) puts both on the
    node.
  - The node is asked what the layout comes to on its GPUs, so one that is impossible there is refused now and not at
    the next boot. GPUs that the layout does not select are left out, and so left alone at boot.
  - Never changes anything. Work that runs on the GPUs does not matter.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.reads
  - migprov.gpu.layout
options:
  current:
    description:
      - Take the layout that the GPUs have now, instead of one that is given. All GPUs with MIG are in it.
    type: bool
    default: false
  driver_wait_s:
    description:
      - How long to wait at boot for the driver and for GPUs that are not there yet, in seconds.
    type: float
    default: 60.0
  step_limit_s:
    description:
      - After how many seconds one step at boot counts as hung.
    type: float
    default: 60.0
  limit_s:
    description:
      - After how many seconds the whole is given up at boot, waiting included.
    type: float
    default: 300.0
seealso:
  - module: migprov.gpu.mig_layout
"""

EXAMPLES = r"""
- name: Save the layout that the node has now
  migprov.gpu.mig_boot_info:
    current: true
  become: true
  register: boot
"""

RETURN = r"""
saved:
  description: The saved layout, as text of JSON.
  returned: success
  type: str
uuids:
  description: The UUIDs of the GPUs in it.
  returned: success
  type: list
  elements: str
program:
  description:
    - C(path), the node program as a file on the control node that is there until the end of this run of Ansible, and
      C(digest), its SHA-256 in hexadecimal.
  returned: success
  type: dict
error:
  description:
    - What went wrong, for a play that wants to decide by it. C(msg) says the same as text.
  returned: failure
  type: dict
  contains:
    code:
      description: One word such as V(gpu_busy), V(layout_impossible), V(no_permission) or V(driver_too_old).
      type: str
    message:
      description: What is wrong.
      type: str
    gpu:
      description: Index of the GPU, if it is about one.
      type: int
    next:
      description: The next action for the person who reads it.
      type: str
    holders:
      description: The processes that hold the GPU, each with C(pid), C(command), C(user), C(memory_mib), C(gi_id).
      type: list
      elements: dict
    undone:
      description: Steps that were done and then undone.
      type: list
      elements: dict
    differences:
      description: What is not as wanted, as sentences.
      type: list
      elements: str
"""

from ..module_utils.arguments import MIG_BOOT_INFO
from ..module_utils.stub import refuse


def main() -> None:
    refuse("mig_boot_info", MIG_BOOT_INFO)


if __name__ == "__main__":
    main()
