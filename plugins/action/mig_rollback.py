# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ..module_utils.arguments import MIG_ROLLBACK
from ..plugin_utils.node_action import NodeAction


class ActionModule(NodeAction):
    """migprov.gpu.mig_rollback."""

    TASK = "rollback"
    SPEC = MIG_ROLLBACK
