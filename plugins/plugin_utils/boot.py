# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is put on a node so that it restores its layout at boot: the saved layout and the node program."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible import constants

from . import library
from .refusal import Refusal


def selected(gpus: list[dict[str, Any]], entries: list[dict[str, Any]]) -> list[int]:
    """The indices of the GPUs that the entries of a layout select; `gpus` as in the state of a reply."""
    from migprov.mig.errors import MigError
    from migprov.mig.select import wanted_gpus
    from migprov.mig.state import Gpu
    from migprov.mig.wanted import entries_from_json

    names = ("index", "uuid", "pci_bus_id", "name", "device_id", "mig_capable")
    try:
        return sorted(
            wanted_gpus([Gpu(**{name: gpu[name] for name in names}) for gpu in gpus], entries_from_json(entries))
        )
    except MigError as error:
        raise Refusal(f"{error.message}. Next: {error.next}", code=error.code) from None


def exact(gpus: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries that bring back exactly these GPUs, by UUID and with every placement.

    Raises Refusal for a GPU whose layout cannot be told.
    """
    for gpu in gpus:
        name = f"GPU {gpu['index']} ({gpu['uuid'] or 'no UUID'})"
        if gpu["error"]:
            raise Refusal(
                f"{name} does not answer, so its layout cannot be saved: {gpu['error']['message']}. Nothing was "
                "changed.",
                code=gpu["error"]["code"],
                gpu=gpu["index"],
            )
        if gpu["mig_pending"] != gpu["mig_current"]:
            raise Refusal(
                f"{name}: a change of its MIG mode is pending, so its layout cannot be saved. Nothing was changed. "
                "Next: apply the layout, or reset the GPU, then save it.",
                code="reset_required",
                gpu=gpu["index"],
            )
    found = [_entry(gpu) for gpu in gpus if gpu["mig_capable"]]
    if not found:
        raise Refusal(
            "No GPU of this node has MIG, so there is nothing to restore. Nothing was changed.", code="not_mig_capable"
        )
    return found


def _entry(gpu: dict[str, Any]) -> dict[str, Any]:
    return {
        "device_filter": None,
        "devices": [gpu["uuid"]],
        "mig_enabled": gpu["mig_current"],
        "instances": [
            {
                "profile": gi["profile"],
                "start": gi["start"],
                "compute_instances": [
                    {"profile": ci["profile"], "start": ci["start"]} for ci in gi["compute_instances"]
                ],
            }
            for gi in gpu["instances"]
        ],
        "source": "the layout saved for boot",
    }


def saved(entries: list[dict[str, Any]], options: dict[str, Any]) -> str:
    """The file that `--boot` of the node program reads; the same text for the same layout and limits."""
    wait, step, whole = (options[name] for name in ("driver_wait_s", "step_limit_s", "limit_s"))
    if not (0 <= wait < whole <= 3600 and 0.1 <= step <= 3600):
        raise Refusal(
            f"The limits must be seconds, at most 3600, with driver_wait_s ({wait:g}) below limit_s ({whole:g}) and "
            f"step_limit_s ({step:g}) at least 0.1. Nothing was changed."
        )
    request = {
        "protocol": library.PROTOCOL,
        "task": "layout",
        "params": {"entries": entries, "drain": "refuse"},
        "wait_s": 30,
        "step_limit_s": step,
        "boot": {"driver_wait_s": wait, "limit_s": whole},
    }
    return json.dumps(request, indent=1) + "\n"


def program_file() -> dict[str, str]:
    """The node program as a file of this run of Ansible, which removes it at its end: `path` and `digest` (SHA-256)."""
    program = library.node_program()
    path = Path(constants.DEFAULT_LOCAL_TMP) / f"migprov-node-{program.digest[:16]}.pyz"
    if not path.exists():
        # other workers may be doing the same
        descriptor, fresh = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(program.data)
        os.replace(fresh, path)
    return {"path": str(path), "digest": program.digest}
