#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_node_info
short_description: What Slurm says of a node
version_added: 0.1.0
description:
  - Tells whether Slurm keeps a node out of service, who drained it, and which jobs are on it.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.reads
  - migprov.gpu.slurm
seealso:
  - module: migprov.gpu.slurm_node
"""

EXAMPLES = r"""
- name: What Slurm says of the node
  migprov.gpu.slurm_node_info:
    node: "{{ inventory_hostname_short }}"
  delegate_to: login
  register: found

- name: Who works there
  ansible.builtin.debug:
    msg: "{{ found.jobs | map(attribute='user') | unique }}"
"""

RETURN = r"""
node:
  description: Whether the node is out of service, and through whom.
  returned: success
  type: dict
  sample:
    scheduler: slurm
    node: gn0
    drained: true
    by_migprov: true
    reason: "migprov: voice"
    manager: false
slurm:
  description: The node in Slurm, with C(state), C(flags), C(reason), C(reason_by), C(reason_at) and C(gres).
  returned: success
  type: dict
jobs:
  description: The jobs that have the node.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The id as people write it.
      type: str
    number:
      description: The number of the job, which tells members of an array apart.
      type: str
    user:
      description: Whose it is.
      type: str
    name:
      description: What it is called.
      type: str
    state:
      description: Its state in Slurm's words.
      type: str
    since:
      description: When it started, in the cluster's time.
      type: str
version:
  description: The version of Slurm's commands.
  returned: success
  type: str
  sample: "22.05"
error:
  description:
    - What went wrong, for a play that wants to decide by it. C(msg) says the same as text.
  returned: failure
  type: dict
  contains:
    code:
      description: One word such as V(slurm_unknown_node) or V(slurm_no_controller).
      type: str
    message:
      description: What is wrong.
      type: str
    next:
      description: The next action for the person who reads it.
      type: str
"""

from ..module_utils.arguments import SLURM_NODE_INFO
from ..module_utils.stub import refuse


def main() -> None:
    refuse("slurm_node_info", SLURM_NODE_INFO)


if __name__ == "__main__":
    main()
