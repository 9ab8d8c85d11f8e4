"""Names as Kubernetes and NVIDIA's components spell them. Pure."""

from __future__ import annotations

import hashlib
import re

from ..fleet.kubernetes.names import RESOURCE
from ..fleet.kubernetes.resources import GPU, resource
from ..mig import names
from ..mig.names import BadProfileName
from .errors import CannotRender

PRODUCT = f"{GPU}.product"
"""GPU feature discovery's label of a node's product."""
HOST = "kubernetes.io/hostname"

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_DNS_LENGTH = 63
_SUBDOMAIN_LENGTH = 253
_HASH_LENGTH = 6


def label_value(text: str, what: str) -> str:
    """The text, if a label may have it as its value. Raises CannotRender."""
    if not _LABEL.fullmatch(text):
        raise CannotRender(
            f"{what} {text!r} cannot be the value of a label: at most 63 letters, digits, '-', '_' and '.', with a "
            "letter or digit at both ends",
            next="give it another name.",
        )
    return text


def object_name(text: str, what: str) -> str:
    """The text, if an object of Kubernetes may have it as its name. Raises CannotRender."""
    if len(text) > _SUBDOMAIN_LENGTH or not _SUBDOMAIN.fullmatch(text):
        raise CannotRender(
            f"{what} {text!r} cannot be a name in Kubernetes: small letters, digits, '-' and '.', with a letter or "
            "digit at both ends",
            next="give it another name.",
        )
    return text


def dns_label(text: str) -> str:
    """A name for an object or a container, made of any text: another one for another text."""
    plain = re.sub(r"[^a-z0-9-]+", "-", text.lower(), flags=re.ASCII).strip("-")
    if plain == text and len(plain) <= _DNS_LENGTH:
        return plain
    digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{plain[: _DNS_LENGTH - _HASH_LENGTH - 1].strip('-')}-{digest}".lstrip("-")


def resource_name(text: str) -> str:
    """`nvidia.com/mig-1g.10gb.me` for that, for `mig-1g.10gb.me` and for `1g.10gb+me`; `nvidia.com/gpu` for `gpu`.

    Raises:
        CannotRender: it is no resource of NVIDIA's device plugin.
    """
    short = text.removeprefix(RESOURCE)
    if short == "gpu":
        return GPU
    try:
        # A dot behind the size stands for the plus of an attribute: 1g.10gb.me is 1g.10gb+me.
        profile = re.sub(r"gb\.(?=[a-z])", "gb+", short.removeprefix("mig-"))
        return resource(names.parse(profile).canonical)
    except BadProfileName as error:
        raise CannotRender(
            f"{text!r} is no resource of the device plugin: {error}", next="write gpu, or a profile such as 3g.40gb."
        ) from None


def product_label(model: str, profile: str | None = None) -> str:
    """The value of `nvidia.com/gpu.product` as GPU feature discovery has it; `profile`: with the strategy single.

    Raises:
        CannotRender: the profile has a plus, for which there is no such value.
    """
    plain = model.replace(" ", "-")
    if profile is None:
        return plain
    if "+" in profile:
        raise CannotRender(
            f"the strategy single has no label for nodes whose MIG devices are {profile}: a plus is not allowed in one",
            next="render for the strategy mixed.",
        )
    return f"{plain}-MIG-{profile}"
