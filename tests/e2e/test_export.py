"""What a node exports verifies on it, and brings it back to exactly that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migprov.layouts import export, loads
from migprov.sim.driver import SimNode

from .node_program import NodeProgram, node_program

CUTS = """\
version: v1
mig-configs:
  off: [{devices: all, mig-enabled: false}]
  empty: [{devices: all, mig-enabled: true, mig-devices: {}}]
  halves: [{devices: all, mig-enabled: true, mig-devices: {3g.40gb: 2}}]
  mixed:
    - {devices: [0], mig-enabled: true, mig-devices: {1g.10gb+me: 1, 1g.10gb: 2, 4g.40gb: 1}}
    - {devices: [1], mig-enabled: false}
  low: [{devices: all, mig-enabled: true, mig-devices: [{profile: 2g.20gb, start: 0}, {profile: 1g.10gb, start: 5}]}]
  shared: [{devices: all, mig-enabled: true, mig-devices: {1c.3g.40gb: 4, 2c.3g.40gb: 1}}]
  shared-by-place:
    - devices: all
      mig-enabled: true
      mig-devices:
        - profile: 4g.40gb
          compute-instances: [{profile: 1c.4g.40gb, start: 3}, {profile: 2c.4g.40gb, start: 0}]
        - {profile: 3g.40gb, compute-instances: []}
"""
SAID_BY_COUNTS = ("off", "empty", "halves", "mixed", "low", "shared")


def shape(state: dict[str, Any]) -> list[Any]:
    """All of a state but ids and UUIDs."""
    return [
        (
            gpu["mig_current"],
            [
                (gi["profile"], gi["start"], sorted((ci["profile"], ci["start"]) for ci in gi["compute_instances"]))
                for gi in sorted(gpu["instances"], key=lambda gi: gi["start"])
            ],
        )
        for gpu in state["gpus"]
    ]


@pytest.mark.parametrize("name", loads(CUTS).names)
def test_an_export_verifies_and_restores(tmp_path: Path, name: str) -> None:
    node = SimNode.create(tmp_path / "node", "2xA100-80GB,1xT4")
    with node_program(node) as program:
        check(program, node, name)


def check(program: NodeProgram, node: SimNode, name: str) -> None:
    cuts = loads(CUTS)
    assert program.ask(node, "layout", entries=cuts.layout(name).to_json())["error"] is None
    state = program.ask(node, "info")["after"]
    exported = loads(export(state, "was")).layout("was").to_json()
    assert program.ask(node, "verify", entries=exported)["error"] is None
    assert program.ask(node, "layout", entries=exported)["changed"] is False

    other = "halves" if name != "halves" else "low"
    assert program.ask(node, "layout", entries=cuts.layout(other).to_json())["changed"] is True
    assert program.ask(node, "verify", entries=exported)["error"]["code"] == "not_as_wanted"
    assert program.ask(node, "layout", entries=exported)["error"] is None
    assert shape(program.ask(node, "info")["after"]) == shape(state)

    if name in SAID_BY_COUNTS:
        counted = loads(export(state, "was", compatible=True)).layout("was").to_json()
        assert program.ask(node, "verify", entries=counted)["error"] is None
