"""YAML for readers in other languages too: a text is in quotes where any of them would take it for something else."""

from __future__ import annotations

import re

import yaml

_NO_TEXT = re.compile(r"[yYnN]|0[oO][0-7_]+|[-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9_]+)?")
"""What readers in Go take for a truth value or a number, and PyYAML does not: `y`, `1e3`, `08`."""


def is_text(value: str) -> bool:
    """Whether this, without quotes, is a text for readers in Go; what PyYAML makes of it is another question."""
    return not _NO_TEXT.fullmatch(value)


class Dumper(yaml.SafeDumper):
    """Without anchors, long texts as blocks: for people and for readers that know no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    style = "|" if "\n" in data else None if is_text(data) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style=style)


Dumper.add_representer(str, _text)
Dumper.add_multi_representer(str, _text)  # names out of an inventory are of a kind of their own
