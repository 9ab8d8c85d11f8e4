# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that say which layout is meant."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules that take a layout."""

    DOCUMENTATION = r"""
options:
  file:
    description:
      - A layout file on the control node, in the format of mig-parted (C(version) V(v1), C(mig-configs)).
      - A relative path is looked for as C(ansible.builtin.copy) looks for its O(ignore:src) (C(files/) of the role,
        the folder of the playbook), then in the folder of the inventory and in the current folder.
      - May be encrypted with Ansible Vault.
    type: str
  name:
    description: The name of the layout in O(file).
    type: str
  config:
    description:
      - The layout itself instead of a file, as the list of entries that a layout file has below a name.
      - Each entry has the keys C(devices), C(mig-enabled), C(mig-devices) and, where needed, C(device-filter).
    type: list
    elements: dict
"""
