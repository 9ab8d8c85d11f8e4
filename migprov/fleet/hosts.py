"""One host of an Ansible inventory as a `Target`. What Ansible would do decides, read by Ansible's own code.

The options of the ssh connection and of sudo are read through ansible-core's configuration, so variables,
environment and ansible.cfg count in Ansible's order, templates included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible import constants
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.loader import become_loader, connection_loader

from ..connect.target import CONNECT_TIMEOUT, Target
from ..errors import BadRequest, InventoryError
from .ssh_args import SshOptions, UnsupportedOption, parse
from .variables import Host, Options

Note = Callable[[str], None]

_PARAMIKO = frozenset({"paramiko", "paramiko_ssh"})
_SSH = _PARAMIKO | {"ssh", "smart"}
# What Ansible's paramiko connection alone reads. All of it but the tuning has a name that both connections read.
_PARAMIKO_ONLY = ("host", "port", "user", "pass", "password", "private_key_file", "proxy_command")
_KEYS_ARE_CHECKED = "migprov always checks host keys."
# Options of Ansible's ssh connection that migprov has no way to follow.
_NOT_HONOURED = ("password", "private_key", "pkcs11_provider")
_SSH_OPTIONS = (
    *_NOT_HONOURED,
    "host",
    "host_key_checking",
    "port",
    "private_key_file",
    "private_key_passphrase",
    "reconnection_retries",
    "remote_user",
    "ssh_args",
    "ssh_common_args",
    "ssh_executable",
    "ssh_extra_args",
    "timeout",
)
_SUDO_OPTIONS = ("become_exe", "become_flags", "become_pass", "become_user", "sudo_chdir")
_SUDO_FLAGS = frozenset({"-H", "-S", "-n", "-nH", "-Hn", "-HSn", "-k", "-E"})
_AUTOMATIC = ("auto", "auto_silent", "auto_legacy", "auto_legacy_silent")


def load_plugins() -> None:
    """Make ansible-core know the options of the plugins that are read here."""
    connection_loader.get("ssh", class_only=True)
    become_loader.get("sudo", class_only=True)


def settings() -> list[str]:
    """What Ansible's settings say for all hosts and migprov does not follow."""
    files = {
        "connection_password_file": constants.CONNECTION_PASSWORD_FILE,
        "become_password_file": constants.BECOME_PASSWORD_FILE,
    }
    return [
        f"{name} is not followed: migprov logs in with keys and calls sudo without a password."
        for name, file in files.items()
        if file
    ]


def target(host: Host, note: Note) -> Target:
    """The Target of a host; `note` is told what the inventory says and migprov does not follow.

    Raises:
        InventoryError: a variable cannot be honoured; it names host and variable.
    """
    connection = str(host.get("ansible_connection") or constants.DEFAULT_TRANSPORT).removeprefix("ansible.builtin.")
    python = _python(host)
    become = _become(host)
    try:
        if connection == "local":
            return Target("localhost", name=host.name, connection="local", python=python, **become)
        if connection in _PARAMIKO:
            _paramiko(host, note)
        if connection not in _SSH:
            raise host.wrong(
                "ansible_connection", f"is {connection!r}, and migprov speaks ssh", "limit the run to other hosts"
            )
        return Target(name=host.name, python=python, **become, **_ssh(host, note))
    except InventoryError:
        raise
    except BadRequest as error:
        message = error.message.removeprefix(f"{host.name}: ")
        raise InventoryError(f"{host.name}: {message} Nothing was contacted.", next=error.next) from error


def _ssh(host: Host, note: Note) -> dict[str, Any]:
    options = host.options("connection", "ssh", _SSH_OPTIONS)
    for name in _NOT_HONOURED:
        if options.text(name) is not None:
            raise host.wrong(
                options.origin(name),
                "cannot be honoured: migprov logs in with key files and the agent",
                "give a key file (ansible_ssh_private_key_file) or load the key into ssh-agent",
            )
    if options.given("ssh_executable"):
        raise host.wrong(options.origin("ssh_executable"), "cannot be honoured: migprov does not call ssh", "remove it")
    arguments = _arguments(host, options, note)
    _shell(host, note)
    if options.given("reconnection_retries"):
        note(f"{options.origin('reconnection_retries')} is not followed: a node that is not there is told at once.")
    key_file = options.text("private_key_file")
    jump, command = arguments.proxied
    passphrase = options.text("private_key_passphrase")
    config = arguments.values.get("-F")
    return {
        "host": options.text("host") or host.name,
        "port": _number(host, options, arguments),
        "user": options.text("remote_user") or arguments.values.get("user"),
        "key_files": tuple(([key_file] if key_file else []) + arguments.identity_files),
        "known_hosts": arguments.known_hosts,
        "proxy_jump": jump,
        "proxy_command": command,
        "connect_timeout": _connect_timeout(host, options, arguments),
        "ssh_config": "none" if config in ("none", "/dev/null") else config,
        "passphrase": None if passphrase is None else lambda _path: passphrase,
    }


def _arguments(host: Host, options: Options, note: Note) -> SshOptions:
    names = ("ssh_args", "ssh_common_args", "ssh_extra_args")
    try:
        found = parse(*(options.text(name) or "" for name in names))
    except UnsupportedOption as error:
        raise host.wrong(
            options.origin(names[error.part]),
            f"has an option that cannot be honoured: {error}",
            "put it into ~/.ssh/config if it belongs there, or limit the run to other hosts",
        ) from error
    for ignored in found.notes:
        note(f"{ignored} is not followed: {_KEYS_ARE_CHECKED}")
    for ignored in found.environment:
        note(f"{ignored} is not followed: the node program has the environment that the node itself gives it.")
    if options["host_key_checking"] is False and not found.notes:
        note(f"{options.origin('host_key_checking')} is not followed: {_KEYS_ARE_CHECKED}")
    return found


def _shell(host: Host, note: Note) -> None:
    """The shell on the node: the login shell reads one line that every shell of Unix understands."""
    kind = str(host.get("ansible_shell_type") or "sh").removeprefix("ansible.builtin.")
    if kind in ("powershell", "cmd"):
        raise host.wrong("ansible_shell_type", f"is {kind!r}, and migprov needs a shell of Unix", "leave the host out")
    if host.get("ansible_shell_executable") not in (None, "", "/bin/sh"):
        note("ansible_shell_executable is not followed: the user's login shell starts the node program.")


def _paramiko(host: Host, note: Note) -> None:
    for name in (f"ansible_paramiko_{name}" for name in _PARAMIKO_ONLY):
        if host.get(name) is not None:
            raise host.wrong(name, "cannot be honoured", "use the variable of the ssh connection (ansible_user, ...)")
    if host.get("ansible_paramiko_host_key_checking") in (False, "False", "false", "no"):
        note(f"ansible_paramiko_host_key_checking is not followed: {_KEYS_ARE_CHECKED}")


def _number(host: Host, options: Options, arguments: SshOptions) -> int | None:
    text = options.text("port") or arguments.values.get("port")
    if text is None:
        return None
    if not text.isdecimal():
        raise host.wrong(options.origin("port"), f"is {text!r}, and a port is a number", "correct it")
    return int(text)


def _connect_timeout(host: Host, options: Options, arguments: SshOptions) -> float:
    text = arguments.values.get("connecttimeout")
    if text is None:
        return float(options["timeout"]) if options.given("timeout") else CONNECT_TIMEOUT
    if not text.isdecimal():
        raise host.wrong("ConnectTimeout", f"is {text!r}, and a time limit is a number of seconds", "correct it")
    return float(text)


def _become(host: Host) -> dict[str, Any]:
    wanted = host.get("ansible_become")
    try:
        if not boolean(constants.DEFAULT_BECOME if wanted is None else wanted):
            return {}
    except TypeError:
        raise host.wrong("ansible_become", f"is {wanted!r}, neither yes nor no", "correct it") from None
    method = str(host.get("ansible_become_method") or constants.DEFAULT_BECOME_METHOD)
    if method.removeprefix("ansible.builtin.") != "sudo":
        raise host.wrong("ansible_become_method", f"is {method!r}, and migprov becomes root with sudo", "use sudo")
    options = host.options("become", "sudo", _SUDO_OPTIONS)
    for name in ("become_pass", "sudo_chdir"):
        if options.text(name) is not None:
            raise host.wrong(
                options.origin(name),
                "cannot be honoured: migprov calls sudo without a password",
                "allow it on the node (NOPASSWD in sudoers) and remove the variable",
            )
    if set((options.text("become_flags") or "").split()) - _SUDO_FLAGS:
        raise host.wrong(options.origin("become_flags"), "cannot be honoured: migprov calls sudo -n -H", "remove it")
    return {
        "become": True,
        "become_user": options.text("become_user"),
        "become_exe": options.text("become_exe") or "sudo",
    }


def _python(host: Host) -> str | None:
    value = host.get("ansible_python_interpreter") or constants.config.get_config_value("INTERPRETER_PYTHON")
    return None if value is None or str(value) in _AUTOMATIC else str(value)
