"""One node's lines in slurm.conf and gres.conf: text in, text out. Pure. Every other node's lines mean the same after.

A line that names the node beside others is split, so that only the node's own part changes. What cannot be done without
touching other nodes is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from . import hostlist
from .devices import Device, Gres
from .errors import CannotEdit

_TOKEN = re.compile(r'([A-Za-z][A-Za-z0-9]*)=("[^"]*"|\S*)')
_PER_NODE = ("nodehostname", "nodeaddr", "bcastaddr", "port")
"""Keys of a NodeName line that may give each of its nodes another value."""


@dataclass(frozen=True)
class _Line:
    """A line as it counts: continued lines joined, `comment` cut off. `number` (1-based) is that of the first."""

    text: str
    number: int
    comment: str
    source: str

    def get(self, key: str) -> str | None:
        """The value of a key, in whatever case it is written; None where the line does not have it."""
        for found in _TOKEN.finditer(self.text):
            if found[1].lower() == key.lower():
                return found[2].strip('"')
        return None

    def nodes(self) -> list[str]:
        value = self.get("NodeName")
        return [] if value is None else hostlist.expand(value)

    def put(self, key: str, value: str | None) -> str:
        """The text with that value; None takes the key away."""
        for found in _TOKEN.finditer(self.text):
            if found[1].lower() == key.lower():
                new = "" if value is None else f"{found[1]}={value}"
                return re.sub(r"\s+$", "", self.text[: found.start()] + new + self.text[found.end() :])
        return self.text if value is None else f"{self.text.rstrip()} {key}={value}"


def node_gres(text: str, node: str, gres: Gres, file: str = "slurm.conf") -> str:
    """slurm.conf with the GPUs of `node` as `gres` has them; gres that are no GPUs stay.

    Raises:
        CannotEdit: no line defines the node, or its line cannot be split.
    """
    out: list[str] = []
    defaults = ""
    found = False
    for line in _lines(text):
        named = line.nodes()
        if "DEFAULT" in named:
            defaults = line.get("Gres") or defaults
        if node not in named:
            out.append(line.source)
            continue
        found = True
        present = line.get("Gres")
        wanted = _with_others(gres.items, present if present is not None else defaults)
        if present is not None and same(present, wanted):
            out.append(line.source)
            continue
        rest, own = _split(line, node, file)
        out += [rest + line.comment + "\n"] if rest else []
        own_line = _Line(own, line.number, "", "")
        # A default that is not to count needs an answer of its own.
        empty = wanted or ("(null)" if defaults else None)
        out.append(own_line.put("Gres", empty) + ("" if rest else line.comment) + "\n")
    if not found:
        raise CannotEdit(
            f"{file} has no line with NodeName={node}; it was not changed",
            next="name the file that has it (an included one is not looked into), or give the node its NodeName.",
        )
    return "".join(out)


def gres_conf(text: str, node: str, gres: Gres, file: str = "gres.conf") -> str:
    """gres.conf with the GPUs of `node` as `gres` has them. `Cores=` of a GPU that had it stays.

    Raises:
        CannotEdit: a line for GPUs names no node, so it counts for this one too.
    """
    lines = _lines(text)
    own = [line for line in lines if node in line.nodes() and _about_gpus(line)]
    general = next((line for line in lines if line.get("NodeName") is None and line.get("AutoDetect")), None)
    for line in lines:
        if line.get("NodeName") is None and (line.get("Name") or "").lower() == "gpu":
            raise CannotEdit(
                f"line {line.number} of {file} describes GPUs and names no node, so it counts for {node} too; the file "
                "was not changed",
                next="begin that line with the NodeName of the nodes that it is about.",
            )
    if own and _says(own, gres, general):
        return text
    wanted = _gres_lines(node, gres, own, general)
    out: list[str] = []
    placed = False
    for line in lines:
        if line not in own:
            out.append(line.source)
            continue
        others = [name for name in line.nodes() if name != node]
        if others:
            out.append(line.put("NodeName", hostlist.compress(others)) + line.comment + "\n")
        if not placed:
            out += wanted
            placed = True
    if not placed:
        if out and not out[-1].endswith("\n"):
            out[-1] += "\n"
        out += wanted
    return "".join(out)


def same(one: str, other: str) -> bool:
    """Whether two values of Gres mean the same; what Slurm adds to them, such as `(S:0)`, does not count."""
    return _counted(one) == _counted(other)


def gpus_of(value: str) -> dict[str, int]:
    """The GPUs in a value of Gres: how many of each type."""
    return {kind.removeprefix("gpu").lstrip(":"): count for kind, count in _counted(value).items() if _is_gpu(kind)}


def _counted(value: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for item in _items(value):
        kind, _, last = item.rpartition(":")
        if kind and last.isdigit():
            found[kind] += int(last)
        else:
            found[item] += 1
    return found


def _items(value: str) -> list[str]:
    bare = re.sub(r"\([^)]*\)", "", value)
    return [item for item in bare.split(",") if item and item not in ("N/A", "none")]


def _is_gpu(item: str) -> bool:
    return item == "gpu" or item.startswith("gpu:")


def _with_others(items: Sequence[str], present: str) -> str:
    return ",".join([*items, *(item for item in _items(present) if not _is_gpu(item))])


def _split(line: _Line, node: str, file: str) -> tuple[str, str]:
    """The line without `node` (empty where it names no other), and the line of `node` alone."""
    nodes = line.nodes()
    if nodes == [node]:
        return "", line.text
    at = nodes.index(node)
    rest = line.put("NodeName", hostlist.compress(name for name in nodes if name != node))
    own = line.put("NodeName", node)
    for key in _PER_NODE:
        values = hostlist.expand(line.get(key) or "")
        if len(values) < 2:
            continue
        if len(values) != len(nodes):
            raise CannotEdit(
                f"line {line.number} of {file} gives {len(values)} values of {key} to {len(nodes)} nodes, so {node} "
                "cannot have a line of its own; the file was not changed",
                next=f"write a line of its own for {node}.",
            )
        rest = _Line(rest, 0, "", "").put(key, hostlist.compress(values[:at] + values[at + 1 :]))
        own = _Line(own, 0, "", "").put(key, values[at])
    return rest, own


def _about_gpus(line: _Line) -> bool:
    name = line.get("Name")
    return name.lower() == "gpu" if name is not None else line.get("AutoDetect") is not None


def _says(own: Sequence[_Line], gres: Gres, general: _Line | None) -> bool:
    """Whether the node's lines say already what is wanted, in other words perhaps."""
    detecting = [(line.get("AutoDetect") or "").lower() for line in own]
    if gres.autodetect:
        return len(own) == 1 and detecting == ["nvml"] and own[0].get("Name") is None
    off = ("off",) if general else ("off", "")
    if any(word not in off for word in detecting):
        return False
    described = Counter(device for line in own for device in _described(line))
    return described == Counter(gres.devices)


def _described(line: _Line) -> list[Device]:
    kind = line.get("Type") or ""
    several = line.get("MultipleFiles")
    if several is not None:
        return [Device(kind, tuple(hostlist.expand(several)))]
    return [Device(kind, (file,)) for file in hostlist.expand(line.get("File") or "")]


def _gres_lines(node: str, gres: Gres, own: Sequence[_Line], general: _Line | None) -> list[str]:
    if gres.autodetect:
        return [f"NodeName={node} AutoDetect=nvml\n"]
    cores: dict[str, str] = {}
    for line in own:
        value = line.get("Cores")
        for device in _described(line) if value else ():
            cores.setdefault(device.files[0], f" Cores={value}")
    off = general is not None and (general.get("AutoDetect") or "").lower() != "off"
    written = [device.line(node) + cores.get(device.files[0], "") for device in gres.devices]
    if off:
        written = [line.replace(" Name=gpu", " AutoDetect=off Name=gpu", 1) for line in written]
        written = written or [f"NodeName={node} AutoDetect=off"]
    return [f"{line}\n" for line in written]


def _lines(text: str) -> list[_Line]:
    """The lines as Slurm reads them: a backslash at the end continues, `#` begins a comment."""
    found: list[_Line] = []
    source, joined, first = "", "", 1
    for number, raw in enumerate(text.splitlines(keepends=True), 1):
        source += raw
        bare = raw.rstrip("\n")
        if bare.endswith("\\"):
            joined += bare[:-1]
            continue
        found.append(_line(joined + bare, first, source))
        source, joined, first = "", "", number + 1
    if source:
        found.append(_line(joined, first, source))
    return found


def _line(text: str, number: int, source: str) -> _Line:
    bare, sign, comment = text.partition("#")
    cut = len(bare.rstrip())
    return _Line(bare[:cut], number, bare[cut:] + sign + comment, source)
