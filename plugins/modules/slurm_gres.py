#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_gres
short_description: Bring a node's lines in slurm.conf and gres.conf up to date with its GPUs
version_added: 0.1.0
description:
  - Edits the lines of one node and no others. A line that names it beside other nodes is split. Gres that are no GPUs
    and C(Cores=) of a GPU stay. Lines that say the same already, in other words perhaps, are left alone.
  - Files are replaced whole or not at all, and only if they are what was read. As a file was before the first change of
    a day, it stays beside it, as C(slurm.conf.migprov-2026-11-22~).
  - Drain the node first and, before Slurm 23.11, stop its slurmd; the role C(migprov.gpu.gpu_drain_slurm) does both.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.changes
options:
  node:
    description:
      - The node's C(NodeName) in slurm.conf.
    type: str
    required: true
  conf:
    description:
      - The slurm.conf on the task's host. Slurm's commands read it too.
    type: str
    default: /etc/slurm/slurm.conf
  gres_conf:
    description:
      - The gres.conf on the task's host. The default is the one beside O(conf).
    type: str
  mode:
    description:
      - V(autodetect) writes C(AutoDetect=nvml), and into slurm.conf the types that slurmd finds then.
      - V(explicit) writes the device files of each GPU and of each MIG device.
    type: str
    choices: [autodetect, explicit]
    required: true
  gpus:
    description:
      - The GPUs as RV(migprov.gpu.mig_info#module:gpus) gives them, read with O(migprov.gpu.mig_info#module:caps=true).
    type: list
    elements: dict
    required: true
  profiles:
    description:
      - The profiles as RV(migprov.gpu.mig_info#module:profiles) gives them, for the types of O(mode=autodetect).
    type: dict
  type:
    description:
      - What the cards are called in types, such as V(a100) in C(a100_3g.40gb). The default is what their product is
        called.
    type: str
    default: ""
  dev:
    description:
      - The folder of the device files.
    type: str
    default: /dev
  take:
    description:
      - Whether to make slurmctld read the files afterwards, if it does not know the node's gres already. Slurm 23.11
        and newer are told to reconfigure; before, O(restart) is run.
    type: bool
    default: false
  force:
    description:
      - Whether O(take) does that also when slurmctld knows the gres already, as when only device files have changed.
    type: bool
    default: false
  restart:
    description:
      - The command that restarts slurmctld.
    type: list
    elements: str
    default: [systemctl, restart, slurmctld]
seealso:
  - module: migprov.gpu.slurm_node
  - module: migprov.gpu.mig_info
"""

EXAMPLES = r"""
- name: Read the GPUs
  migprov.gpu.mig_info:
    caps: true
    profiles: true
  become: true
  register: found

- name: Write them into Slurm's files
  migprov.gpu.slurm_gres:
    node: "{{ inventory_hostname_short }}"
    mode: explicit
    gpus: "{{ found.gpus }}"
    take: true
  delegate_to: controller
  become: true
  throttle: 1
"""

RETURN = r"""
gres:
  description: The GPUs in the node's C(Gres=).
  returned: success
  type: str
  sample: gpu:a100:2,gpu:a100_3g.40gb:2
files:
  description: The files that were changed; in check mode those that would be.
  returned: success
  type: list
  elements: str
known:
  description: Whether slurmctld has these GPUs.
  returned: success
  type: bool
taken:
  description: Whether slurmctld was restarted or told to reconfigure.
  returned: success
  type: bool
error:
  description:
    - What went wrong, for a play that wants to decide by it. C(msg) says the same as text.
  returned: failure
  type: dict
  contains:
    code:
      description: One word such as V(render), V(slurm_files) or V(slurm).
      type: str
    message:
      description: What is wrong.
      type: str
    next:
      description: The next action for the person who reads it.
      type: str
"""

from ..module_utils.arguments import SLURM_GRES
from ..module_utils.stub import refuse


def main() -> None:
    refuse("slurm_gres", SLURM_GRES)


if __name__ == "__main__":
    main()
