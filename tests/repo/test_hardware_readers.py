"""What tests/hardware reads of nvidia-smi, from recorded output: those tests are skipped where there is no GPU."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests.hardware import smi

DATA = Path(__file__).parents[1] / "data"
GEOMETRY = Path(__file__).parents[2] / "migprov/mig/geometry.json"
STATE = (DATA / "h200x2-mig-off-nvidia-smi-q.xml").read_text()


def recorded(*arguments: str) -> str:
    """The recorded output of one command."""
    text = (DATA / "h200-mig-off-nvidia-smi.txt").read_text()
    return text.split(f"$ nvidia-smi {' '.join(arguments)}\n", 1)[1].split("=== rc=0", 1)[0]


def settings(text: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(smi, "state", lambda: ElementTree.fromstring(text))
    return smi.settings()


def test_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smi, "run", recorded)
    table = json.loads(GEOMETRY.read_text())["products"]
    rows = next(product for product in table if product["key"] == "H200-141GB")["gi_profiles"]
    found = {one.id: (one.name, one.most, one.gib, one.sms, one.starts, one.size) for one in smi.profiles()[0].values()}
    assert found == {
        row["profile_id"]: (
            *(row["name"], row["max_instances"], round(row["memory_mib"] / 256) / 4, row["sm_count"]),
            *(tuple(row["placement_starts"]), row["placement_size"]),
        )
        for row in rows
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<persistence_mode>Enabled", "<persistence_mode>Disabled"),
        ("<current_mig>Disabled", "<current_mig>Enabled"),
        ("<pending_mig>Disabled", "<pending_mig>Enabled"),
        ("<compute_mode>Default", "<compute_mode>Prohibited"),
        ("<current_power_limit>700", "<current_power_limit>600"),
        ("<current_ecc>Enabled", "<current_ecc>Disabled"),
        (
            "<graphics_clock>1980 MHz</graphics_clock>\n\t\t\t<mem_clock>3201",
            "<graphics_clock>1410</graphics_clock>\n<mem_clock>1",
        ),
    ],
)
def test_a_setting_that_changed_is_seen(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert old in STATE
    assert settings(STATE.replace(old, new, 1), monkeypatch) != settings(STATE, monkeypatch)


@pytest.mark.parametrize(
    "what",
    ["gpu/temperature/gpu_temp", "gpu/pci/tx_util", "gpu/fb_memory_usage/used", "gpu/clocks/sm_clock", "timestamp"],
)
def test_what_moves_by_itself_is_no_setting(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = ElementTree.fromstring(STATE)
    moved = root.findall(what)
    assert moved
    for element in moved:
        element.text = "something else"
    assert settings(ElementTree.tostring(root, encoding="unicode"), monkeypatch) == settings(STATE, monkeypatch)
