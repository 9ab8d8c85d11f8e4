#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: slurm_node
short_description: Drain a node in Slurm before its GPUs are changed, and give it back
version_added: 0.1.0
description:
  - Drains a node with a reason that begins with C(migprov:) and names the change, and waits until no job is on it.
  - Resumes a node only where its reason says that migprov drained it. A node that somebody else drained is never
    written to, and RV(note) says whose it is.
  - A job is never cancelled. When the time is up, the task fails and names the jobs; the node is in service again if
    this task drained it.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.changes
  - migprov.gpu.slurm
options:
  state:
    description:
      - V(drained) lets no new job start on the node and waits for those that run.
      - V(resumed) gives the node back, if migprov drained it, and waits until jobs can start there.
    type: str
    choices: [drained, resumed]
    required: true
  change:
    description:
      - What the node is drained for, such as the name of the layout. Required for O(state=drained).
    type: str
  jobs:
    description:
      - What happens to jobs on the node. V(wait) waits for their end. V(requeue) puts them back into the queue, where
        Slurm does that; a job that cannot be requeued is waited for.
    type: str
    choices: [wait, requeue]
    default: wait
  timeout:
    description:
      - How long jobs are given, in seconds.
    type: float
    default: 3600
  settle:
    description:
      - How long slurmd is given to answer once the node was resumed, in seconds.
    type: float
    default: 60
seealso:
  - module: migprov.gpu.slurm_node_info
  - module: migprov.gpu.slurm_gres
"""

EXAMPLES = r"""
- name: Let go of the node, two hours for the jobs that run
  migprov.gpu.slurm_node:
    node: "{{ inventory_hostname_short }}"
    state: drained
    change: voice
    timeout: 7200
  delegate_to: login
  become: true

- name: Give it back
  migprov.gpu.slurm_node:
    node: "{{ inventory_hostname_short }}"
    state: resumed
  delegate_to: login
  become: true
"""

RETURN = r"""
node:
  description: Whether the node is out of service, and through whom; in check mode as it would be.
  returned: success
  type: dict
  sample:
    scheduler: slurm
    node: gn0
    drained: true
    by_migprov: true
    reason: "migprov: voice"
    manager: false
before:
  description: The node in Slurm before, with C(state), C(flags), C(reason), C(reason_by), C(reason_at), C(gres).
  returned: success
  type: dict
after:
  description: The node in Slurm afterwards; in check mode as it would be.
  returned: success
  type: dict
steps:
  description: What was done, in order; in check mode what would be done.
  returned: success
  type: list
  elements: dict
  sample:
    - action: drain_node
      node: gn0
      reason: "migprov: voice"
jobs:
  description: The jobs that are on the node afterwards.
  returned: success
  type: list
  elements: dict
requeued:
  description: The ids of the jobs that were put back into the queue.
  returned: success
  type: list
  elements: str
note:
  description: Who drained the node, where that was not migprov; otherwise empty.
  returned: success
  type: str
error:
  description:
    - What went wrong, for a play that wants to decide by it. C(msg) says the same as text.
  returned: failure
  type: dict
  contains:
    code:
      description: One word such as V(slurm_jobs), V(slurm_unknown_node) or V(slurm_no_controller).
      type: str
    message:
      description: What is wrong.
      type: str
    next:
      description: The next action for the person who reads it.
      type: str
    jobs:
      description: The jobs that were still on the node, each with C(id), C(user), C(name), C(state), C(since).
      type: list
      elements: dict
"""

from ..module_utils.arguments import SLURM_NODE
from ..module_utils.stub import refuse


def main() -> None:
    refuse("slurm_node", SLURM_NODE)


if __name__ == "__main__":
    main()
