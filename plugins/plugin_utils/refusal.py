# Copyright: (c) migprov contributors
# GNU General Public License v3.0+ (see plugins/COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A task that is refused on the control node, with the same `error` as one that failed on a GPU node."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail


class Refusal(AnsibleActionFail):  # type: ignore[misc]
    """Ends the task. `code` is one of docs/architecture.md."""

    def __init__(self, message: str, *, code: str = "bad_request", gpu: int | None = None) -> None:
        about = {} if gpu is None else {"gpu": gpu}
        super().__init__(message, result={"error": {"code": code, "message": message, "next": "", **about}})
