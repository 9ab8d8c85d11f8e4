"""The secrets of Ansible's vaults, from where `ansible-playbook` has them without being told on its command line."""

from __future__ import annotations

from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.vault import PromptVaultSecret, VaultSecretsContext, get_file_vault_secret

from ..errors import InventoryError
from .variables import first_line

_PROMPT = ("prompt", "prompt_ask_vault_pass")
_NEXT = "see vault_password_file and vault_identity_list in ansible.cfg, and ANSIBLE_VAULT_PASSWORD_FILE"


def unlock(loader: Any) -> None:
    """Give `loader` the secrets of `vault_identity_list` and `vault_password_file`, in Ansible's order.

    Raises:
        InventoryError: one of them cannot be had.
    """
    secrets: list[tuple[str, Any]] = []
    for name, source in _identities():
        try:
            secret = _secret(name, source, loader)
            secret.load()
        except (AnsibleError, EOFError, OSError) as error:
            raise InventoryError(
                f"The vault secret {name}@{source} cannot be had: {first_line(error)}; nothing was contacted.",
                next=_NEXT,
            ) from error
        secrets.append((name, secret))
        loader.set_vault_secrets(secrets)  # a secret's file may itself be encrypted with an earlier one
    # What stands encrypted within a file (!vault) is decrypted through the context, of which a process has one.
    if (context := VaultSecretsContext.current(optional=True)) is None:
        VaultSecretsContext.initialize(VaultSecretsContext(secrets))
    else:
        known = [(name, secret.bytes) for name, secret in context.secrets]
        context.secrets.extend(one for one in secrets if (one[0], one[1].bytes) not in known)


def _identities() -> list[tuple[str, str]]:
    default = str(constants.DEFAULT_VAULT_IDENTITY)
    found = []
    for label in constants.DEFAULT_VAULT_IDENTITY_LIST or ():
        name, at, source = str(label).rpartition("@")
        found.append((name if at and name else default, source))
    if constants.DEFAULT_VAULT_PASSWORD_FILE:
        found.append((default, str(constants.DEFAULT_VAULT_PASSWORD_FILE)))
    return found


def _secret(name: str, source: str, loader: Any) -> Any:
    if source in _PROMPT:
        return PromptVaultSecret(prompt_formats=[f"Vault password ({name}): "], vault_id=name)
    return get_file_vault_secret(filename=source, vault_id=name, loader=loader)
