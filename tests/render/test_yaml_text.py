"""Texts stay texts for every reader of YAML: kubectl takes more of them for numbers and truth values than PyYAML."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import yaml

from migprov.render.text import document

ODD = [
    "1e3",
    "12E34",
    "1.5e3",
    "1e-2",
    "0.e1",
    "1_0e3",
    "08",
    "0o17",
    "y",
    "N",
    "no",
    "~",
    "1:30",
    ".5",
    "0x1f",
    "2026-01-01",
]
PLAIN = ["1g.10gb", "5e", "e5", "yes-1", "speech-to-text", "1.2.3"]


@pytest.mark.parametrize("text", [*ODD, *PLAIN])
def test_a_name_like_a_number_is_in_quotes(text: str) -> None:
    made = document({"name": text, text: [text]})
    assert yaml.safe_load(made) == {"name": text, text: [text]}
    assert made.startswith(f"name: {text}\n" if text in PLAIN else f"name: '{text}'\n")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_reads_texts() -> None:
    data = {f"k{number}": text for number, text in enumerate([*ODD, *PLAIN])}
    made = document({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data})
    command = ["kubectl", "annotate", "--local", "-f", "-", "read=yes", "-o", "json"]
    done = subprocess.run(command, input=made, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"] == data
