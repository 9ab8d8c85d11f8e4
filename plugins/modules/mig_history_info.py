#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mig_history_info
short_description: The changes of a node
version_added: 0.1.0
description:
  - Lists the changes of a node out of the journal that it keeps, oldest first, with who asked for them, from what to
    what, and how they ended.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.attributes
  - migprov.gpu.attributes.reads
notes:
  - The journal is that of the user whom the changes were made as, so C(become) must be as it was then.
seealso:
  - module: migprov.gpu.mig_rollback
"""

EXAMPLES = r"""
- name: The changes of this node
  migprov.gpu.mig_history_info:
  become: true
  register: history

- name: How the last one ended
  ansible.builtin.debug:
    msg: "{{ history.changes[-1].when }} {{ history.changes[-1].who }}: {{ history.changes[-1].result }}"
  when: history.changes | length > 0
"""

RETURN = r"""
changes:
  description: The changes, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: What names the change in the journal.
      type: str
    when:
      description: When it began, by the clock of the node.
      type: str
      sample: "2026-01-31T09:15:00+0000"
    who:
      description: User and machine of the control side, and the way in.
      type: str
      sample: "ops@control1 (ansible, rollout.yml, task Bring the GPUs to the layout)"
    task:
      description: The task, such as V(layout) or V(rollback).
      type: str
    before:
      description:
        - The GPUs that were to be changed as they were, with every placement. It is what M(migprov.gpu.mig_rollback)
          goes back to, and no C(config) of M(migprov.gpu.mig_layout).
      type: list
      elements: dict
    planned:
      description: The steps that were to be done.
      type: list
      elements: dict
    services:
      description: The services that were to be stopped for it and started again.
      type: list
      elements: str
    result:
      description:
        - V(done), V(failed), V(running) for one that is under way, or V(interrupted) where the run died on the way.
      type: str
    message:
      description: Why it failed.
      type: str
    changed:
      description: Whether it changed anything, as far as is known. An interrupted change counts as one that did.
      type: bool
    continued:
      description: Whether a later run brought to its end what this one, interrupted, had begun.
      type: bool
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

from ..module_utils.arguments import MIG_HISTORY_INFO
from ..module_utils.stub import refuse


def main() -> None:
    refuse("mig_history_info", MIG_HISTORY_INFO)


if __name__ == "__main__":
    main()
