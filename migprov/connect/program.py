"""The node program as one file: a zipapp of `migprov/mig`, `migprov/node`, `pynvml.py` and what keeps it compiled.

Byte for byte the same for the same sources (order, times and permissions are fixed), so that its SHA-256
can be its name on every node.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..mig import geometry

PACKAGE = "migprov_node"
TWIN = "migprov_twin"  # what the bootstrap calls to keep the program compiled
_TWIN_PARTS = ("kept.py", "twin.py")
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_MAIN = f"""\
from {PACKAGE}.node.__main__ import end, main
end(main())
"""


@dataclass(frozen=True)
class Program:
    """The zipapp: its bytes and the SHA-256 of them in hexadecimal."""

    data: bytes
    digest: str


@cache
def program() -> Program:
    """Build the program, once a process.

    Raises:
        RuntimeError: nvidia-ml-py is not installed here.
    """
    data = pack(sorted(_files()))
    return Program(data, hashlib.sha256(data).hexdigest())


def _files() -> Iterator[tuple[str, bytes]]:
    ours = Path(__file__).resolve().parent.parent
    yield "__main__.py", _MAIN.encode()
    yield f"{PACKAGE}/__init__.py", b""
    for part in ("mig", "node"):
        for path in sorted((ours / part).rglob("*")):
            name = f"{PACKAGE}/{path.relative_to(ours).as_posix()}"
            if path.suffix == ".py":
                yield name, path.read_bytes()
            elif path.suffix == ".json":
                yield name, geometry.for_nodes(path.read_bytes())
    yield from twin_files()
    yield "pynvml.py", _pynvml().read_bytes()


def twin_files() -> Iterator[tuple[str, bytes]]:
    """The part that keeps a program compiled on the node; it knows nothing of what the program does."""
    yield f"{TWIN}/__init__.py", b""
    for part in _TWIN_PARTS:
        yield f"{TWIN}/{part}", Path(__file__).with_name(part).read_bytes()


def _pynvml() -> Path:
    # Found, not imported: the control side needs no NVML library.
    spec = importlib.util.find_spec("pynvml")
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise RuntimeError("nvidia-ml-py is not installed: pip install nvidia-ml-py")
    return Path(spec.origin)


def pack(files: list[tuple[str, bytes]]) -> bytes:
    """The zipapp of these names and contents; the same bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, so that the permissions below mean something
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
