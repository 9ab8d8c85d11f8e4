#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mig_info
short_description: What the GPUs of a node are, how they are cut, who holds them
version_added: 0.1.0
description:
  - Reads the NVIDIA driver, the GPUs, their MIG mode, GPU instances, compute instances and MIG devices, and the
    processes that hold them.
  - Never changes anything. Works without root; what another user runs may then be missing.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.reads
options:
  processes:
    description:
      - Whether to look for the processes that hold each GPU.
    type: bool
    default: true
  profiles:
    description:
      - Whether to read which MIG profiles each GPU has, and where they can be placed.
    type: bool
    default: false
  caps:
    description:
      - Whether to read which device files in C(/dev/nvidia-caps) give access to the instances. Each GPU instance and
        each compute instance then has C(cap_minor), their minor number, which is null where the driver does not tell.
    type: bool
    default: false
seealso:
  - module: migprov.gpu.mig_layout
  - module: migprov.gpu.mig_verify
"""

EXAMPLES = r"""
- name: Read the GPUs
  migprov.gpu.mig_info:
  register: gpu_node

- name: Show them as text
  ansible.builtin.debug:
    msg: "{{ gpu_node.summary }}"

- name: Name the MIG devices of GPU 1
  ansible.builtin.debug:
    msg: "{{ gpu_node.gpus[1].instances | map(attribute='compute_instances') | flatten | map(attribute='uuid') }}"
"""

RETURN = r"""
driver_version:
  description: Version of the NVIDIA driver.
  returned: success
  type: str
  sample: 580.159.04
summary:
  description: The same for people, as lines of text.
  returned: success
  type: list
  elements: str
profiles:
  description:
    - By index of the GPU, its C(profiles) and their C(source), which is the driver or, where the driver does not tell
      them while MIG mode is off, the table of products.
  returned: when O(profiles=true)
  type: dict
gpus:
  description: The GPUs of the node.
  returned: success
  type: list
  elements: dict
  contains:
    index:
      description: Index of the GPU in NVML's order.
      type: int
    uuid:
      description: UUID of the GPU.
      type: str
    pci_bus_id:
      description: PCI bus id.
      type: str
      sample: "00000000:07:00.0"
    minor:
      description: Minor number of the device file, as in C(/dev/nvidia0).
      type: int
    name:
      description: Name that the driver gives.
      type: str
      sample: NVIDIA A100-SXM4-80GB
    device_id:
      description: PCI device id and vendor id, as layout files filter by it.
      type: str
      sample: "0x20B210DE"
    product:
      description: Name by which migprov knows the GPU.
      type: str
      sample: A100-80GB
    memory_mib:
      description: Memory in MiB.
      type: int
    memory_used_mib:
      description: Memory in use, in MiB.
      type: int
    mig_capable:
      description: Whether the GPU has MIG.
      type: bool
    mig_current:
      description: Whether MIG mode is on.
      type: bool
    mig_pending:
      description: Whether MIG mode will be on after the next reset.
      type: bool
    instances:
      description:
        - The GPU instances, each with C(gi_id), C(profile), C(profile_id), C(start) and C(size) in memory slices.
        - Their C(compute_instances) have C(ci_id), C(profile), C(profile_id), C(start), C(size) and the C(uuid) of the
          MIG device.
      type: list
      elements: dict
    processes:
      description:
        - The processes that hold the GPU, each as in RV(migprov.gpu.gpu_holders_info#module:holders), without C(gpu)
          and C(uuid).
      type: list
      elements: dict
    needs_reset:
      description: Why the driver says that the GPU needs a reset; null when it says nothing of the kind.
      type: str
    error:
      description: For a GPU that does not answer, C(code) and C(message).
      type: dict
interrupted:
  description: The last change of the node's journal, if the run that made it died on the way.
  returned: when there is such a change
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

from ..module_utils.arguments import MIG_INFO
from ..module_utils.stub import refuse


def main() -> None:
    refuse("mig_info", MIG_INFO)


if __name__ == "__main__":
    main()
