"""Layout files of about 1 MiB that would take long, or much memory, where something is not bounded."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

_HEAD = "version: v1\nmig-configs:\n"


def _layout(entries: Iterable[str]) -> str:
    return f"{_HEAD}  a:\n" + "".join(f"    - {{{entry}}}\n" for entry in entries)


def _gpus(numbers: Iterable[object]) -> str:
    return f"devices: [{', '.join(map(str, numbers))}], mig-enabled: no"


def _devices(wanted: str) -> str:
    return _layout([f"devices: all, mig-enabled: yes, mig-devices: {wanted}"])


def _laughs(first: str, next_: str) -> str:
    lines = [f"a: &a {first}", *(f"{c}: &{c} {next_ % ', '.join([f'*{b}'] * 9)}" for b, c in pairwise("abcdefghij"))]
    return "\n".join(lines)


_BUSES = [[f"{d:02x}{b:02x}:{i:02x}:00.0" for i in range(16)] for d in range(8) for b in range(64)]

HEAVY = {
    "nested lists": "[" * 500_000,
    "nested mappings": "{a: " * 200_000,
    "nested blocks": "- " * 400_000,
    "a billion laughs": _laughs("[x]", "[%s]"),
    "a billion merges": _laughs("{x: 1}", "{<<: [%s]}"),
    "merges of merges": "m0: &m0 {k: v}\n"
    + "".join(f"m{i}: &m{i} {{<<: *m{i - 1}, k{i}: v}}\n" for i in range(1, 20_000)),
    "a huge number": f"version: {'9' * 1_000_000}\n",
    "a huge hexadecimal number": f"version: 0x{'f' * 1_000_000}\n",
    "a huge text": f"version: {'x' * 1_000_000}\n",
    "a huge key": f"? {'k' * 1_000_000}\n: 1\n",
    "entries that overlap": _layout(["devices: all, mig-enabled: no"] * 25_000),
    "overlapping entries of a shorter layout": _layout(["devices: all, mig-enabled: no"] * 1000),
    "many entries": _layout(_gpus([i]) for i in range(1024)),
    "many buses": _layout(_gpus(buses) for buses in _BUSES),
    "many GPUs": _layout([_gpus(range(140_000))]),
    "many GPUs in many entries": _layout(_gpus(range(i * 50, i * 50 + 50)) for i in range(3000)),
    "a GPU named often": _layout([_gpus([0] * 190_000)]),
    "a huge count": _devices("{1g.10gb: 99999999999}"),
    "a huge count in a list": _devices("[{profile: 1g.10gb, count: 99999999}]"),
    "a huge count of compute instances": _devices("[{profile: 7g.80gb, compute-instances: {1c.7g.80gb: 999999999}}]"),
    "many compute instances": _devices(f"[{{profile: 7g.80gb, compute-instances: [{'1c.7g.80gb, ' * 80_000}]}}]"),
    "a far start": _devices("[{profile: 7g.80gb, compute-instances: [{profile: 1c.7g.80gb, start: 99999999999}]}]"),
    "many profiles": _devices(f"{{{', '.join(f'{i}g.{j}gb: 64' for i in range(1, 9) for j in range(10, 1000))}}}"),
    "many misspelt profiles": _devices(f"{{{', '.join(f'1g.{i}gbx: 1' for i in range(60_000))}}}"),
    "many unknown keys": _HEAD + "".join(f"  n{i}: [{{devicez{i}: 1}}]\n" for i in range(40_000)),
    "many layouts": _HEAD + "".join(f"  n{i}: []\n" for i in range(70_000)),
    "many wrong layouts": _HEAD
    + "".join(f"  n{i}: [{{devices: all, mig-enabled: yes, mig-devices: {{9q: 1}}}}]\n" for i in range(9_000)),
    "lines": "\n" * 1_000_000,
    "quotes": "'" * 1_000_000,
    "comments": "# \n" * 300_000,
    "anchors": "".join(f"- &a{i} x\n" for i in range(60_000)),
}
"""What is in the file, and its text."""
