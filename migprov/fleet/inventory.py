"""An Ansible inventory, read once by ansible-core itself: its hosts, groups, variables, layouts, and targets.

Everything that Ansible takes goes: files, folders, plugin configurations, executable scripts, `host,host`, and
several of them together. Nothing is contacted here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import BadRequest, InventoryError
from . import grouped

if TYPE_CHECKING:
    from ..connect.target import Target
    from .host_layouts import HostLayout
    from .variables import Host

Note = Callable[[str], None]
Source = str | os.PathLike[str]
_Value = TypeVar("_Value")


class Inventory:
    """The hosts of an inventory that match a limit, in the inventory's order. Made by `open_inventory`.

    Names, groups, variables and layouts are there whatever a host's connection variables say; only `targets` needs
    them to be ones that the direct driver can honour. Use it from one thread.
    """

    def __init__(self, sources: Sequence[str], limit: str | None, note: Note) -> None:
        from ansible.errors import AnsibleError

        self.sources = tuple(sources)
        self._note = note
        try:
            self._load(limit)
        except AnsibleError as error:
            from .variables import VAULT_HINT, about_vault, first_line

            raise InventoryError(
                f"The inventory {self._named} cannot be used: {first_line(error)}; nothing was contacted.",
                next=VAULT_HINT if about_vault(error) else None,
            ) from error

    def _load(self, limit: str | None) -> None:
        from ansible.inventory.manager import InventoryManager
        from ansible.parsing.dataloader import DataLoader
        from ansible.vars.hostvars import HostVars
        from ansible.vars.manager import VariableManager

        from .host_layouts import LayoutFiles
        from .vault import unlock

        self._loader = DataLoader()
        unlock(self._loader)
        self._manager: Any = InventoryManager(loader=self._loader, sources=list(self.sources))
        self._variables: Any = VariableManager(loader=self._loader, inventory=self._manager)
        HostVars(self._manager, self._variables, self._loader)  # makes `hostvars` known to templates
        self._everyone = [host.name for host in self._manager.list_hosts()]
        if self._everyone:
            for file in self._layout_files():
                self._note(
                    f"{file} is a layout file, and Ansible reads it as inventory there: keep it beside the folder."
                )
        self._names = self._limited(limit)
        self._hosts: dict[str, Host] = {}
        self._layouts = LayoutFiles(self._loader)

    @property
    def _named(self) -> str:
        return ", ".join(self.sources)

    def _limited(self, limit: str | None) -> list[str]:
        if not self._everyone:
            if files := self._layout_files():
                raise InventoryError(
                    f"{files[0]} is a layout file, not an inventory.", next="give the inventory with -i"
                )
            raise InventoryError(
                f"The inventory {self._named} has no hosts.",
                next=f"see: ansible-inventory {' '.join(f'-i {source}' for source in self.sources)} --list",
            )
        if limit is None:
            return self._everyone
        self._manager.subset(limit)
        # An empty text, an empty @file, a `~[` that Ansible cuts down to `~`: it would work on all hosts.
        if not any(pattern.strip("~ ") for pattern in self._manager._subset):
            raise InventoryError(
                f"The limit {limit!r} names no host; nothing was contacted.",
                next="name hosts or groups; without a limit all hosts are meant",
            )
        found = [host.name for host in self._manager.list_hosts()]
        if not found:
            known = ", ".join(self._everyone[:5]) + (", ..." if len(self._everyone) > 5 else "")
            raise InventoryError(f"No host of {self._named} matches {limit!r}.", next=f"its hosts: {known}")
        return found

    def _layout_files(self) -> list[str]:
        """Layout files among what was read as inventory: Ansible takes their key `mig-configs` for a group."""
        if "mig-configs" not in self._manager.groups and "mig_configs" not in self._manager.groups:
            return []
        found = []
        for source in map(Path, self.sources):
            for file in sorted(source.iterdir()) if source.is_dir() else [source]:
                if file.suffix in (".yml", ".yaml", ".json") and file.is_file() and "mig-configs" in _start(file):
                    found.append(str(file))
        return found

    def names(self) -> list[str]:
        """The hosts that match the limit, in the inventory's order."""
        return list(self._names)

    def groups(self, host: str) -> list[str]:
        """All groups of a host, parents too, without `all`; those nearest to `all` come first.

        Raises:
            InventoryError: the inventory has no such host.
        """
        from ansible.inventory.helpers import sort_groups

        return [group.name for group in sort_groups(self._known(host).get_groups()) if group.name != "all"]

    def members(self, group: str) -> list[str]:
        """The hosts of a group and of its children in the whole inventory, limit or not, in the inventory's order.

        Raises:
            InventoryError: the inventory has no such group.
        """
        if group not in self._manager.groups:
            known = ", ".join(sorted(name for name in self._manager.groups if name != "all")[:10])
            raise InventoryError(f"The inventory {self._named} has no group {group!r}.", next=f"its groups: {known}")
        inside = {host.name for host in self._manager.groups[group].get_hosts()}
        return [name for name in self._everyone if name in inside]

    def variable(self, host: str, name: str) -> Any:
        """The value of a host's variable as plain data, templates resolved; None when it is not set.

        Raises:
            InventoryError: the inventory has no such host, or the value cannot be resolved.
        """
        return self._host(host).get(name)

    def layout(self, host: str) -> HostLayout | None:
        """The layout that the inventory gives a host, None when it gives none.

        Raises:
            InventoryError, LayoutFileError: what it says cannot be used.
        """
        return self._layouts.of(self._host(host))

    def layouts(self) -> dict[str, HostLayout]:
        """The layout of every host.

        Raises:
            InventoryError, LayoutFileError: hosts have none, or one that cannot be used; all of them are named.
        """
        return self._each(self._own_layout)

    def targets(self) -> list[Target]:
        """The hosts as the direct driver reaches them. What is not followed is told to `note`.

        Raises:
            InventoryError: variables of hosts cannot be honoured; all of those hosts are named.
        """
        from .hosts import settings, target

        notes: list[tuple[str, str]] = []
        found = self._each(lambda name: target(self._host(name), lambda text: notes.append((name, text))))
        for text in (*settings(), *grouped.said_alike(notes)):
            self._note(text)
        return list(found.values())

    def _own_layout(self, host: str) -> HostLayout:
        found = self.layout(host)
        if found is None:
            raise self._host(host).wrong("mig_layout", "is not set", "set it, name FILE and NAME, or use --limit")
        return found

    def _each(self, work: Callable[[str], _Value]) -> dict[str, _Value]:
        done: dict[str, _Value] = {}
        problems: list[tuple[str, BadRequest]] = []
        for name in self._names:
            try:
                done[name] = work(name)
            except BadRequest as error:
                problems.append((name, error))
        if problems:
            raise grouped.one_error(problems)
        return done

    def _known(self, host: str) -> Any:
        found = self._manager.hosts.get(host)
        if found is None:
            raise InventoryError(f"The inventory {self._named} has no host {host!r}.")
        return found

    def _host(self, name: str) -> Host:
        from .variables import Host

        if name not in self._hosts:
            known = self._known(name)
            self._hosts[name] = Host(name, partial(self._variables.get_vars, host=known), self._loader)
        return self._hosts[name]


def open_inventory(
    sources: Source | Iterable[Source], limit: str | None = None, *, note: Note | None = None
) -> Inventory:
    """Read an inventory, or several as one. `limit` is a pattern of Ansible's.

    `note` is told what the inventory says and migprov does not follow: host keys are checked even where it says
    otherwise.

    Raises:
        InventoryError: it cannot be read, or no host matches. Nothing was contacted.
    """
    given = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    if not given:
        raise BadRequest("no inventory was given.")
    for source in given:
        if "," not in os.fspath(source) and not _is_there(Path(source)):
            raise InventoryError(
                f"There is no inventory {source}.",
                next="give a file, a folder, a script, or hosts with a comma: 'gpu1,'",
            )
    _prepare()
    return Inventory([os.fspath(source) for source in given], limit, note or (lambda _text: None))


def read(inventory: Source | Iterable[Source], limit: str | None = None, *, note: Note | None = None) -> list[Target]:
    """The targets of an inventory: `open_inventory(...).targets()`.

    Raises:
        InventoryError: the inventory cannot be read, no host matches, or a variable of a host cannot be
            honoured (another connection than ssh or local, a password, a become method other than sudo, ...).
            Nothing was contacted.
    """
    return open_inventory(inventory, limit, note=note).targets()


def _is_there(source: Path) -> bool:
    try:
        return source.expanduser().exists()
    except (OSError, RuntimeError, ValueError) as error:  # no leave; no such home; a null byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise InventoryError(f"The inventory {source} cannot be read: {reason}; nothing was contacted.") from None


def _start(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(65536)


@cache
def _prepare() -> None:
    """Load what Ansible's command line loads at its start; ansible-core wants that once a process."""
    from ansible.errors import AnsibleError

    try:
        from ansible.plugins.loader import init_plugin_loader  # reads Ansible's settings, and makes its folder

        from .hosts import load_plugins

        init_plugin_loader()
        load_plugins()
    except AnsibleError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InventoryError(
            f"Ansible, which reads inventories, cannot begin: {reason}; nothing was contacted.",
            next="correct ansible.cfg, or give Ansible a folder that it can write in with ANSIBLE_HOME",
        ) from error
