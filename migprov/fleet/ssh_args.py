"""What options of the `ssh` command mean for a `Target`. Pure: no I/O.

Inventories carry such options in `ansible_ssh_common_args` and its kin. migprov does not call `ssh`, so it
translates those that say where a node is and how to get in, passes over those that only tune a connection,
and refuses the rest rather than connect in another way than asked.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

NO = frozenset({"no", "off", "false", "accept-new"})

# They tune a connection or switch on what migprov does not use; without them it is the same node and user.
_PASSED_OVER = frozenset(
    (
        "addkeystoagent",
        "addressfamily",
        "batchmode",
        "canonicalizehostname",
        "checkhostip",
        "compression",
        "connectionattempts",
        "controlmaster",
        "controlpath",
        "controlpersist",
        "escapechar",
        "exitonforwardfailure",
        "forwardagent",
        "forwardx11",
        "forwardx11trusted",
        "gssapiauthentication",
        "gssapidelegatecredentials",
        "hashknownhosts",
        "identitiesonly",
        "ipqos",
        "kbdinteractiveauthentication",
        "loglevel",
        "logverbose",
        "numberofpasswordprompts",
        "passwordauthentication",
        "permitlocalcommand",
        "pubkeyauthentication",
        "requesttty",
        "serveralivecountmax",
        "serveraliveinterval",
        "streamlocalbindunlink",
        "tcpkeepalive",
        "updatehostkeys",
        "verifyhostkeydns",
        "visualhostkey",
    )
)
_ENVIRONMENT = {"sendenv": "SendEnv", "setenv": "SetEnv"}
_FLAGS = frozenset("46ACKTXYakqtvx")
_VALUED = {"F": "-F", "J": "proxyjump", "i": "identityfile", "l": "user", "p": "port"}
_FIRST_WINS = frozenset({"port", "user", "proxyjump", "proxycommand", "connecttimeout", "userknownhostsfile", "-F"})


class UnsupportedOption(ValueError):
    """An option that migprov cannot honour; the text names it. `part` counts the texts that `parse` was given."""

    part = 0


@dataclass
class SshOptions:
    """The options that matter; None and empty where nothing was said.

    What is not followed, and named instead: `notes` about host keys, `environment` what sets the environment.
    """

    values: dict[str, str] = field(default_factory=dict)
    identity_files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    environment: list[str] = field(default_factory=list)

    @property
    def known_hosts(self) -> str | None:
        """The one file of UserKnownHostsFile.

        Raises:
            UnsupportedOption: it names several.
        """
        text = self.values.get("userknownhostsfile")
        if text is None:
            return None
        try:
            files = shlex.split(text)
        except ValueError as problem:
            raise UnsupportedOption(f"UserKnownHostsFile={text} ({problem})") from None
        if len(files) != 1:
            raise UnsupportedOption(f"UserKnownHostsFile={text} (one file is supported)")
        return files[0]

    @property
    def proxied(self) -> tuple[str | None, str | None]:
        """ProxyJump and ProxyCommand; the first of the two that was named wins, as in OpenSSH."""
        for name in self.values:
            if name == "proxyjump":
                return self.values[name], None
            if name == "proxycommand":
                return None, self.values[name]
        return None, None

    def add(self, arguments: str) -> None:
        """Take in the words of `arguments`; what was said before wins, as it does for `ssh`.

        Raises:
            UnsupportedOption: migprov cannot honour one, or the text cannot be read.
        """
        try:
            words = iter(shlex.split(arguments))
        except ValueError as problem:
            raise UnsupportedOption(f"{arguments!r} ({problem})") from None
        for word in words:
            for name, value in _options(word, words):
                self._take(name, value)

    def _take(self, name: str, value: str) -> None:
        if name == "identityfile":
            self.identity_files.append(value)
        elif name in _FIRST_WINS:
            self.values.setdefault(name, value)
        elif name == "stricthostkeychecking":
            if value.lower() in NO:
                self.notes.append(f"StrictHostKeyChecking={value}")
        elif name in _ENVIRONMENT:
            self.environment.append(_ENVIRONMENT[name])
        elif name == "globalknownhostsfile":
            if value not in ("/dev/null", "none"):
                raise UnsupportedOption(f"GlobalKnownHostsFile={value}")
        elif name == "preferredauthentications":
            if "publickey" not in value.lower().split(","):
                raise UnsupportedOption(f"PreferredAuthentications={value} (migprov logs in with keys)")
        elif name not in _PASSED_OVER:
            raise UnsupportedOption(name if name.startswith("-") else f"{name}={value}")


@lru_cache(maxsize=1024)
def parse(*texts: str) -> SshOptions:
    """The options in several texts, of which the first to say something wins. Hosts of a fleet share the answer.

    Raises:
        UnsupportedOption: migprov cannot honour one.
    """
    found = SshOptions()
    for number, text in enumerate(texts):
        try:
            found.add(text)
            _ = found.known_hosts
        except UnsupportedOption as error:
            error.part = number
            raise
    return found


def _options(word: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    """The options in one word, such as `-CA`, `-oPort=22` or `-p` with the word that follows it."""
    if not word.startswith("-") or word == "-":
        raise UnsupportedOption(word)
    for position, letter in enumerate(word[1:], start=1):
        if letter in _FLAGS:
            continue
        value = word[position + 1 :] or next(rest, "")
        if letter == "o":
            yield _assignment(value)
        elif letter in _VALUED:
            yield _VALUED[letter], value
        else:
            raise UnsupportedOption(f"-{letter}")
        return


def _assignment(text: str) -> tuple[str, str]:
    """`Key=value` or `Key value`, as ssh_config(5) writes them; the key in lower case."""
    key, separator, value = text.partition("=")
    if not separator or " " in key.strip():
        key, _, value = text.strip().partition(" ")
    key, value = key.strip().lower(), value.strip()
    # A list of files keeps its quotes: they tell a space in a name from one between names.
    if key != "userknownhostsfile" and len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return key, value
