"""Fleets on paper: what is read, what is refused and in which words."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from migprov.capacity import fleet_file
from migprov.capacity.model import FleetCard, Instance
from migprov.capacity.strict_file import StrictFileError


def test_nodes_in_ranges_as_ansible_writes_them() -> None:
    cards = fleet_file.loads('nodes: [{name: "gpu[01:20]", gpus: 8xH200-141GB, price: 3.5}]')
    assert len(cards) == 160
    assert cards[0] == FleetCard("gpu01", 0, "H200-141GB", price=3.5)
    assert cards[-1] == FleetCard("gpu20", 7, "H200-141GB", price=3.5)


def test_cards_of_several_kinds_with_instances() -> None:
    text = """
    nodes:
      - name: a
        price: 2
        gpus:
          - {product: A100-80GB, count: 2}
          - {product: A100-80GB, instances: [3g.40gb, {profile: 1g.10gb, start: 0}], price: 1.25}
          - {product: A30-24GB, mig: true}
    """
    assert fleet_file.loads(text) == [
        FleetCard("a", 0, "A100-80GB", price=2.0),
        FleetCard("a", 1, "A100-80GB", price=2.0),
        FleetCard("a", 2, "A100-80GB", True, (Instance("1g.10gb", 0), Instance("3g.40gb", 4)), price=1.25),
        FleetCard("a", 3, "A30-24GB", True, price=2.0),
    ]


BAD = {
    "gpus: 8xH200": "there is no product 'H200'. Did you mean H200-141GB?",
    "gpus: H200-141GB": "Write 1xH200-141GB.",
    "gpus: 0xA100-80GB": "gpus of node 'n' must be cards such as 8xH200-141GB",
    "gpus: []": "at least one",
    "gpus: [{product: A100-80GB, count: 0}]": "a whole number of cards",
    "gpus: [{prodct: A100-80GB}]": "unknown key 'prodct' in element 1 of gpus of node 'n'. Did you mean product?",
    "gpus: [{product: A100-80GB, instances: [3g.40g]}]": "A100-80GB has no profile '3g.40g'. Did you mean 3g.40gb?",
    "gpus: [{product: A100-80GB, instances: [4g.40gb, 4g.40gb]}]": "these instances cannot be on one A100-80GB",
    "gpus: [{product: A100-80GB, instances: {3g.40gb: 2}}]": "Write a list such as [3g.40gb, 3g.40gb].",
    "gpus: [{product: A100-80GB, mig: false, instances: [3g.40gb]}]": "instances stand on a card with mig: false",
    "gpus: 1xA100-80GB\n    price: cheap": "the price of one card for one hour",
    "gpus: 1xA100-80GB\n    price: -1": "the price of one card for one hour",
}


@pytest.mark.parametrize("rest", BAD)
def test_what_is_wrong_is_told_with_file_line_and_what_was_meant(rest: str) -> None:
    with pytest.raises(StrictFileError) as error:
        fleet_file.loads(f"nodes:\n  - name: n\n    {rest}\n", "f.yml")
    assert BAD[rest] in str(error.value)
    assert str(error.value).startswith(("f.yml:3: ", "f.yml:4: "))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ('"n[1:2"', "cannot be read"),
        ('"n[5:1]"', "is no range of nodes"),
        ('"n[1:2:0]"', "cannot be read"),
        ('"n[1]"', "Write it as Ansible does: gpu[01:20]."),
        ('"n[1:99999999]"', "more than 1000000"),
        ('"n[1:99999][1:99999]"', "more than 1000000"),
        ("7", "the name of a node"),
    ],
)
def test_ranges_that_are_none(name: str, words: str) -> None:
    with pytest.raises(StrictFileError) as error:
        fleet_file.loads(f"nodes: [{{name: {name}, gpus: 1xA100-80GB}}]")
    assert words in str(error.value)


def test_a_node_stands_once() -> None:
    text = 'nodes:\n- {name: "n[1:3]", gpus: 1xA100-80GB}\n- {name: n2, gpus: 1xA100-80GB}\n'
    with pytest.raises(StrictFileError, match=r"f.yml:3: a second node 'n2'. The first stands on line 2."):
        fleet_file.loads(text, "f.yml")


def test_the_published_schema_is_a_schema_and_takes_numbers_as_other_readers_see_them() -> None:
    schema = json.loads(fleet_file.schema_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate({"nodes": [{"name": "a", "gpus": "8xH200-141GB", "price": 3.5}]})
