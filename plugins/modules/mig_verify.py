#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mig_verify
short_description: Check that the GPUs of a node are exactly as a layout wants them
version_added: 0.1.0
description:
  - Compares MIG mode, profiles, placements where the layout gives them, compute instances, and that each MIG device can
    be used, with a layout.
  - Never changes anything. It fails when something differs, and says what.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.reads
  - migprov.gpu.layout
options:
  cuda:
    description:
      - Whether to allocate, set and read back a little memory on each device through CUDA, too.
      - A device that fails is a difference. Where there is no C(libcuda) the trial is skipped, and RV(cuda) says so.
    type: bool
    default: false
seealso:
  - module: migprov.gpu.mig_layout
  - module: migprov.gpu.mig_info
"""

EXAMPLES = r"""
- name: The node is cut as the layout says
  migprov.gpu.mig_verify:
    file: layouts/voice.yml
    name: voice

- name: Look for differences without failing
  migprov.gpu.mig_verify:
    file: layouts/voice.yml
    name: voice
  register: verified
  failed_when: verified.error is defined and verified.error.code != 'not_as_wanted'
"""

RETURN = r"""
driver_version:
  description: Version of the NVIDIA driver.
  returned: when the node answered
  type: str
  sample: 580.159.04
gpus:
  description: The GPUs as they were read, in the form of RV(migprov.gpu.mig_info#module:gpus).
  returned: when the node answered
  type: list
  elements: dict
verified:
  description: Indices of the GPUs that the layout selects.
  returned: when the node answered
  type: list
  elements: int
cuda:
  description:
    - By UUID of the device, the index of its C(gpu), C(result) (V(ok), V(skipped) or V(error)) and C(message).
  returned: when O(cuda=true)
  type: dict
interrupted:
  description: The last change of the node's journal, if the run that made it died on the way.
  returned: when there is such a change
  type: dict
differences:
  description: What is not as wanted, as sentences. Empty when all is.
  returned: when the node answered
  type: list
  elements: str
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

from ..module_utils.arguments import MIG_VERIFY
from ..module_utils.stub import refuse


def main() -> None:
    refuse("mig_verify", MIG_VERIFY)


if __name__ == "__main__":
    main()
