"""The configurations that the GPU Operator ships, on every simulated product.

Each either applies and verifies, and a second apply writes nothing; or it is refused before the first write, naming
the profile that the card does not have (or the card, where no entry is for it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migprov.layouts import Layout, LayoutFile, loads, possible
from migprov.mig import geometry
from migprov.mig.errors import MigError
from migprov.mig.geometry import Product
from migprov.mig.plan import plan, predict
from migprov.mig.select import wanted_gpus
from migprov.mig.state import Gpu, State
from migprov.mig.wanted import Entry
from migprov.sim.driver import SimNode, product_names

from .gpu_operator_names import layout_file
from .node_program import NodeProgram, node_program

PRODUCTS = {product.key: product for product in geometry.products()}
SIMULATED = [key for key in PRODUCTS if key in product_names()]


@pytest.fixture(scope="module")
def configurations() -> LayoutFile:
    return loads(layout_file(), "gpu-operator.yml")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProgram]:
    node = SimNode.create(tmp_path_factory.mktemp("configurations") / "node", "1xA100-80GB")
    with node_program(node) as started:
        yield started


def names_of(product: Product) -> dict[str, int]:
    """Each name that a profile of the product has, with its profile id."""
    return {name: profile.profile_id for profile in product.card.profiles for name in (profile.name, *profile.aliases)}


def entry_for(layout: Layout, product: Product) -> Entry | None:
    """The entry that is for this product, by device filter alone."""
    own = {f"{device}10DE".upper() for device in product.device_ids}
    meant = [
        entry for entry in layout.entries if not entry.device_filter or own & {f.upper() for f in entry.device_filter}
    ]
    assert len(meant) < 2
    return meant[0] if meant else None


def instances(reply: dict[str, Any]) -> list[Counter[int]]:
    return [Counter(gi["profile_id"] for gi in gpu["instances"]) for gpu in reply["after"]["gpus"]]


def check_applies(program: NodeProgram, node: SimNode, layout: Layout, product: Product, entry: Entry) -> None:
    reply = program.ask(node, "layout", entries=layout.to_json())
    assert reply["error"] is None, layout.name
    wanted = Counter(names_of(product)[instance.profile] for instance in entry.instances)
    assert all(found == wanted for found in instances(reply)), layout.name
    assert all(gpu["mig_current"] is entry.mig_enabled for gpu in reply["after"]["gpus"]), layout.name
    assert program.ask(node, "verify", entries=layout.to_json())["error"] is None, layout.name
    writes = node.write_count()
    again = program.ask(node, "layout", entries=layout.to_json())
    assert (again["error"], again["changed"], again["steps"]) == (None, False, []), layout.name
    assert node.write_count() == writes, layout.name


def check_refused(program: NodeProgram, node: SimNode, layout: Layout, naming: list[str]) -> None:
    writes = node.write_count()
    reply = program.ask(node, "layout", entries=layout.to_json())
    assert reply["error"] is not None, layout.name
    assert any(name in reply["error"]["message"] for name in naming), (layout.name, reply["error"])
    assert (reply["changed"], reply["steps"]) == (False, []), layout.name
    assert node.write_count() == writes, layout.name


def check_all(program: NodeProgram, node: SimNode, file: LayoutFile, product: Product) -> Counter[str]:
    """Every configuration, each from the state that the one before has left; how many did what."""
    done: Counter[str] = Counter()
    for name in file.names:
        layout = file.layout(name)
        entry = entry_for(layout, product)
        unknown = [gi.profile for gi in entry.instances if gi.profile not in names_of(product)] if entry else []
        assert possible(layout, product).possible is (entry is not None and not unknown), name
        if entry is None:
            check_refused(program, node, layout, list(product.names))
            done["not for this card"] += 1
        elif unknown:
            check_refused(program, node, layout, unknown)
            done["refused"] += 1
        else:
            check_applies(program, node, layout, product, entry)
            done["applied"] += 1
    return done


def test_there_are_81_configurations(configurations: LayoutFile) -> None:
    assert len(configurations.names) == 81
    assert {"all-disabled", "all-enabled", "all-balanced", "all-1g.10gb.me", "all-1g.24gb-me"} < set(
        configurations.names
    )


@pytest.mark.parametrize("key", SIMULATED)
def test_every_configuration_on_a_product(
    key: str, configurations: LayoutFile, program: NodeProgram, tmp_path: Path
) -> None:
    gpus = 2 if key in ("A30-24GB", "A100-80GB", "RTX-PRO-6000-BLACKWELL-96GB") else 1
    node = SimNode.create(tmp_path / "node", f"{gpus}x{key}")
    done = check_all(program, node, configurations, PRODUCTS[key])
    # all-disabled, all-enabled, all-balanced and one for each profile at least
    assert done["applied"] >= 3 + len(PRODUCTS[key].card.profiles), done


@pytest.mark.parametrize("key", [key for key in PRODUCTS if key not in SIMULATED])
def test_every_configuration_is_planned_for_a_product_that_cannot_be_simulated(
    key: str, configurations: LayoutFile
) -> None:
    """Some rows of the table have gaps that the simulated driver would have to invent; plans need none of these."""
    product = PRODUCTS[key]
    device_id = f"{product.device_ids[0]}10DE"
    gpu = Gpu(0, uuid="GPU-0", name=product.names[0], device_id=device_id, product=key, mig_capable=True)
    state = State("999.99", (gpu,), {0: product.card})
    planned = 0
    for name in configurations.names:
        layout = configurations.layout(name)
        entry = entry_for(layout, product)
        unknown = [gi.profile for gi in entry.instances if gi.profile not in names_of(product)] if entry else []
        if entry is None or unknown:
            with pytest.raises(MigError) as refused:
                plan(state, wanted_gpus(state.gpus, layout.entries))
            assert any(text in refused.value.message for text in unknown or product.names), name
            continue
        wanted = wanted_gpus(state.gpus, layout.entries)
        reached = predict(state, plan(state, wanted))
        assert len(reached.gpus[0].instances) == len(entry.instances), name
        assert plan(reached, wanted) == [], name
        planned += 1
    assert planned >= 3 + len(product.card.profiles)


def test_two_products_in_one_node(configurations: LayoutFile, program: NodeProgram, tmp_path: Path) -> None:
    """A profile that one card lacks is refused for the whole node, before the other card is touched."""
    node = SimNode.create(tmp_path / "node", "1xA100-40GB,1xA100-80GB")
    both = configurations.layout("all-1g.10gb")
    reply = program.ask(node, "layout", entries=both.to_json())
    assert reply["error"] is None
    assert [sum(found.values()) for found in instances(reply)] == [4, 7]
    check_refused(program, node, configurations.layout("all-1g.5gb"), ["1g.5gb"])
    check_refused(program, node, configurations.layout("all-3g.40gb"), ["3g.40gb"])
    balanced = program.ask(node, "layout", entries=configurations.layout("all-balanced").to_json())
    assert [sum(found.values()) for found in instances(balanced)] == [4, 4]


def test_a_card_without_mig_is_skipped(configurations: LayoutFile, program: NodeProgram, tmp_path: Path) -> None:
    node = SimNode.create(tmp_path / "node", "1xA30-24GB,1xT4")
    reply = program.ask(node, "layout", entries=configurations.layout("all-1g.6gb").to_json())
    assert reply["error"] is None
    assert [sum(found.values()) for found in instances(reply)] == [4, 0]
