# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that say what happens to work in the way of a change."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules that change GPUs."""

    DOCUMENTATION = r"""
options:
  drain:
    description:
      - What happens to processes that are in the way of the change. Only the instances that go count, and the whole
        GPU only where its MIG mode changes or it is reset.
      - V(refuse) leaves such a GPU as it is and fails, naming the processes.
      - V(wait) waits until they have ended by themselves.
      - V(terminate) ends them, with SIGTERM and, when the time is up, with SIGKILL.
      - Check mode does none of that and returns it as steps.
    type: str
    choices: [refuse, wait, terminate]
    default: refuse
  drain_timeout:
    description:
      - How long O(drain=wait) and O(drain=terminate) give the processes, in seconds, all of them together.
    type: float
    default: 300
  agents:
    description:
      - The systemd services that are stopped around a change of MIG mode or a reset and started again afterwards,
        whatever happened in between, under every policy.
      - The default is those that are known to keep GPUs open and to come back by themselves
        (C(nvidia-persistenced), C(dcgm), C(dcgm-exporter), C(nvsm), C(nvidia-device-plugin)). A list replaces it.
    type: list
    elements: str
  stop_on_error:
    description:
      - Whether a GPU that cannot be changed keeps the others of the node as they are. By default they are changed
        all the same, and RV(ignore:gpus) tells how each one fared; the task fails in both cases.
    type: bool
    default: false
"""
