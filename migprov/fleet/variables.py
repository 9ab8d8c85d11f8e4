"""The variables of one host, and the options of Ansible's plugins that they set. Read by ansible-core's own code.

Templates are resolved when a value is asked for, so that thousands of hosts cost what is needed of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import AnsibleVaultError
from ansible.template import Templar

from ..errors import InventoryError

VAULT_HINT = "give the vault's secret: ANSIBLE_VAULT_PASSWORD_FILE, or vault_identity_list in ansible.cfg"


class Host:
    """The variables of one host as plain data."""

    def __init__(self, name: str, variables: Callable[[], Mapping[str, Any]], loader: DataLoader) -> None:
        self.name = name
        self._read = variables
        self._loader = loader
        self._variables: Mapping[str, Any] | None = None
        self._templar: Templar | None = None

    def get(self, name: str) -> Any:
        """The value of a variable as plain data, None when it is not set.

        Raises:
            InventoryError: its template cannot be resolved, or it is encrypted and the secret is missing.
        """
        known = self._known()
        if name not in known:
            return None
        if self._templar is None:
            self._templar = Templar(loader=self._loader, variables=dict(known))
        try:
            return plain(self._templar.template(known[name]))
        except AnsibleError as error:
            hint = VAULT_HINT if about_vault(error) else "set it for this host"
            raise self.wrong(name, f"cannot be resolved: {first_line(error)}", hint) from error

    def _known(self) -> Mapping[str, Any]:
        if self._variables is None:
            try:
                self._variables = self._read()
            except AnsibleError as error:
                hint = VAULT_HINT if about_vault(error) else "see: ansible-inventory --list"
                raise self.wrong("its variables", f"cannot be read: {first_line(error)}", hint) from error
        return self._variables

    def wrong(self, variable: str, what: str, next: str) -> InventoryError:
        """The error that names this host and the variable."""
        return InventoryError(f"{self.name}: {variable} {what}; nothing was contacted.", next=next)

    def options(self, kind: str, plugin: str, names: tuple[str, ...]) -> Options:
        """Some options of a plugin for this host: variables, environment and ansible.cfg in Ansible's order."""
        found: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for option in names:
            told = {
                name: value for name in _variables_of(kind, plugin, option) if (value := self.get(name)) is not None
            }
            try:
                found[option], origins[option] = _option(kind, plugin, option, json.dumps(told))
            except AnsibleError as error:
                raise InventoryError(f"{self.name}: {first_line(error)}; nothing was contacted.") from error
        return Options(found, origins)


class Options:
    """The values of a plugin's options, and which variable or setting gave each."""

    def __init__(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        self._values = values
        self._origins = origins

    def __getitem__(self, name: str) -> Any:
        return self._values.get(name)

    def text(self, name: str) -> str | None:
        """The value as text, None when it is not set or empty."""
        value = self._values.get(name)
        return None if value in (None, "") else str(value)

    def given(self, name: str) -> bool:
        """Whether somebody set it, other than ansible-core itself."""
        return self._origins.get(name) not in (None, "default", "Default")

    def origin(self, name: str) -> str:
        """What set it, such as `ansible_port`."""
        return str(self._origins.get(name) or name).removeprefix("var: ")


@lru_cache(maxsize=256)
def _variables_of(kind: str, plugin: str, option: str) -> tuple[str, ...]:
    """The variables that set an option; Ansible falls back to the host's name for one of them."""
    defined = constants.config.get_configuration_definitions(plugin_type=kind, name=plugin)
    return tuple(entry["name"] for entry in (defined.get(option) or {}).get("vars") or ())


@lru_cache(maxsize=4096)
def _option(kind: str, plugin: str, option: str, variables: str) -> tuple[Any, str]:
    """The value and its origin. Most hosts of a fleet say the same, and Ansible's own look-up is slow."""
    value, origin = constants.config.get_config_value_and_origin(
        option, plugin_type=kind, plugin_name=plugin, variables=json.loads(variables)
    )
    return plain(value), str(origin)


def plain(value: Any) -> Any:
    """Without ansible-core's tags and lazy containers."""
    return json.loads(json.dumps(value, default=str))


def first_line(error: Exception) -> str:
    """The start of what Ansible says, without a full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def about_vault(error: BaseException | None) -> bool:
    """Whether a vault's secret is what is missing. A template's error only quotes the reason."""
    while error is not None:
        if isinstance(error, AnsibleVaultError) or "undecryptable" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
