#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_drain
short_description: Have no work on GPUs
version_added: 0.1.0
description:
  - Makes sure that no work is on the given GPUs. Refuses while there is any, waits for its end, or ends it.
  - For what lies outside of a change of layout, such as maintenance or a reboot; the modules that change GPUs have the
    same policies and touch only the work that is in their way.
  - Services that only watch GPUs (O(agents)) and processes that have a GPU merely open stay. The changes that need
    them gone see to it themselves.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.changes
  - migprov.gpu.gpus
options:
  policy:
    description:
      - V(refuse) fails and names the processes; nothing is ended.
      - V(wait) waits until they have ended by themselves.
      - V(terminate) ends them, with SIGTERM and, when the time is up, with SIGKILL. A process is known by its pid and
        its start time, so none that took over a pid is ever ended.
    type: str
    choices: [refuse, wait, terminate]
    default: refuse
  timeout:
    description:
      - How long the processes are given, in seconds, all of them together.
    type: float
    default: 300
  agents:
    description:
      - The systemd services whose processes do not count as work.
      - The default is those that are known to keep GPUs open and to come back by themselves. A list replaces it.
    type: list
    elements: str
  stop_on_error:
    description:
      - Whether a GPU that cannot be drained keeps the others from being drained.
    type: bool
    default: false
attributes:
  diff_mode:
    description: The layout does not change, so there is nothing to show but the same twice.
    support: full
seealso:
  - module: migprov.gpu.gpu_holders_info
  - module: migprov.gpu.mig_layout
"""

EXAMPLES = r"""
- name: Nobody works on GPU 1
  migprov.gpu.gpu_drain:
    gpus: [1]
  become: true

- name: Everything has ended within an hour
  migprov.gpu.gpu_drain:
    gpus: all
    policy: wait
    timeout: 3600
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
    - action: end_process
      gpu: 1
      uuid: GPU-6f31a63c-7d1e-5bb5-a6f1-3a4b2c1d0e9f
      pid: 4242
      start_ticks: 815
      command: python3
      user: asr
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

from ..module_utils.arguments import GPU_DRAIN
from ..module_utils.stub import refuse


def main() -> None:
    refuse("gpu_drain", GPU_DRAIN)


if __name__ == "__main__":
    main()
