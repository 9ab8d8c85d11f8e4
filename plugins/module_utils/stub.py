# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module of this collection does when it is run as a module: say that its action plugin does the work."""

from __future__ import annotations

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule


def refuse(name: str, spec: Dict[str, Any]) -> None:
    """Fail, having touched nothing. ``spec`` is the module's entry in ``arguments``."""
    module = AnsibleModule(supports_check_mode=True, **spec)
    module.fail_json(
        msg="migprov.gpu.%s works through its action plugin on the control node and was started as a module, "
        "which means that the plugin was bypassed. Nothing was changed. Call it as a task named migprov.gpu.%s, "
        "with the migprov package installed beside ansible-core." % (name, name)
    )
