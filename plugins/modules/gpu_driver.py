#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_driver
short_description: Check that the NVIDIA driver works and is new enough for MIG
version_added: 0.1.0
description:
  - Checks that the driver is there, that the kernel module is loaded and of the same version as the library, and that
    it is at least the version that MIG needs on each GPU of the node.
  - Never changes anything. It fails with the reason when the driver is not good enough.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.reads
options:
  minimum:
    description:
      - The lowest version that is good enough, quoted, such as V(570.124.06).
      - When left out, each GPU's own minimum for MIG counts.
    type: str
seealso:
  - module: migprov.gpu.mig_info
  - module: migprov.gpu.mig_layout
"""

EXAMPLES = r"""
- name: The driver is good enough for MIG on every GPU here
  migprov.gpu.gpu_driver:

- name: The driver is at least the one the fleet agreed on
  migprov.gpu.gpu_driver:
    minimum: "570.124.06"
"""

RETURN = r"""
driver_version:
  description: Version of the NVIDIA driver.
  returned: success
  type: str
  sample: 580.159.04
nvml_version:
  description: Version of the NVML library.
  returned: success
  type: str
kernel_module_version:
  description: Version of the kernel module, if the kernel shows it.
  returned: success
  type: str
gpus:
  description: The GPUs with MIG and the version that each needs.
  returned: success
  type: list
  elements: dict
  contains:
    gpu:
      description: Index of the GPU.
      type: int
    name:
      description: Name that the driver gives.
      type: str
    minimum:
      description: The lowest version that is good enough for it, if it is known.
      type: str
    installed:
      description: The version found.
      type: str
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

from ..module_utils.arguments import GPU_DRIVER
from ..module_utils.stub import refuse


def main() -> None:
    refuse("gpu_driver", GPU_DRIVER)


if __name__ == "__main__":
    main()
