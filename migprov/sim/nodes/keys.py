"""SSH key pairs made in-process: a hundred `ssh-keygen` would take longer than the hundred servers."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def write_pair(path: Path, comment: str) -> str:
    """Write a new ed25519 private key to `path` (0600) and its public half beside it.

    Returns the public key as one line, `ssh-ed25519 AAAA... comment`.
    """
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + f" {comment}"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(secret)
    path.with_name(path.name + ".pub").write_text(public + "\n")
    return public
