"""Fleet files: nodes on paper, for what-ifs."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any

from ..layouts.document import Item, Node
from ..layouts.words import nearest, shown
from ..mig.errors import MigError
from ..mig.fit import Busy, fit
from ..mig.wanted import WantedInstance
from . import strict_file
from .model import FleetCard, Instance
from .products import ProductData, all_products
from .strict_file import FileKind, Wrong

MOST_CARDS = 1_000_000


def load(path: str | os.PathLike[str]) -> list[FleetCard]:
    """Read a fleet file. Raises StrictFileError: file, line, what is wrong, what was meant."""
    return _cards(strict_file.load(path, KIND), os.fspath(path))


def loads(text: str | bytes, source: str = "<fleet>") -> list[FleetCard]:
    """Read the text of a fleet file; `source` stands in messages for its path. Raises StrictFileError."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return _cards(strict_file.loads(data, source, KIND), source)


def schema_text() -> str:
    """The JSON Schema (draft 2020-12) that files are checked against."""
    return KIND.schema_text()


def _hint(key: str, value: Any) -> str:
    text = str(value)
    if key == "version":
        return "Write version: v1."
    if key == "gpus" and text in all_products():
        return f"Write 1x{text}."
    if key == "instances" and isinstance(value, dict):
        return "Write a list such as [3g.40gb, 3g.40gb]."
    return ""


KIND = FileKind("fleet file", "Begin with version: v1 and nodes.", "fleet.schema.json", _hint)


def _cards(root: Node, source: str) -> list[FleetCard]:
    wrong = Wrong(source)
    found: list[FleetCard] = []
    lines: dict[str, int] = {}
    for node in root.items()["nodes"].node.elements():
        name = node.items()["name"].node
        of_one = _of_node(node, wrong)
        hosts = _hosts(name, wrong)
        if len(found) + len(hosts) * len(of_one) > MOST_CARDS:
            wrong.add(name, f"more than {MOST_CARDS} cards")
            break
        twice = next((host for host in hosts if host in lines), None)
        if twice is not None:
            wrong.add(name, f"a second node {shown(twice)}", f"The first stands on line {lines[twice]}.")
            continue
        for host in hosts:
            lines[host] = name.line
            found += [replace(card, host=host, index=index) for index, card in enumerate(of_one)]
    wrong.end()
    return found


def _hosts(name: Node, wrong: Wrong) -> list[str]:
    """The names that `gpu[01:20]` stands for, as in an Ansible inventory."""
    text = name.text
    if "[" not in text and "]" not in text:
        return [text]
    from ansible.errors import AnsibleError
    from ansible.plugins.inventory import expand_hostname_range

    if (size := _range_size(text)) is not None and size > MOST_CARDS:
        wrong.add(name, f"the range {shown(text)} has more than {MOST_CARDS} nodes")
        return []
    try:
        found = [str(host) for host in expand_hostname_range(text)]
    except (AnsibleError, ValueError) as error:
        wrong.add(name, f"the range {shown(text)} cannot be read: {error}", "Write it as Ansible does: gpu[01:20].")
        return []
    if not found or any("[" in host or "]" in host for host in found):
        wrong.add(name, f"{shown(text)} is no range of nodes", "Write it as Ansible does: gpu[01:20].")
        return []
    return found


def _range_size(text: str) -> int | None:
    """An upper bound of the nodes that ranges of numbers stand for, before they are spelled out."""
    size = 1
    for first, last in re.findall(r"\[(\d+):(\d+)", text):
        if len(first) > 9 or len(last) > 9:
            return MOST_CARDS + 1
        size *= max(1, int(last) - int(first) + 1)
    return size


def _of_node(node: Node, wrong: Wrong) -> list[FleetCard]:
    """The cards of one node, without its name and their indices."""
    items = node.items()
    price = _price(items)
    gpus = items["gpus"].node
    if isinstance(gpus.value, list):
        return [card for each in gpus.elements() for card in _several(each, price, wrong)]
    count, _, name = gpus.text.partition("x")
    return [FleetCard("", 0, name, price=price)] * int(count) if _product(name, gpus, wrong) else []


def _several(node: Node, price: float | None, wrong: Wrong) -> list[FleetCard]:
    items = node.items()
    data = _product(items["product"].node.text, items["product"].node, wrong)
    if data is None:
        return []
    written = items["instances"].node if "instances" in items else None
    instances = () if written is None else _instances(data, written, wrong)
    mig = items["mig"].node.value is True if "mig" in items else bool(instances)
    if instances and not mig:
        wrong.add(node, "instances stand on a card with mig: false", "Write mig: true, or drop instances.")
    count = items["count"].node.value if "count" in items else 1
    own = _price(items)
    card = FleetCard("", 0, data.key, mig, instances, price=price if own is None else own)
    return [card] * int(str(count))


def _product(name: str, node: Node, wrong: Wrong) -> ProductData | None:
    found = all_products().get(name)
    if found is None:
        wrong.add(node, f"there is no product {shown(name)}", strict_file.product_hint(name))
    return found


def _instances(data: ProductData, node: Node, wrong: Wrong) -> tuple[Instance, ...]:
    """The instances with their starts; those without one go where the node would put them."""
    wanted = []
    for each in node.elements():
        items = each.items()
        profile = items["profile"].node if items else each
        offer = data.find(profile.text)
        if offer is None or offer is data.whole:
            message = f"{data.key} has no profile {shown(profile.text)}"
            wrong.add(profile, message, nearest(profile.text, list(data.offers)))
            return ()
        start = items["start"].node.value if "start" in items else None
        wanted.append(WantedInstance(offer.name, start if isinstance(start, int) else None, None))
    try:
        placed = fit(data.card, (), Busy(frozenset(), frozenset()), wanted).placed
    except MigError as error:
        wrong.add(node, f"these instances cannot be on one {data.key}: {error.message}", error.next)
        return ()
    return tuple(Instance(each.profile.name, each.start) for each in placed)


def _price(items: dict[str, Item]) -> float | None:
    return float(items["price"].node.text) if "price" in items else None
