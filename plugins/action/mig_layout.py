# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ..module_utils.arguments import MIG_LAYOUT
from ..plugin_utils.options import LayoutAction


class ActionModule(LayoutAction):
    """migprov.gpu.mig_layout."""

    TASK = "layout"
    SPEC = MIG_LAYOUT
