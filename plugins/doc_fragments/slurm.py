# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that say which node of Slurm is meant."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules that speak with Slurm."""

    DOCUMENTATION = r"""
options:
  node:
    description:
      - The node's C(NodeName) in slurm.conf.
    type: str
    required: true
  conf:
    description:
      - Path of the slurm.conf that Slurm's commands read, given to them as C(SLURM_CONF). By default they look for it
        themselves.
    type: str
notes:
  - Runs Slurm's own commands (C(scontrol), C(squeue)) on the task's host; with C(delegate_to) on a login host or that
    of slurmctld.
"""
