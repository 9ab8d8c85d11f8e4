"""docs/operations.md: no code is without its row. Its commands are run by tests/docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from migprov import errors
from migprov.mig.errors import MigError
from migprov.node import errors as node_errors

ROOT = Path(__file__).resolve().parents[2]
NOT_TOLD = {"program_missing", "fleet"}
"""What no node is ever reported with: the first is answered by sending the program, the second speaks of many nodes."""


# Whose codes stand in documents of their own, or reach no user of the product.
ELSEWHERE = ("migprov.sim", "migprov.fleet.slurm", "migprov.fleet.kubernetes", "migprov.render")


def codes(base: type[Any]) -> set[str]:
    own = isinstance(base.__dict__.get("code"), str) and not base.__module__.startswith(ELSEWHERE)
    found = {base.code} if own else set()
    return found.union(*(codes(kind) for kind in base.__subclasses__()))


def test_every_code_has_a_row() -> None:
    assert node_errors  # loaded, so that its classes are known
    rows = re.findall(r"^\| (`[^|]*) \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    told = {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}
    every = codes(MigError) | codes(errors.MigprovError)
    assert every - NOT_TOLD <= told
    assert {code for code in told if code.isidentifier()} - every == set()
