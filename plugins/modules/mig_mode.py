#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mig_mode
short_description: Switch MIG mode of GPUs on or off
version_added: 0.1.0
description:
  - Switches MIG mode of the given GPUs and reads it back. Where the driver leaves the mode pending (Ampere), that
    one GPU is reset.
  - A GPU that a process holds is refused, and the process is named, unless O(drain) says otherwise.
  - Switching MIG mode off needs the GPU to have no busy instances; idle ones go.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.changes
  - migprov.gpu.gpus
  - migprov.gpu.drain
options:
  enabled:
    description:
      - Whether MIG mode is to be on.
    type: bool
    required: true
seealso:
  - module: migprov.gpu.mig_layout
  - module: migprov.gpu.gpu_reset
"""

EXAMPLES = r"""
- name: MIG mode is on for GPU 1
  migprov.gpu.mig_mode:
    enabled: true
    gpus: [1]
  become: true

- name: MIG mode is off everywhere
  migprov.gpu.mig_mode:
    enabled: false
    gpus: all
  become: true
"""

RETURN = r"""
before:
  description: The driver and the GPUs before, in the form of RV(migprov.gpu.mig_info#module:gpus).
  returned: when the node answered
  type: dict
after:
  description: The driver and the GPUs afterwards; in check mode as they would be.
  returned: when the node answered
  type: dict
steps:
  description:
    - The steps that were done, in order; in check mode those that would be done.
    - The steps of check mode and of the run that follows are equal.
  returned: when the node answered
  type: list
  elements: dict
  sample:
    - action: set_mig_mode
      gpu: 1
      uuid: GPU-6f31a63c-7d1e-5bb5-a6f1-3a4b2c1d0e9f
      enabled: true
planned:
  description: The whole plan. Differs from RV(steps) only when a step failed.
  returned: when the node answered
  type: list
  elements: dict
gpus:
  description:
    - How each GPU that was touched or refused fared, by index. C(result) is V(done), V(failed) or V(refused), with an
      C(error) for the last two.
  returned: when something was done
  type: dict
  sample:
    "1":
      result: done
      error: null
interrupted:
  description: The last change of the node's journal, if the run that made it died on the way.
  returned: when there is such a change
  type: dict
lock:
  description: Who is making another change on the node at this moment; null when nobody is.
  returned: in check mode, when the node answered
  type: str
  sample: process 4242, since 2026-01-31 09:30:00 +0000
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

from ..module_utils.arguments import MIG_MODE
from ..module_utils.stub import refuse


def main() -> None:
    refuse("mig_mode", MIG_MODE)


if __name__ == "__main__":
    main()
