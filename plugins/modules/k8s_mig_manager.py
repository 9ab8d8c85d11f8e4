#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_mig_manager
short_description: Let NVIDIA's MIG manager bring a node to a MIG layout
version_added: 0.1.0
description:
  - For nodes on which the MIG manager of NVIDIA's operator runs, which would undo what anybody else does to the GPUs.
  - Writes the layout into the config map that the manager reads, as C(migprov-) and its name, and touches no other
    configuration there. Then it sets the node's label C(nvidia.com/mig.config), starts the manager anew, and waits
    until C(nvidia.com/mig.config.state) is C(success).
  - Fails when the manager says C(failed) or the time is up. Nothing is put back by itself then, because that would be
    one more change of the GPUs; the message says what the label was.
  - The manager takes GPUs by index and places instances itself, so a layout with UUIDs or placements is refused.
  - The manager's success is not proof. Use M(migprov.gpu.mig_verify) afterwards.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.kubernetes
  - migprov.gpu.attributes.changes
  - migprov.gpu.layout
attributes:
  diff_mode:
    description: Returns the node in Kubernetes before and after.
  idempotent:
    description: A node with this layout, whose manager said success, is left alone.
options:
  layout:
    description:
      - The name among the manager's configurations, for a layout given as O(config). The default is the name of the
        node.
    type: str
  namespace:
    description:
      - The namespace of the config map. The default is that of the manager's pod on the node, else C(gpu-operator).
    type: str
  config_map:
    description:
      - The config map that the manager reads. The default is the one that its pod mounts, else
        C(default-mig-parted-config).
    type: str
  timeout:
    description:
      - How long all waiting may take together, in seconds. A change with a reboot takes many minutes.
    type: float
    default: 1800
  poll:
    description:
      - How long to wait between two looks at the cluster, in seconds.
    type: float
    default: 5
seealso:
  - module: migprov.gpu.k8s_node
  - module: migprov.gpu.mig_verify
"""

EXAMPLES = r"""
- name: Let the MIG manager cut the GPUs
  migprov.gpu.k8s_mig_manager:
    node: "{{ inventory_hostname }}"
    file: layouts/voice.yml
    name: voice

- name: Verify that it did
  migprov.gpu.mig_verify:
    file: layouts/voice.yml
    name: voice
  become: true
"""

RETURN = r"""
node:
  description: Whether the node is out of service, and through whom; in check mode as it would be.
  returned: success
  type: dict
  sample:
    scheduler: kubernetes
    node: gpu-01
    drained: true
    by_migprov: true
    reason: "migprov: layout voice"
    manager: false
before:
  description: The node in Kubernetes before, in the form of RV(migprov.gpu.k8s_node_info#module:kubernetes).
  returned: success
  type: dict
after:
  description: The node in Kubernetes afterwards; in check mode as it would be.
  returned: success
  type: dict
steps:
  description: What was done, in order; in check mode what would be done.
  returned: success
  type: list
  elements: dict
  sample:
    - action: write
      config_map: gpu-operator/default-mig-parted-config
      config: migprov-voice
    - action: label
      label: nvidia.com/mig.config
      value: migprov-voice
notes:
  description: What a person should know, as sentences.
  returned: success
  type: list
  elements: str
error:
  description:
    - What went wrong, for a play that wants to decide by it. C(msg) says the same as text.
  returned: failure
  type: dict
  contains:
    code:
      description: One word such as V(kubernetes_budget), V(kubernetes_needs_leave) or V(kubernetes_denied).
      type: str
    message:
      description: What is wrong.
      type: str
    next:
      description: The next action for the person who reads it.
      type: str
    budgets:
      description: The disruption budgets that let no pod go, as namespace/name, for V(kubernetes_budget).
      type: list
      elements: str
    pods:
      description: The pods that stay, as namespace/name, for V(kubernetes_pods_stay).
      type: list
      elements: str
"""

from ..module_utils.arguments import K8S_MIG_MANAGER
from ..module_utils.stub import refuse


def main() -> None:
    refuse("k8s_mig_manager", K8S_MIG_MANAGER)


if __name__ == "__main__":
    main()
