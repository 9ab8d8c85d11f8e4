"""docs/concepts.md: its tables are those of the product table."""

from __future__ import annotations

import re

from migprov.capacity.products import product
from migprov.mig.geometry import Product, products

from . import pages

PAGE = "docs/concepts.md"


def rows() -> list[list[str]]:
    lines = [line for line in (pages.ROOT / PAGE).read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def of(key: str) -> list[str]:
    found = [row for row in rows() if row[0] == key]
    assert len(found) == 1, key
    return found[0][1:]


def driver(card: Product) -> str:
    return card.min_driver or "not known"


def test_the_profiles_of_an_a100() -> None:
    data = product("A100-80GB")
    for profile in data.card.profiles:
        fastest = round(data.offer(profile.name).bandwidth_gbs or 0)
        starts = "0 to 6" if profile.starts == tuple(range(7)) else ", ".join(map(str, profile.starts))
        counted = [profile.profile_id, profile.size, profile.slices, profile.sm_count, profile.memory_mib, fastest]
        assert of(profile.name) == [*map(str, counted), starts, str(profile.max_instances)]


def test_ids_names_and_drivers_of_every_product() -> None:
    head = next(row for row in rows() if row[0] == "product" and row[1] == "19")
    ids = list(map(int, head[1:-1]))
    for each in products():
        told = of(each.key)
        assert told[-1] == driver(each), each.key
        named = {profile.name: profile.profile_id for profile in each.card.profiles}
        if each.card.compute_slices == 7:
            assert [named[name] for name in told[:-1]] == ids, each.key
        else:
            assert {
                name: int(i) for name, i in re.findall(r"(\dg\.\w+(?:\+me)?) \((\d+)\)", told[0])
            }.items() <= named.items()


def test_what_strands_and_what_does_not() -> None:
    card = product("A100-80GB").card

    def used(*names: str) -> tuple[int, int]:
        found = [card.find(name) for name in names]
        return sum(profile.size for profile in found), sum(profile.slices for profile in found)

    assert used("3g.40gb", "3g.40gb") == (8, 6)
    assert used("4g.40gb", "3g.40gb") == (8, 7)
    assert used(*["1g.20gb"] * 4) == (8, 4)
    assert used(*["1g.10gb"] * 7) == (7, 7)
    h100 = product("H100-80GB-SXM").card
    assert [h100.find(name).sm_count for name in ("1g.10gb", "1g.20gb", "3g.40gb", "7g.80gb")] == [16, 26, 60, 132]
