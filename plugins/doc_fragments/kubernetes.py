# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options and attributes of the modules that speak with a Kubernetes cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by them."""

    DOCUMENTATION = r"""
options:
  node:
    description:
      - The node as C(kubectl get nodes) names it.
    type: str
    required: true
  kubeconfig:
    description:
      - A kubeconfig on the control node. The default is the E(KUBECONFIG) of Ansible's own environment, then
        C(~/.kube/config), then the account of the pod that Ansible runs in.
    type: path
  context:
    description:
      - One of the contexts of the kubeconfig. The default is its current one.
    type: str
requirements:
  - The C(migprov) Python package, in the same version, beside ansible-core on the control node, with its extra
    C(kubernetes), which is the official client.
attributes:
  action:
    description: Runs as an action plugin on the control node.
    support: full
  action_group:
    description: Belongs to the action group, so that C(module_defaults) can be given for all modules at once.
    support: full
    membership:
      - migprov.gpu.gpu
  async:
    description: Supports being used with the C(async) keyword.
    support: none
  become:
    description: Is usable alongside the become keywords, which mean nothing here.
    support: full
  connection:
    description: Needs no connection to the host.
    support: none
  delegation:
    description: Always works on the control node, whatever it is delegated to.
    support: none
  platform:
    description: Operating systems of the control node.
    support: full
    platforms: linux
notes:
  - The account needs the rights that docs/kubernetes.md lists.
"""
