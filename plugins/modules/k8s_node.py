#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_node
short_description: Drain a Kubernetes node before its GPUs are changed, and give it back
version_added: 0.1.0
description:
  - V(drained) cordons the node with an annotation that names the change, evicts its pods through the eviction API and
    waits until they are truly gone, then pauses what keeps the GPUs open (NVIDIA's device plugin, exporters).
  - No pod is evicted before the server would let every one of them go; disruption budgets are waited for until the time
    is up. A failure gives the node back as it was and names the budget, or the pods.
  - Pods of daemon sets and static pods are left.
  - V(uncordoned) brings back what was paused, waits until the node offers what its GPUs are, and uncordons it, if
    migprov cordoned it. A node that somebody else cordoned stays cordoned.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.kubernetes
  - migprov.gpu.attributes.changes
attributes:
  diff_mode:
    description: Returns the node in Kubernetes before and after.
  idempotent:
    description: A second run writes nothing.
options:
  state:
    description:
      - What the node is to be.
    type: str
    choices: [drained, uncordoned]
    required: true
  change:
    description:
      - What the node is drained for, such as the name of the layout. Required for O(state=drained).
    type: str
  pods:
    description:
      - Whether pods that hold C(nvidia.com/*) resources go, or all.
    type: str
    choices: [gpu, all]
    default: gpu
  delete_emptydir_data:
    description:
      - Leave to evict pods whose local data (emptyDir) are lost with them. Without it such a pod is an error, before
        anything is changed.
    type: bool
    default: false
  force:
    description:
      - Leave to evict pods that nothing starts again elsewhere. Without it such a pod is an error, before anything is
        changed.
    type: bool
    default: false
  companions:
    description:
      - The node labels whose daemon sets are paused meanwhile, where their value is C(true).
      - The default is those of NVIDIA's operator (C(nvidia.com/gpu.deploy.device-plugin) and the like). A list replaces
        it.
      - Nothing is paused where NVIDIA's MIG manager runs, which does it itself.
    type: list
    elements: str
  gpus:
    description:
      - For O(state=uncordoned), what the GPUs are now, as RV(migprov.gpu.mig_info#module:gpus). The node is uncordoned
        when it offers just these.
      - Without it nothing is waited for, and a device plugin that was not paused is not started again.
    type: list
    elements: dict
  mig_strategy:
    description:
      - The device plugin's MIG strategy. The default is what the node's label C(nvidia.com/mig.strategy) says, and
        without one any that fits.
    type: str
    choices: [none, single, mixed]
  device_plugin:
    description:
      - Patterns for the device plugin's pod where no label of NVIDIA's operator places it. Of its name, of
        C(namespace/name), or C(label=value). The default is C(*nvidia-device-plugin*).
      - It is started again after the change, so that it registers the new devices.
    type: list
    elements: str
  timeout:
    description:
      - How long all waiting may take together, in seconds.
    type: float
    default: 300
  poll:
    description:
      - How long to wait between two looks at the cluster, in seconds.
    type: float
    default: 2
seealso:
  - module: migprov.gpu.k8s_node_info
  - module: migprov.gpu.k8s_mig_manager
"""

EXAMPLES = r"""
- name: Let go of the node
  migprov.gpu.k8s_node:
    node: "{{ inventory_hostname }}"
    state: drained
    change: layout voice
    timeout: 600

- name: Read the GPUs
  migprov.gpu.mig_info:
  become: true
  register: now_cut

- name: Give it back when it offers them
  migprov.gpu.k8s_node:
    node: "{{ inventory_hostname }}"
    state: uncordoned
    gpus: "{{ now_cut.gpus }}"
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
    - action: cordon
      node: gpu-01
    - action: evict
      pod: shop/asr-0
      gpu:
        nvidia.com/gpu: 1
notes:
  description: What a person should know, as sentences, such as pods that use a GPU and stay.
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

from ..module_utils.arguments import K8S_NODE
from ..module_utils.stub import refuse


def main() -> None:
    refuse("k8s_node", K8S_NODE)


if __name__ == "__main__":
    main()
