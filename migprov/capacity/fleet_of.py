"""Nodes as they answered `info` -> the cards that the planner may use, and what it must leave alone."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import BadRequest
from ..mig.drain import AGENTS
from ..mig.names import parse
from ..result import Result
from .model import FleetCard, Instance, Place, Workload
from .prices import Prices
from .products import all_products
from .strict_file import product_hint
from .verdict import IDLE_MEMORY_MIB

Spot = tuple[str, int]
"""A card: host and index."""


@dataclass(frozen=True)
class Kept:
    """A replica that stays where it is, because its card cannot be planned with; `why` says so."""

    workload: str
    place: Place
    why: str


@dataclass(frozen=True)
class Fleet:
    """What the planner gets: cards, and workloads without the replicas that are `kept`. `notes` is for people."""

    cards: tuple[FleetCard, ...]
    workloads: tuple[Workload, ...]
    kept: tuple[Kept, ...] = ()
    notes: tuple[str, ...] = ()


def fleet(results: Sequence[Result], workloads: Sequence[Workload], prices: Prices | None = None) -> Fleet:
    """The cards of nodes that were asked for `info` with processes.

    A card that does not answer, or on which something runs that is no agent and that no workload's `runs_on` covers, is
    held. One without MIG or of a product that the table does not have, and a node that did not answer, are left out.
    What runs on any of these stays there and is not planned.

    Raises:
        BadRequest: a workload runs on a node or GPU that is not there, or a price is no number.
    """
    # Names from an inventory are Ansible's kind of text, which is not for everybody.
    answers = {str(result.host): result for result in results}
    gpus = {(host, gpu["index"]): gpu for host, each in answers.items() for gpu in (each.after or {}).get("gpus", ())}
    silent = {host: _message(result) for host, result in answers.items() if not result.after}
    claims = _claims(workloads, gpus, silent, list(answers))
    claimed: dict[Spot, set[int | None]] = defaultdict(set)
    for place, spot in claims.items():
        if spot is not None:
            claimed[spot].add(place.start)
    cards: list[FleetCard] = []
    out = {}
    for (host, index), gpu in gpus.items():
        if (why := _useless(gpu)) is not None:
            out[host, index] = why
            continue
        price = None if prices is None else prices.of(host, gpu["product"])
        cards.append(replace(_card(host, gpu, claimed[host, index]), price=price))
    stuck: dict[Spot, str] = {**out, **{(card.host, card.index): card.held for card in cards if card.held}}
    kept = list(_kept(workloads, claims, stuck, silent))
    notes = [f"{host} is left out: {message}" for host, message in silent.items()]
    notes += [f"{host}/{index} is left out: {why}" for (host, index), why in out.items()]
    return Fleet(tuple(cards), _without(workloads, kept), tuple(kept), (*notes, *_limits(workloads, kept)))


def as_product(found: Fleet, product: str, prices: Prices) -> Fleet:
    """The same fleet if all its cards were of another product, uncut and with nothing running.

    `prices` without those of the inventory, which are for the cards that are there.

    Raises:
        BadRequest: there is no such product.
    """
    if product not in all_products():
        raise BadRequest(f"there is no product {product!r}", next=product_hint(product))
    cards = tuple(
        replace(card, product=product, mig=False, instances=(), price=prices.of(card.host, product))
        for card in found.cards
    )
    return replace(found, cards=cards, workloads=tuple(replace(each, runs_on=()) for each in found.workloads))


def in_use(cards: Iterable[FleetCard], workloads: Iterable[Workload]) -> frozenset[Spot]:
    """The cards on which a workload runs now."""
    by_place = {(card.host, key): (card.host, card.index) for card in cards for key in (card.index, card.uuid)}
    return frozenset(
        by_place[place.host, place.gpu]
        for workload in workloads
        for place in workload.runs_on
        if (place.host, place.gpu) in by_place
    )


# --- where workloads run ------------------------------------------------------------------------------------------


def _claims(
    workloads: Sequence[Workload],
    gpus: Mapping[Spot, Mapping[str, Any]],
    silent: Mapping[str, str],
    hosts: Sequence[str],
) -> dict[Place, Spot | None]:
    """The card of each place; None where its node did not answer."""
    of_uuid = {(host, gpu["uuid"]): index for (host, index), gpu in gpus.items() if gpu.get("uuid")}
    indices: dict[str, list[int]] = defaultdict(list)
    for host, number in gpus:
        indices[host].append(number)
    found: dict[Place, Spot | None] = {}
    known = set(hosts)
    for workload in workloads:
        for place in workload.runs_on:
            if place.host not in known:
                close = difflib.get_close_matches(place.host, hosts, n=1)
                raise BadRequest(
                    f"workload {workload.name!r} runs on {place.host}/{place.gpu}, and no node {place.host} was asked",
                    next=f"did you mean {close[0]}?" if close else "name the node with -i, or correct runs-on",
                )
            if place.host in silent:
                found[place] = None
                continue
            index = place.gpu if isinstance(place.gpu, int) else of_uuid.get((place.host, place.gpu))
            if index is None or (place.host, index) not in gpus:
                there = ", ".join(map(str, sorted(indices[place.host]))) or "none"
                raise BadRequest(
                    f"workload {workload.name!r} runs on {place.host}/{place.gpu}, which is not there",
                    next=f"the GPUs of {place.host} are: {there}",
                )
            found[place] = (place.host, index)
    return found


def _kept(
    workloads: Sequence[Workload],
    claims: Mapping[Place, Spot | None],
    stuck: Mapping[Spot, str],
    silent: Mapping[str, str],
) -> Iterator[Kept]:
    for workload in workloads:
        for place in workload.runs_on:
            spot = claims[place]
            if spot is None:
                yield Kept(workload.name, place, f"{place.host} did not answer: {silent[place.host]}")
            elif spot in stuck:
                yield Kept(workload.name, place, stuck[spot])


def _without(workloads: Sequence[Workload], kept: Sequence[Kept]) -> tuple[Workload, ...]:
    gone = {(each.workload, each.place) for each in kept}
    found = []
    for each in workloads:
        left = tuple(place for place in each.runs_on if (each.name, place) not in gone)
        found.append(replace(each, replicas=each.replicas - len(each.runs_on) + len(left), runs_on=left))
    return tuple(found)


def _limits(workloads: Sequence[Workload], kept: Sequence[Kept]) -> Iterator[str]:
    names = {each.workload for each in kept}
    for each in workloads:
        if each.most_per_node is not None and each.name in names:
            yield f"{each.name}: the replicas that stay where they are do not count towards most-per-node"


# --- cards --------------------------------------------------------------------------------------------------------


def _useless(gpu: Mapping[str, Any]) -> str | None:
    """Why a GPU cannot even be named in a plan."""
    name = gpu.get("name") or "an unknown GPU"
    if gpu.get("product") in all_products():
        return None
    if gpu.get("error"):
        return f"{name} does not answer: {gpu['error'].get('message', '')}"
    if not gpu.get("mig_capable"):
        return f"{name} has no MIG"
    return f"the product table does not have {name}"


def _card(host: str, gpu: Mapping[str, Any], claimed: set[int | None]) -> FleetCard:
    mig = bool(gpu.get("mig_current"))
    there = gpu.get("instances", ()) if mig else ()
    instances = tuple(Instance(_called(gpu["product"], each["profile"]), each["start"]) for each in there)
    return FleetCard(
        host,
        gpu["index"],
        gpu["product"],
        mig,
        tuple(sorted(instances, key=lambda each: each.start)),
        gpu.get("uuid") or "",
        held=_held(gpu, claimed, {each.start for each in instances}),
    )


def _called(product: str, profile: str) -> str:
    """The table's name of a profile; drivers may give it another."""
    offer = all_products()[product].find(profile)
    return profile if offer is None else offer.name


def _held(gpu: Mapping[str, Any], claimed: set[int | None], starts: set[int]) -> str | None:
    if gpu.get("error"):
        return f"it does not answer: {gpu['error'].get('message', '')}"
    if not gpu.get("mig_capable"):
        return "its driver says that it has no MIG here"
    if gpu.get("mig_current") and (odd := next(_odd(gpu), None)) is not None:
        return odd
    unknown = list(_unclaimed(gpu, claimed, starts))
    if not unknown:
        return None if claimed else _hidden(gpu)
    names = ", ".join(_process(process) for process in unknown[:3])
    more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    return f"{names}{more} {'is' if len(unknown) == 1 else 'are'} not in the workloads file"


def _hidden(gpu: Mapping[str, Any]) -> str | None:
    """Work that is out of sight, as in a container beside the driver's: its memory shows. Agents' own is no work."""
    if gpu.get("mig_current"):
        return None  # there each instance takes some by itself
    agents = sum(process.get("memory_mib") or 0 for process in gpu.get("processes", ()))
    used = (gpu.get("memory_used_mib") or 0) - agents
    return f"{used} MiB of it are in use by nobody that was seen" if used > IDLE_MEMORY_MIB else None


def _odd(gpu: Mapping[str, Any]) -> Iterator[str]:
    """Instances that a layout of profiles and counts could not leave as they are, or that nobody can use."""
    for each in gpu.get("instances", ()):
        name = f"its {each['profile']} at {each['start']}"
        if all_products()[gpu["product"]].find(each["profile"]) is None:
            yield f"{name} is not in the product table"
        parts = [one["profile"] for one in each["compute_instances"]]
        if not parts:
            yield f"{name} has no compute instance, so nothing can run there"
        elif len(parts) > 1 or not parse(parts[0]).spans_gpu_instance:
            yield f"{name} is divided into compute instances ({', '.join(parts)}), which the planner does not plan"


def _unclaimed(gpu: Mapping[str, Any], claimed: set[int | None], starts: set[int]) -> Iterator[Mapping[str, Any]]:
    """Processes that are no agents and run where no workload does; each once.

    Without the right to see it, the instance of a process is not known: then all of them must be taken.
    """
    start_of = {each.get("gi_id"): each["start"] for each in gpu.get("instances", ())}
    known = {
        process["pid"] for process in gpu.get("processes", ()) if start_of.get(process.get("gi_id"), -1) in claimed
    }
    seen: set[int] = set()
    for process in gpu.get("processes", ()):
        if process.get("unit") in AGENTS or process["pid"] in known | seen:
            continue
        if None in claimed and not gpu.get("mig_current"):
            continue
        if process.get("gi_id") is None and starts and starts <= claimed:
            continue
        seen.add(process["pid"])
        yield process


def _process(process: Mapping[str, Any]) -> str:
    unit = process.get("unit")
    user = f", user {process['user']}" if process.get("user") else ""
    return f"process {process['pid']} ({process.get('command') or 'unknown'}{user}{f', {unit}' if unit else ''})"


def _message(result: Result) -> str:
    error = result.error or {}
    return str(error.get("message") or "no state was read").removeprefix(f"{result.host}: ").rstrip(".")
