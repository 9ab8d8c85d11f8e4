"""The traps: scenarios in which the best tool of today was measured to fail, each with the ideal operation counts.

The figures of mig-parted 0.15.0 were measured on eight A100-40GB with 56 instances, on a simulated driver.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from migprov import layouts

from .program import server
from .trap_bench import FAMILIES, Bench, Counts, Family, Json, Node, entry

CARDS = 8


class Row(NamedTuple):
    """One trap on one node. `wrong` says what is not ideal, or nothing."""

    trap: str
    node: str
    peer: str
    ideal: Counts
    measured: Counts
    ending: str
    wrong: str = ""


class Trap(NamedTuple):
    """A scenario: `set_` does it and returns the row's ending and what is wrong. `families`: which have it."""

    name: str
    peer: str
    spring: Callable[[Bench, Family], tuple[Node, Counts, str, str]]
    applies: Callable[[Family], bool] = lambda _: True


def all_rows(bench: Bench) -> Iterator[Row]:
    """Every trap on every family."""
    for trap in TRAPS:
        for family in FAMILIES:
            if trap.applies(family):
                yield run(bench, trap, family)


def run(bench: Bench, trap: Trap, family: Family) -> Row:
    """One trap on one family."""
    node, ideal, ending, wrong = trap.spring(bench, family)
    measured = node.counts()
    if not wrong and measured != ideal:
        wrong = "the counts are not ideal"
    gpus = node.sim.show()["gpus"]
    kinds = dict.fromkeys(gpu["product"] for gpu in gpus)
    shown = " + ".join(f"{sum(gpu['product'] == kind for gpu in gpus)} x {kind}" for kind in kinds)
    return Row(trap.name, shown, trap.peer, ideal, measured, ending, wrong)


def _ended(reply: Json, code: str | None) -> tuple[str, str]:
    """How it ended, and what is wrong with that."""
    error = reply["error"]
    got = error["code"] if error else None
    wrong = "" if got == code else f"ended as {got or 'done'}, ideal is {code or 'done'}"
    return (f"refused: {got}" if got else "done"), wrong


def _full(bench: Bench, family: Family) -> Node:
    return bench.cut(f"{CARDS}x{family.product}", family.small, family.slots)


def _unknown(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    return node, Counts(), *_ended(node.layout(family.wrong), "unknown_profile")


def _one_unknown(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    return node, Counts(), *_ended(node.layout(family.small, family.small, family.wrong), "unknown_profile")


def _off_one(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    reply = node.ask("layout", entries=[entry(gpus=[0], enabled=False)])
    return node, Counts(family.slots, 0, 1, 0), *_ended(reply, None)


def _one_pending(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    node.ask("layout", entries=[entry(gpus=[3], enabled=False)])
    pid = node.sim.hold(3, 0, kind="monitor")
    hidden = {"MIGPROV_DEV": "/nonexistent"}  # as where the holder cannot be seen: so the mode stays pending
    saved, node._env = node._env, {**node._env, **hidden}
    pending = node.ask("mig_mode", enabled=True)
    node._env = saved
    node.sim.release(pid)
    node.sim.reset_counters()
    reply = node.ask("mig_mode", enabled=True)
    ending, wrong = _ended(reply, None)
    return node, Counts(0, 0, 0, 1), ending, wrong or ("" if pending["error"] else "the pending mode was not told")


def _one_card_only(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    reply = node.layout(*[family.small] * family.slots, gpus=[0])
    verified = node.holds(*[family.small] * family.slots, gpus=[0])
    ending, wrong = _ended(reply, None)
    return node, Counts(), ending, wrong or ("" if verified else "verify fails") or _changed(reply)


def _zero_count(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    return _from_file(node, f"{{{family.small}: {family.slots}, {family.half}: 0}}")


def _named_compute(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = bench.cut(f"{CARDS}x{family.product}", family.whole, 1)
    return _from_file(node, f"{{{family.whole.split('g')[0]}c.{family.whole}: 1}}")


def _from_file(node: Node, devices: str) -> tuple[Node, Counts, str, str]:
    text = (
        f"version: v1\nmig-configs:\n  it:\n    - devices: all\n      mig-enabled: true\n      mig-devices: {devices}\n"
    )
    reply = node.ask("layout", entries=layouts.loads(text).layout("it").to_json())
    ending, wrong = _ended(reply, None)
    return node, Counts(), ending, wrong or _changed(reply)


def _changed(reply: Json) -> str:
    return "it says that something changed" if reply["changed"] else ""


def _beside_t4(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = bench.cut(f"2x{family.product},1xT4", family.small, family.slots)
    reply = node.layout(*[family.small] * family.slots)
    ending, wrong = _ended(reply, None)
    return node, Counts(), ending, wrong or _changed(reply)


def _beside_t4_at_work(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = bench.cut(f"2x{family.product},1xT4", family.small, family.slots)
    node.hold(0, 0)
    reply = node.layout(*[family.small] * family.slots)
    ending, wrong = _ended(reply, None)
    return node, Counts(), ending, wrong or _changed(reply)


def _busy_kept(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    pid = node.hold(3, 0)
    reply = node.layout(*family.mix)
    gone, made = family.slots - family.kept_in_mix, len(family.mix) - family.kept_in_mix
    ending, wrong = _ended(reply, None)
    alive = pid in node.sim.holders() and node.sim.show()["gpus"][3]["instances"]
    ideal = Counts(CARDS * gone, CARDS * made, 0, 0)
    return node, ideal, ending, wrong or ("" if alive else "the work is gone") or _wanted(node, family.mix)


def _busy_refused(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    pid = node.hold(3, 0)
    reply = node.layout(family.whole)
    ending, wrong = _ended(reply, "gpu_busy")
    named = reply["error"] and [holder["pid"] for holder in reply["error"]["holders"]] == [pid]
    others = [index for index in range(CARDS) if index != 3]
    wrong = wrong or ("" if named else "the holder is not named") or _wanted(node, (family.whole,), others)
    return node, Counts((CARDS - 1) * family.slots, CARDS - 1, 0, 0), ending, wrong


def _impossible(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    return node, Counts(), *_ended(node.layout(*family.impossible), "layout_impossible")


def _client(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = bench.plain(f"{CARDS}x{family.product}")
    pid = node.sim.hold(2, 0, kind="monitor", command="nv-hostengine -n")
    reply = node.ask("mig_mode", enabled=True)
    ending, wrong = _ended(reply, "gpu_busy" if family.ampere else None)
    if family.ampere and not wrong and f"process {pid} (nv-hostengine" not in reply["error"]["message"]:
        wrong = "the holder is not named"
    return node, Counts(0, 0, CARDS - 1 if family.ampere else CARDS, 0), ending, wrong


def _two_at_once(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    replies: dict[str, Json] = {}

    def apply(profile: str, number: int) -> None:
        with server(node._env) as own:
            replies[profile] = node.layout(*[profile] * number, runner=own, wait_s=60)

    threads = [threading.Thread(target=apply, args=ask) for ask in ((family.half, 2), (family.whole, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    errors = [reply["error"]["code"] for reply in replies.values() if reply["error"]]
    whole, halves = node.holds(family.whole), node.holds(family.half, family.half)
    wrong = "" if not errors and whole != halves else f"errors {errors}, whole {whole}, halves {halves}"
    # one goes first: seven, two, one; or seven, one, two
    ideal = Counts(CARDS * (family.slots + (2 if whole else 1)), CARDS * 3, 0, 0)
    return node, ideal, "the second waits", wrong


def _same_at_work(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    node.hold(5, 0)
    reply = node.layout(*[family.small] * family.slots)
    ending, wrong = _ended(reply, None)
    return node, Counts(), ending, wrong or _changed(reply)


def _reboot(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    node.layout(*family.mix)
    before = _places(node)
    pinned = [entry(*({"profile": name, "start": at} for name, at in card), gpus=[i]) for i, card in enumerate(before)]
    node.sim.reboot()
    node.sim.reset_counters()
    ending, wrong = _ended(node.ask("layout", entries=pinned), None)
    same = "" if _places(node) == before else "the placements are others"
    modes = 0 if family.ampere else CARDS
    return node, Counts(0, CARDS * len(family.mix), modes, 0), ending, wrong or same


def _one_more(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = bench.cut(f"{CARDS}x{family.product}", family.half, 1)
    start = node.sim.show()["gpus"][0]["instances"][0]["start"]
    for gpu in range(CARDS):
        node.hold(gpu, start)
    reply = node.layout(family.half, family.half)
    return node, Counts(0, CARDS, 0, 0), *_ended(reply, None)


def _killed(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    node.sim.fault(None, "nvmlDeviceCreateGpuInstanceWithPlacement", skip=3, times=1, kill=True, late=True)
    request = {"protocol": 1, "task": "layout", "params": {"entries": [entry(*family.mix)]}}
    died = node._runner.run(request, node._env)
    node.sim.clear_faults()
    ending, wrong = _ended(node.layout(*family.mix), None)
    gone, made = family.slots - family.kept_in_mix, len(family.mix) - family.kept_in_mix
    wrong = wrong or ("" if died.reply is None else "it did not die") or _wanted(node, family.mix)
    return node, Counts(CARDS * gone, CARDS * made, 0, 0), ending, wrong


def _no_reset(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = bench.plain(f"{CARDS}x{family.product}")
    node.sim.fault(0, hypervisor=True)
    reply = node.layout(family.whole)
    ending, wrong = _ended(reply, "reset_refused")
    others = list(range(1, CARDS))
    return node, Counts(0, CARDS - 1, CARDS, 1), ending, wrong or _wanted(node, (family.whole,), others)


def _off_all(bench: Bench, family: Family) -> tuple[Node, Counts, str, str]:
    node = _full(bench, family)
    reply = node.ask("layout", entries=[entry(enabled=False)])
    return node, Counts(CARDS * family.slots, 0, CARDS, 0), *_ended(reply, None)


def _wanted(node: Node, instances: tuple[str, ...], gpus: list[int] | None = None) -> str:
    """Nothing, or that the driver's state is not the wanted one."""
    cards = node.sim.show()["gpus"]
    for card in cards if gpus is None else [cards[index] for index in gpus]:
        if sorted(gi["profile"] for gi in card["instances"]) != sorted(instances):
            return f"GPU {card['index']} is not as wanted"
    return ""


def _places(node: Node) -> list[list[tuple[str, int]]]:
    return [[(gi["profile"], gi["start"]) for gi in gpu["instances"]] for gpu in node.sim.show()["gpus"]]


def _is_ampere(family: Family) -> bool:
    return family.ampere


def _has_whole_compute(family: Family) -> bool:
    return not family.product.startswith("RTX")


TRAPS = (
    Trap("F1 an unknown profile", "56 destroyed, exit 0", _unknown),
    Trap("F1 an unknown profile among good ones", "56 destroyed, exit 0", _one_unknown),
    Trap("F2 MIG off on one card", "56 / 49 / 8 / -", _off_one),
    Trap("F3 pending on one card", "8 resets", _one_pending, _is_ampere),
    Trap("F4 a layout for one card only, again", "verify fails for ever", _one_card_only),
    Trap("F5 a count of zero, again", "56 / 56", _zero_count),
    Trap("F5 a compute instance that is all, again", "56 / 56", _named_compute, _has_whole_compute),
    Trap("F6 beside a card without MIG, again", "14 / 14", _beside_t4),
    Trap("F6 the same with work on a card", "5 destroyed, exit 1", _beside_t4_at_work),
    Trap("F7 work on an instance, the layout has room", "26 destroyed, one card broken", _busy_kept),
    Trap("F7 work on an instance, no room for it", "26 destroyed, one card broken", _busy_refused),
    Trap("F8 a layout that cannot be", "13,492 created and destroyed", _impossible),
    Trap("F9 a client on one card, mode of all", "7 resets, nobody named", _client),
    Trap("F11 two at once", "wrong state, exit 0", _two_at_once),
    Trap("F12 the same layout with work on it", "0 / 0", _same_at_work),
    Trap("F13 the layout again after a reboot", "the same places", _reboot),
    Trap("one more instance beside work", "in use (its issue 119)", _one_more),
    Trap("killed on the way, then again", "not measured", _killed),
    Trap("a hypervisor forbids the reset of one card", "not measured", _no_reset, _is_ampere),
    Trap("MIG off everywhere", "not measured", _off_all),
)
