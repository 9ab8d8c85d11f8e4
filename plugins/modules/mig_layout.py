#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mig_layout
short_description: Bring the GPUs of a node to a MIG layout
version_added: 0.1.0
description:
  - Brings MIG mode, GPU instances and compute instances of a node to a layout, in one call and with the fewest changes.
    Only GPUs that need it are reset.
  - Instances that fit the layout stay, busy ones first. A GPU that no entry of the layout selects is left alone.
  - A layout that is impossible on one of the GPUs is refused before the first write to any of them, with the reason.
  - A GPU that would have to be changed and is held by a process is refused, and the process is named, unless O(drain)
    says otherwise. The other GPUs reach their layout all the same.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.changes
  - migprov.gpu.layout
  - migprov.gpu.drain
seealso:
  - module: migprov.gpu.mig_rollback
  - module: migprov.gpu.mig_verify
  - module: migprov.gpu.mig_info
  - module: migprov.gpu.mig_mode
  - module: migprov.gpu.mig_instances
"""

EXAMPLES = r"""
- name: The layout of the voice pipeline
  migprov.gpu.mig_layout:
    file: layouts/voice.yml
    name: voice
  become: true

- name: The same, written into the play
  migprov.gpu.mig_layout:
    config:
      - devices: [1]
        mig-enabled: true
        mig-devices:
          3g.40gb: 2
  become: true

- name: The same, with half an hour for the work that is in the way
  migprov.gpu.mig_layout:
    file: layouts/voice.yml
    name: voice
    drain: wait
    drain_timeout: 1800
  become: true

- name: What would be done
  migprov.gpu.mig_layout:
    file: layouts/voice.yml
    name: voice
  become: true
  check_mode: true
  register: plan

- name: Show the steps
  ansible.builtin.debug:
    var: plan.steps
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
    - action: create_gpu_instance
      gpu: 1
      uuid: GPU-6f31a63c-7d1e-5bb5-a6f1-3a4b2c1d0e9f
      profile: 3g.40gb
      profile_id: 9
      start: 4
      size: 4
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

from ..module_utils.arguments import MIG_LAYOUT
from ..module_utils.stub import refuse


def main() -> None:
    refuse("mig_layout", MIG_LAYOUT)


if __name__ == "__main__":
    main()
