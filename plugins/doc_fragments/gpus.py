# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option that says which GPUs are meant."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules that work on chosen GPUs."""

    DOCUMENTATION = r"""
options:
  gpus:
    description:
      - The GPUs that are meant; V(all), or a list of index, UUID (V(GPU-...)) and PCI bus id
        (V(00000000:07:00.0), the short forms too).
      - A GPU without MIG is skipped by V(all) and an error when it is named.
      - There is no default. A change never goes to every GPU because something was left out.
    type: list
    elements: raw
    required: true
"""
