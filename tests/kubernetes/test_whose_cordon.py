"""Whose cordon it is, by what newer servers keep of who wrote which field of a node. Pure, so it runs everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from migprov.fleet.kubernetes import names
from migprov.fleet.kubernetes.resume import resume
from migprov.fleet.kubernetes.state import from_json

NOTE = {"f:metadata": {"f:annotations": {".": {}, f"f:{names.CORDONED}": {}, f"f:{names.SINCE}": {}}}}
CORDON = {"f:spec": {"f:unschedulable": {}}}
LABELS = {"f:metadata": {"f:labels": {"f:nvidia.com/gpu.deploy.dcgm": {}}}}


def node(*written: dict[str, Any], unschedulable: bool = True, **annotations: str) -> dict[str, Any]:
    """A node with migprov's note, as the API gives it; `written`: the fields of each writer."""
    fields = [{"manager": f"writer{number}", "fieldsV1": one} for number, one in enumerate(written)]
    noted = {names.CORDONED: "voice", names.SINCE: "2026-11-22T10:00:00+00:00", **annotations}
    metadata = {"name": "gpu1", "resourceVersion": "7", "annotations": noted, "managedFields": fields}
    return {"metadata": metadata, "spec": {"unschedulable": unschedulable}}


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ([], True),  # the server does not keep it
        ([LABELS], True),
        ([{**NOTE, **CORDON}], True),
        ([LABELS, {**NOTE, **CORDON}], True),
        ([{**NOTE, **CORDON}, CORDON], True),  # somebody else wants it, too
        ([CORDON], True),  # whose the note is was forgotten
        ([NOTE, CORDON], False),  # uncordoned by hand, and cordoned again
        ([LABELS, NOTE, CORDON], False),
        ([{"fieldsType": None}, NOTE, CORDON], False),
    ],
)
def test_a_cordon_of_another_writer_than_that_of_the_note_is_not_migprovs(
    written: list[dict[str, Any]], ours: bool
) -> None:
    found = from_json(node(*written))
    assert (found.by_migprov, found.change) == ((True, "voice") if ours else (False, None))
    assert found.reason == ("migprov: voice" if ours else "cordoned, not by migprov")
    assert not from_json(node(*written, unschedulable=False)).by_migprov


class Server:
    """Answers with one node and keeps what is written to it; the server of other tests keeps no writers of fields."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.patches: list[dict[str, Any]] = []

    def node(self, _name: str) -> dict[str, Any]:
        return self.found

    def patch_node(self, _name: str, patch: dict[str, Any]) -> dict[str, Any]:
        self.patches.append(patch)
        return self.found


def test_it_stays_cordoned_and_is_not_written_to() -> None:
    server = Server(node(NOTE, CORDON))
    outcome = resume(server, "gpu1")  # type: ignore[arg-type]
    assert (outcome.changed, outcome.notes) == (False, ("the node was cordoned, but not by migprov, and stays so",))
    assert server.patches == []


def test_what_migprov_has_paused_there_comes_back_without_the_cordon() -> None:
    paused: dict[str, Any] = {names.PAUSED: "{}"}
    server = Server(node(NOTE, CORDON, **paused))
    assert resume(server, "gpu1").after.unschedulable  # type: ignore[arg-type]
    assert [patch.get("spec") for patch in server.patches] == [None, None]
    assert server.patches[1]["metadata"]["annotations"] == {names.CORDONED: None, names.SINCE: None}
