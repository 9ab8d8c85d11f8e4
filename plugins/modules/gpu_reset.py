#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_reset
short_description: Reset GPUs that need it
version_added: 0.1.0
description:
  - Resets those of the given GPUs whose MIG mode is pending or that the driver says need a reset; the others are left
    alone. With O(force=true) all the given GPUs are reset.
  - A GPU that a process holds is refused, and the process is named, unless O(drain) says otherwise.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.gpus
  - migprov.gpu.drain
options:
  force:
    description:
      - Also reset GPUs that do not need it. Such a task changes something at every run.
    type: bool
    default: false
attributes:
  check_mode:
    description: Returns the resets that would be done, and does none.
    support: full
  diff_mode:
    description: Returns the GPUs before and after.
    support: full
  idempotent:
    description: With O(force=true) every run resets.
    support: partial
    details: Idempotent unless O(force=true).
seealso:
  - module: migprov.gpu.mig_mode
  - module: migprov.gpu.mig_layout
"""

EXAMPLES = r"""
- name: Make a pending MIG mode take effect
  migprov.gpu.gpu_reset:
    gpus: all
  become: true

- name: Reset GPU 0 whatever its state
  migprov.gpu.gpu_reset:
    gpus: [0]
    force: true
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
    - action: reset_gpu
      gpu: 1
      uuid: GPU-6f31a63c-7d1e-5bb5-a6f1-3a4b2c1d0e9f
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

from ..module_utils.arguments import GPU_RESET
from ..module_utils.stub import refuse


def main() -> None:
    refuse("gpu_reset", GPU_RESET)


if __name__ == "__main__":
    main()
