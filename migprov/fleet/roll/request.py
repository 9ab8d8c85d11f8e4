"""What is asked of a roll, checked as far as it can be before any node is contacted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import BadRequest, LayoutFileError
from . import extra as extras
from .limits import Limit, check_pools, parse_floor, parse_max_unavailable
from .member import Member
from .steps import DEFAULT, Steps
from .steps import parse as parse_steps

if TYPE_CHECKING:
    from ..inventory import Inventory

ROLLOUT = "rollout"
ROLLBACK = "rollback"
_OPTIONS = (
    "kind",
    "steps",
    "max_unavailable",
    "floor",
    "drain",
    "timeout",
    "stop_on_error",
    "node_timeout",
    "soak",
    "forks",
    "cwd",
)


_NAMING = frozenset({"mig_layout", "mig_layout_name", "mig_layout_file", "mig_layout_config"})
"""Variables that say which layout."""


@dataclass(frozen=True)
class Request:
    """A roll as it is asked for; paths may be relative to `cwd`.

    `file` and `name`: the layout; both None: each node's layout is that of the inventory. What is None of `drain`,
    `timeout` (seconds for the work in the way), `node_timeout` (seconds after which the change of a node counts as
    hung) and `soak` (seconds between two batches) is left to the inventory. `pause_after`: batches.
    """

    inventory: tuple[str, ...]
    file: str | None = None
    name: str | None = None
    limit: str | None = None
    steps: str = DEFAULT
    max_unavailable: tuple[str, ...] = ()
    floor: tuple[str, ...] = ()
    drain: str | None = None
    timeout: float | None = None
    stop_on_error: bool = False
    node_timeout: float | None = None
    soak: float | None = None
    extra: tuple[str, ...] = field(default=(), repr=False)
    forks: int | None = None
    pause_after: int | None = None
    check: bool = False
    kind: str = ROLLOUT
    cwd: str = field(default_factory=os.getcwd)

    def absolute(self) -> Request:
        """The same with whole paths, so that it means the same from any folder."""
        inventory = tuple(each if "," in each else _path(self.cwd, each) for each in self.inventory)
        return replace(self, inventory=inventory, file=None if self.file is None else _path(self.cwd, self.file))

    def options(self) -> dict[str, Any]:
        """What the record keeps beside file, name, inventory and limit. No value of an extra variable is in it."""
        kept = {name: getattr(self, name) for name in _OPTIONS}
        return {**kept, "extra": extras.for_record(extras.parse(self.extra, self.cwd))}

    @classmethod
    def recorded(cls, begun: Mapping[str, Any]) -> Request:
        """The request of a record's `begun` line, but for its extra variables."""
        options: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in begun["options"].items()
            if name in _OPTIONS
        }
        return cls(
            inventory=tuple(begun["inventory"]),
            file=begun["file"],
            name=begun["name"],
            limit=begun["limit"],
            **options,
        )


@dataclass(frozen=True)
class Prepared:
    """A request that could be carried out as far as this machine can tell."""

    request: Request
    steps: Steps
    limits: tuple[Limit, ...]
    extra: tuple[extras.Extra, ...] = field(repr=False)
    hosts: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    content: bytes | None
    """The layout file."""
    soak: float = 0.0

    @property
    def layout(self) -> str:
        """What the roll is to, in a word or two."""
        return self.request.name or ("rollback" if self.request.kind == ROLLBACK else "layouts of the inventory")


def prepare(request: Request, *, copy: Path | None = None) -> Prepared:
    """Check a request. Nothing is contacted. `copy`: the layout file to take instead of the one that it names.

    Raises:
        BadRequest: steps, limits, layout or inventory cannot be used.
    """
    from ..inventory import open_inventory

    if request.kind == ROLLOUT and (request.file is None) != (request.name is None):
        raise BadRequest(
            "A layout is named by FILE and NAME together.", next="give both, or neither: then the inventory's"
        )
    if not Path(request.cwd).is_dir():
        raise BadRequest(f"The folder {request.cwd}, where the roll was begun, is not there any more.")
    asked = request.absolute()
    limits: tuple[Limit, ...] = (
        *map(parse_max_unavailable, asked.max_unavailable),
        *map(parse_floor, asked.floor),
    )
    steps = parse_steps(asked.steps)
    content = _layout_file(copy or Path(asked.file), asked.name) if asked.file and asked.name else None
    variables = extras.parse(asked.extra, asked.cwd)
    if any(isinstance(each, Mapping) and "mig_layout_steps" in each for each in variables):
        raise BadRequest("mig_layout_steps cannot be given as an extra variable here.", next="use --steps")
    if asked.name and (
        twice := sorted(_NAMING & {name for each in variables if isinstance(each, Mapping) for name in each})
    ):
        raise BadRequest(f"FILE and NAME say which layout, and so does -e {twice[0]}.", next="give one of them")
    inventory = open_inventory(asked.inventory, asked.limit)
    hosts = tuple(inventory.names())
    groups = {host: tuple(inventory.groups(host)) for host in hosts}
    check_pools(limits, [Member(host, groups[host]) for host in hosts])
    if asked.kind == ROLLOUT and content is None and not _layout_in(variables):
        inventory.layouts()
    soak = asked.soak if asked.soak is not None else _soak(inventory, variables)
    return Prepared(asked, steps, limits, variables, hosts, groups, content, soak)


def _soak(inventory: Inventory, variables: tuple[extras.Extra, ...]) -> float:
    """What the variables say about soaking, in seconds: the longest of all hosts."""
    given = [each["mig_layout_soak"] for each in variables if isinstance(each, Mapping) and "mig_layout_soak" in each]
    values = given[-1:] or [inventory.variable(host, "mig_layout_soak") or 0 for host in inventory.names()]
    try:
        return max((float(value) for value in values), default=0.0)
    except (TypeError, ValueError):
        raise BadRequest("mig_layout_soak is not a number of seconds.") from None


def _layout_file(path: Path, name: str) -> bytes:
    from ...layouts import loads

    try:
        content = path.read_bytes()
        text = content.decode()
    except OSError as error:
        raise LayoutFileError(f"cannot be read: {error.strerror}", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise LayoutFileError("is not a text in UTF-8", file=str(path)) from error
    loads(text, str(path)).layout(name)
    return content


def _layout_in(variables: tuple[extras.Extra, ...]) -> bool:
    """Whether extra variables may name the layout; what stands in their files is left to Ansible."""
    return any(isinstance(each, str) or _NAMING & set(each) for each in variables)


def _path(cwd: str, path: str) -> str:
    return os.path.normpath(os.path.join(cwd, os.path.expanduser(path)))
