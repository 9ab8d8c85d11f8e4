#!/usr/bin/python

# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_node_info
short_description: What a Kubernetes cluster says of a node, and what draining it would mean
version_added: 0.1.0
description:
  - Tells whether the node is cordoned and whether by migprov, whether NVIDIA's MIG manager runs there, what it
    offers of NVIDIA's resources, and which of its pods would go.
author:
  - migprov contributors (@migprov)
extends_documentation_fragment:
  - migprov.gpu.kubernetes
  - migprov.gpu.attributes.reads
options:
  pods:
    description:
      - Whether pods that hold C(nvidia.com/*) resources would go, or all.
    type: str
    choices: [gpu, all]
    default: gpu
  rights:
    description:
      - Fail unless the account may do all that draining and resuming a node takes, naming what it may not.
    type: bool
    default: false
seealso:
  - module: migprov.gpu.k8s_node
"""

EXAMPLES = r"""
- name: What the cluster says of the node
  migprov.gpu.k8s_node_info:
    node: "{{ inventory_hostname }}"
  register: found

- name: Which pods would go
  ansible.builtin.debug:
    var: found.evict
"""

RETURN = r"""
node:
  description: Whether the node is out of service, and through whom.
  returned: success
  type: dict
  sample:
    scheduler: kubernetes
    node: gpu-01
    drained: true
    by_migprov: true
    reason: "migprov: layout voice"
    manager: false
kubernetes:
  description: The node.
  returned: success
  type: dict
  sample:
    name: gpu-01
    cordoned: true
    by_migprov: true
    reason: "migprov: layout voice"
    since: "2026-01-01T10:00:00.000000+00:00"
    manager: false
    mig_config: ""
    mig_config_state: ""
    mig_strategy: mixed
    paused:
      nvidia.com/gpu.deploy.device-plugin: "true"
    resources:
      nvidia.com/gpu: 0
      nvidia.com/mig-3g.40gb: 16
evict:
  description: The pods that draining would evict, as namespace/name.
  returned: success
  type: list
  elements: str
leaving:
  description: Those that are leaving already.
  returned: success
  type: list
  elements: str
stay:
  description: The pods that draining leaves, each with C(pod) and C(why).
  returned: success
  type: list
  elements: dict
asks:
  description: The pods that go only with leave, each with C(pod), C(why) and the C(option) of M(migprov.gpu.k8s_node).
  returned: success
  type: list
  elements: dict
notes:
  description: Pods that stay and yet use a GPU, or may, as sentences.
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

from ..module_utils.arguments import K8S_NODE_INFO
from ..module_utils.stub import refuse


def main() -> None:
    refuse("k8s_node_info", K8S_NODE_INFO)


if __name__ == "__main__":
    main()
