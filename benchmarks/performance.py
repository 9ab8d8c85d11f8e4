"""Everything that docs/performance.md tells, measured in one run, ways side by side.

    python benchmarks/performance.py [--quick] [--leave-out thousand,planner,traps] [--output FILE]

The ways of one table run in turn, round after round; a ratio is taken within a round, and the median of the rounds
counts. The exit status is 0 also where a goal is missed: the page says so.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import noop, state
from benchmarks.measure import ROOT, Taken, commit, machine, side_by_side, tell, used
from benchmarks.phases import PHASES

FORKS = 32
GOAL_BARE, GOAL_STOCK, GOAL_NOOP_MS = 1.3, 10.0, 60.0
PAGE = ROOT / "docs" / "performance.md"
OTHER_PAGES = {
    "performance.md": "The same on larger machines: [16 cores](performance-16-cores.md), "
    "[32 cores](performance-32-cores.md).",
    "performance-16-cores.md": "[performance.md](performance.md) has the same on two cores.",
    "performance-32-cores.md": "[performance.md](performance.md) has the same on two cores.",
}
WITHIN = "the program's phases, from within"
PARTS = ("state", "thousand", "play", "noop", "planner", "traps")
TASKS = {
    "Ansible's `command`": "command: 'true'",
    "an ordinary module that reads through NVML": "nvml_state:",
    "`migprov.gpu.mig_info`": "migprov.gpu.mig_info:",
}


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    nodes: int
    rounds: int
    play_nodes: int
    noop_rounds: int
    cards: int
    cases: int


FULL = Size(nodes=64, rounds=5, play_nodes=16, noop_rounds=25, cards=20_000, cases=300)
QUICK_WITHOUT = ("thousand", "traps")
QUICK = Size(nodes=8, rounds=2, play_nodes=3, noop_rounds=7, cards=2_000, cases=30)


def state_of(number: int, rounds: int, *, modules: bool) -> str:
    """The table of the state of so many nodes."""
    with state.nodes(number, min(FORKS, number)) as made:
        ways = state.ways(made, ansible=True, modules=modules)
        taken = side_by_side(ways, rounds)
        words = ["info", "-i", made.fleet.inventory, "--forks", made.forks, "--json"]
        asked = used([sys.executable, "-m", "migprov.cli", *words])
        if asked.code:
            raise SystemExit(f"migprov info ended with {asked.code}")
    bare, stock = taken[state.BARE], taken[state.STOCK]
    rows = [
        (
            name,
            each.cell(),
            f"{1000 * each.median / number:.0f}",
            f"{each.beside(bare):.2f}",
            f"{stock.beside(each):.1f}",
        )
        for name, each in sorted(taken.items(), key=lambda item: item[1].median)
    ]
    heads = ("way", "seconds", "ms a node", "times bare paramiko", "times as fast as `command`")
    parts = [_table(heads, rows), f"The controller of `migprov info --json` had {asked.peak_mb:.0f} MB at most."]
    library, recorded, command = taken[state.LIBRARY], taken[state.RECORDED], taken[state.COMMAND]
    times, faster = library.beside(bare), stock.beside(library)
    parts += [
        _goal(f"migprov takes {times:.2f} times bare paramiko", times <= GOAL_BARE, f"at most {GOAL_BARE:g}"),
        _goal(
            f"It is {faster:.1f} times as fast as Ansible's `command`", faster >= GOAL_STOCK, f"at least {GOAL_STOCK:g}"
        )
        + f" Bare paramiko, the limit, is {stock.beside(bare):.1f} times as fast."
        " The command `migprov info`, which reads the inventory through Ansible first, is "
        f"{stock.beside(command):.1f} times as fast.",
    ]
    python = taken[state.PYTHON]
    parts.append(
        "The nodes are on the machine that measures and share its cores with what asks them, so all that runs on a "
        "node counts as if every node waited for the others. Starting Python there, alone, makes it "
        f"{python.beside(bare):.2f} times bare paramiko. Where the node answers from a file, which leaves SSH and what "
        f"migprov itself does, it is {recorded.beside(bare):.2f} times: nearer to a fleet whose nodes have processors "
        "of their own."
    )
    return "\n\n".join(parts)


def play(size: Size) -> str:
    """What a further task costs in a play that is under way."""
    with state.nodes(size.play_nodes, size.play_nodes) as made:
        ways: dict[str, Callable[[], float]] = {}
        for name, task in TASKS.items():
            ways[f"{name}, 1"] = lambda task=task: made.play([task])  # type: ignore[misc]
            ways[f"{name}, 3"] = lambda task=task: made.play([task] * 3)  # type: ignore[misc]
        taken = side_by_side(ways, size.rounds)
    rows = []
    for name in TASKS:
        pairs = zip(taken[f"{name}, 1"].seconds, taken[f"{name}, 3"].seconds, strict=True)
        more = Taken(tuple(max(three - one, 0.001) / 2 for one, three in pairs))
        rows.append((name, taken[f"{name}, 1"].cell(), more.cell(), f"{1000 * more.median / size.play_nodes:.0f}"))
    heads = ("task", "play of one, s", "each further task, s", "further task, ms a node")
    return f"{size.play_nodes} nodes, all at once, pipelining.\n\n" + _table(heads, rows)


def apply_again(size: Size) -> str:
    """The no-op apply, and what of it is spent where."""
    runs: list[dict[str, float]] = []
    with noop.one_node() as node:
        calls = node.calls(node.apply), node.calls(node.info)

        def within() -> float:
            runs.append(node.phases())
            return sum(runs[-1][name] for name in PHASES)

        taken = side_by_side({**node.ways(), WITHIN: within}, size.noop_rounds)
    ms = 0.001
    rows = [(name, each.cell(ms, 1)) for name, each in taken.items() if name != WITHIN]
    phases = {name: Taken(tuple(run[name] for run in runs)) for name in (*PHASES, "driver")}
    before = Taken(tuple(a - b for a, b in zip(taken[noop.NOOP].seconds, taken[WITHIN].seconds, strict=True)))
    spent = [
        (
            "shell, Python's start, the compiled program found, checked and loaded: the rest",
            f"{before.median / ms:.1f}",
        ),
        *((name, phases[name].cell(ms, 1)) for name in PHASES),
        ("of these inside the driver's library", phases["driver"].cell(ms, 1)),
    ]
    more = taken[noop.NOOP].median - taken[noop.PASS].median - phases["driver"].median
    return "\n\n".join(
        [
            f"{calls[0]} calls of NVML for the apply, {calls[1]} for `info`; eight A100-80GB, four instances on each.",
            _table(("process", "ms"), rows),
            _table(("part of the apply", "ms"), spent),
            _goal(
                f"Beyond `python3 -c pass` and the driver's own time the apply takes {more / ms:.0f} ms",
                more / ms <= GOAL_NOOP_MS,
                f"within {GOAL_NOOP_MS:g}",
            ),
        ]
    )


def other(script: str, *arguments: object) -> str:
    """What another benchmark prints."""
    words = [sys.executable, str(ROOT / "benchmarks" / script), *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())
    text = f"```text\n{lines}\n```"
    return text if done.returncode == 0 else f"{text}\n\n**`{script}` ended with {done.returncode}: a goal is missed.**"


def main() -> int:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few nodes and rounds, two minutes: nothing to publish")
    parser.add_argument("--leave-out", default="", metavar="PARTS", help=f"of {', '.join(PARTS)}; separated by commas")
    parser.add_argument("--output", type=Path, help=f"default: {PAGE.relative_to(ROOT)}; quick: standard output")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # simulated nodes go down first
    size = QUICK if given.quick else FULL
    without = {*given.leave_out.split(","), *(QUICK_WITHOUT if given.quick else ())} - {""}
    if without - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(without - set(PARTS)))}")
    target = given.output or (None if given.quick else PAGE)
    page = _page(size, without, OTHER_PAGES.get(target.name, "") if target else "")
    if target is None:
        print(page, end="")
    else:
        target.write_text(page)
        tell(f"written: {target}")
    return 0


def _page(size: Size, without: set[str], also: str) -> str:
    measured = commit()
    here = machine()
    made = {
        "state": (
            f"State of {size.nodes} nodes",
            lambda: state_of(size.nodes, size.rounds, modules=True),
        ),
        "thousand": ("State of 1,000 nodes", lambda: state_of(1000, 1, modules=False)),
        "play": ("One more task in a play", lambda: play(size)),
        "noop": ("A layout that is there already", lambda: apply_again(size)),
        "planner": (
            "The planner",
            lambda: other("planner.py", "--cases", size.cases, "--cards", size.cards, "--replicas", size.cards * 5),
        ),
        "traps": ("The traps", lambda: other("traps.py")),
    }
    options = f" ARGS='{' '.join(sys.argv[1:])}'" if sys.argv[1:] else ""
    parts = [HEAD.format(commit=measured, machine=here, cores=os.cpu_count(), forks=FORKS, options=options)]
    if also:
        parts.append(also)
    for part in PARTS:
        title, measure = made[part]
        if part in without:
            parts.append(f"## {title}\n\nLeft out of this run.")
            continue
        tell(title)
        parts.append(f"## {title}\n\n{measure()}")
    return "\n\n".join(parts) + "\n"


HEAD = """\
# Performance on {cores} cores

Made by `make bench{options}` of commit `{commit}` on {machine}. Do not edit: the next run writes it anew.

Ways are measured in turn, round after round, on the same simulated nodes (eight A100-80GB each, every node an OpenSSH
server on this machine, {forks} nodes at work at once). Figures are medians, with the least and the most in brackets; a
ratio is taken within a round. Every run connects anew and every node has the program already. `command` and the modules
run over Ansible's own SSH with pipelining, without facts, `forks` the same."""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _goal(said: str, met: bool, wish: str) -> str:
    return f"{said} (goal: {wish}): {'met' if met else '**missed**'}."


if __name__ == "__main__":
    sys.exit(main())
