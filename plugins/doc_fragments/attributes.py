# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attributes that every module of the collection has, and those of the reading and the changing ones."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules."""

    DOCUMENTATION = r"""
requirements:
  - The C(migprov) Python package, in the same version, beside ansible-core on the control node.
  - Python 3.8 or newer and the NVIDIA driver on the GPU node. Nothing else is installed there beforehand.
attributes:
  action:
    description: Runs as an action plugin on the control node, which sends one small program to the GPU node.
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
    description: Is usable alongside the become keywords.
    support: full
  connection:
    description: Uses the connection that is configured for the host; C(ssh), C(local) and any other that runs commands.
    support: full
  delegation:
    description: Can be used with C(delegate_to).
    support: full
  platform:
    description: Operating systems of the GPU node.
    support: full
    platforms: linux
notes:
  - The program lies in C(~/.cache/migprov) of the user it runs as, named by its content hash, and is sent only when
    it is missing. C(ansible_python_interpreter) chooses the Python it runs under.
  - A failure carries RV(ignore:error) with a code, the GPU, the holders and the next action.
"""

    CHANGES = r"""
attributes:
  check_mode:
    description: Returns the steps that would be done, and does none.
    support: full
  diff_mode:
    description: Returns the GPUs before and after.
    support: full
  idempotent:
    description: A second run changes nothing and writes nothing to the driver.
    support: full
"""

    READS = r"""
attributes:
  check_mode:
    description: Never changes anything, so it does the same in check mode.
    support: full
  diff_mode:
    description: There is never a difference to show.
    support: N/A
  idempotent:
    description: Never changes anything.
    support: full
"""
