"""Extra variables (`-e`): read once, kept off command lines and out of records."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import BadRequest

_SHORTEST_SECRET = 6
Extra = Mapping[str, Any] | str


def parse(texts: Iterable[str], cwd: str) -> tuple[Extra, ...]:
    """What Ansible makes of `-e`: `@FILE`, `name=value ...`, or a mapping in JSON or YAML.

    Raises:
        BadRequest: one of them is none of these, or the file is not there.
    """
    return tuple(_one(text, cwd) for text in texts)


def _one(text: str, cwd: str) -> Extra:
    if text.startswith("@"):
        path = os.path.join(cwd, os.path.expanduser(text[1:]))
        if not os.path.isfile(path):
            raise BadRequest(f"-e {text}: there is no such file.")
        return f"@{path}"
    found = _mapping(text) if text.lstrip().startswith(("{", "[")) else _pairs(text)
    if not isinstance(found, dict) or not found or "_raw_params" in found:
        # What was typed may be a secret.
        raise BadRequest("-e takes NAME=VALUE, @FILE, or a mapping in JSON; one of them is none of these.")
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def _mapping(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _pairs(text: str) -> Any:
    from ansible.errors import AnsibleError
    from ansible.parsing.splitter import parse_kv

    try:
        return parse_kv(text)
    except AnsibleError:
        return None


def for_record(extra: Iterable[Extra]) -> list[str]:
    """What a record may say of them: files by path, variables by name, never a value."""
    return [text for each in extra for text in ([each] if isinstance(each, str) else sorted(each))]


def masked(text: str, extra: Iterable[Extra]) -> str:
    """The text without any value of these variables that is long enough to be a secret."""
    for each in extra:
        for value in _texts(each) if isinstance(each, Mapping) else ():
            if len(value) >= _SHORTEST_SECRET:
                text = text.replace(value, "***")
    return text


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
