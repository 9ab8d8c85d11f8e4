"""The nodes of an Ansible inventory: a file, a folder, a script, or `host,host`, read by ansible-core itself."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InventoryError

if TYPE_CHECKING:
    from ..connect.target import Target
    from .hosts import Note


def read(inventory: str | os.PathLike[str], limit: str | None = None, *, note: Note | None = None) -> list[Target]:
    """The hosts of an inventory that match `limit` (Ansible's patterns), in the inventory's order.

    `note` is told, host by host, what the inventory says and migprov does not follow: host keys are checked
    even where it says otherwise.

    Raises:
        InventoryError: the inventory cannot be read, no host matches, or a variable of a host cannot be
            honoured (another connection than ssh or local, a password, a become method other than sudo, ...).
            Nothing was contacted.
    """
    source = os.fspath(inventory)
    if "," not in source and not Path(source).exists():
        raise InventoryError(
            f"There is no inventory {source}.", next="give a file, a folder, a script, or hosts with a comma: 'gpu1,'"
        )
    _prepare()
    from ansible.errors import AnsibleError

    try:
        return _targets(source, limit, note or (lambda _text: None))
    except AnsibleError as error:
        first = str(error).strip().splitlines()[0]
        raise InventoryError(f"The inventory {source} cannot be used: {first}") from error


@cache
def _prepare() -> None:
    """Load what Ansible's command line loads at its start; ansible-core wants that once a process."""
    from ansible.plugins.loader import init_plugin_loader

    from .hosts import load_plugins

    init_plugin_loader()
    load_plugins()


def _targets(source: str, limit: str | None, note: Note) -> list[Target]:
    from ansible.inventory.manager import InventoryManager
    from ansible.vars.manager import VariableManager

    from .hosts import Host, target

    loader = _loader()
    manager = InventoryManager(loader=loader, sources=[source])
    everyone = manager.list_hosts()
    if not everyone:
        raise InventoryError(f"The inventory {source} has no hosts.", next=f"see: ansible-inventory -i {source} --list")
    if limit is not None:
        manager.subset(limit)
    hosts = manager.list_hosts()
    if not hosts:
        known = ", ".join(host.name for host in everyone[:5]) + (", ..." if len(everyone) > 5 else "")
        raise InventoryError(f"No host of {source} matches {limit!r}.", next=f"its hosts: {known}")
    variables = VariableManager(loader=loader, inventory=manager)
    return [target(Host(host.name, variables.get_vars(host=host), loader), note) for host in hosts]


def _loader() -> Any:
    from ansible import constants
    from ansible.parsing.dataloader import DataLoader
    from ansible.parsing.vault import get_file_vault_secret

    loader = DataLoader()
    if password := constants.DEFAULT_VAULT_PASSWORD_FILE:
        secret = get_file_vault_secret(filename=password, vault_id="default", loader=loader)
        secret.load()
        loader.set_vault_secrets([("default", secret)])
    return loader
