"""The state of many simulated nodes in one run: how long it takes, and how much memory the controller needs.

    python benchmarks/fleet_state.py [--nodes 1000] [--forks 32]

Starts one OpenSSH server a node on this machine (about 4 MB of memory each), then runs `migprov info`, `apply --check`,
`verify` and `export` as processes of their own. Nodes and controller share the processors, so the time is that of both.
Exit status 1 when a command went wrong or the controller took more than 400 MB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import Used, used
from migprov.sim.nodes import Fleet, up

MOST_MB = 400
HEAD = "command         exit   lines  MB out   wall s    cpu s   ms/node  peak MB"
LAYOUTS = """\
version: v1
mig-configs:
  whole:
    - {devices: all, mig-enabled: false, mig-devices: {}}
  voice:
    - {devices: all, mig-enabled: true, mig-devices: {3g.40gb: 1, 2g.20gb: 1, 1g.10gb: 2}}
"""


@dataclass(frozen=True)
class Run:
    """One command, and the lines and bytes of its output."""

    name: str
    used: Used
    lines: int
    size: int


def measured(name: str, output: Path, *arguments: object) -> Run:
    """Run `migprov` with these arguments."""
    taken = used([sys.executable, "-m", "migprov.cli", *arguments], output)
    text = output.read_bytes()
    return Run(name, taken, text.count(b"\n"), len(text))


def commands(fleet: Fleet, folder: Path, forks: int) -> list[tuple[str, list[object]]]:
    """What is measured; the first one also sends the program to every node."""
    layouts = folder / "layouts.yml"
    layouts.write_text(LAYOUTS)
    where: list[object] = ["-i", fleet.inventory, "--forks", forks]
    return [
        ("info --json", ["info", *where, "--json"]),
        ("info", ["info", *where]),
        ("apply --check", ["apply", layouts, "voice", *where, "--check"]),
        ("verify", ["verify", layouts, "whole", *where]),
        ("export", ["export", *where]),
    ]


def row(run: Run, nodes: int) -> str:
    """One line of the table."""
    return (
        f"{run.name:15} {run.used.code:4} {run.lines:7,} {run.size / 1e6:7.1f} {run.used.wall_s:8.1f} "
        f"{run.used.cpu_s:8.1f} {1000 * run.used.wall_s / nodes:9.0f} {run.used.peak_mb:8.0f}"
    )


def main() -> int:
    """Start the nodes, run the commands, print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--gpus", default="8xA100-80GB", help="GPUs of each node")
    parser.add_argument("--forks", type=int, default=32)
    parser.add_argument("--only", action="append", metavar="COMMAND", help="of those in the table; again for more")
    options = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="migprov-state-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        began = time.perf_counter()
        with up(folder / "fleet", nodes=options.nodes, gpus=options.gpus) as fleet:
            print(
                f"{options.nodes} nodes of {options.gpus} are up after {time.perf_counter() - began:.0f} s", flush=True
            )
            print(HEAD, flush=True)
            for title, arguments in commands(fleet, folder, options.forks):
                if options.only and title not in options.only:
                    continue
                run = measured(title, folder / "output", *arguments)
                print(row(run, options.nodes), flush=True)
                good = good and run.used.code == 0 and run.used.peak_mb <= MOST_MB
    if not good:
        print(f"A command failed, or took more than {MOST_MB} MB.", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
