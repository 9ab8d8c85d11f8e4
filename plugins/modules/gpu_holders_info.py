#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_holders_info
short_description: Who holds GPUs
version_added: 0.1.0
description:
  - Lists the processes that hold GPUs or their instances, as the driver lists them and as the open device files
    show; monitoring agents and others without a context are seen only in the second way.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.reads
options:
  gpus:
    description:
      - The GPUs that are meant; V(all), or a list of index, UUID (V(GPU-...)) and PCI bus id
        (V(00000000:07:00.0), the short forms too).
    type: list
    elements: raw
    default: [all]
notes:
  - An ordinary user does not see which device files the processes of others have open; use C(become).
seealso:
  - module: migprov.gpu.gpu_drain
  - module: migprov.gpu.mig_info
"""

EXAMPLES = r"""
- name: Who works on GPU 1
  migprov.gpu.gpu_holders_info:
    gpus: [1]
  become: true
  register: found

- name: The services behind them
  ansible.builtin.debug:
    msg: "{{ found.holders | map(attribute='unit') | unique }}"
"""

RETURN = r"""
holders:
  description: A process on a GPU each; one that holds several GPUs or instances comes several times.
  returned: success
  type: list
  elements: dict
  contains:
    gpu:
      description: Index of the GPU.
      type: int
    uuid:
      description: UUID of the GPU.
      type: str
    pid:
      description: The pid, as the node sees it.
      type: int
    start_ticks:
      description: Start time in clock ticks since boot, which makes the pid unmistakable.
      type: int
    started:
      description: Start time in seconds since the epoch.
      type: float
    user:
      description: The user it runs as.
      type: str
    command:
      description: The name of its program.
      type: str
    arguments:
      description: Its command line, shortened.
      type: str
    unit:
      description: Its systemd unit, if any.
      type: str
    container:
      description: The id of its container, if any.
      type: str
    memory_mib:
      description: Memory of the GPU that it uses, in MiB.
      type: int
    gi_id:
      description: The GPU instance it is in, if any.
      type: int
    ci_id:
      description: The compute instance it is in, if any.
      type: int
    kind:
      description: V(compute), V(graphics) or V(mps), or V(open) for one that merely has the device open.
      type: str
unread:
  description: The chosen GPUs that do not answer, with C(gpu), C(code) and C(message). Nobody knows who holds them.
  returned: success
  type: list
  elements: dict
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

from ..module_utils.arguments import GPU_HOLDERS_INFO
from ..module_utils.stub import refuse


def main() -> None:
    refuse("gpu_holders_info", GPU_HOLDERS_INFO)


if __name__ == "__main__":
    main()
