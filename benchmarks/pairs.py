"""All 1,444 ordered pairs of the 38 layouts of an A100-80GB: plan, apply, verify, and count what is destroyed.

    python benchmarks/pairs.py

Each pair starts from every way in which its first layout can be placed in turn; how many instances must go at least
is found by brute force. Exit status 1 when a pair failed or one instance more than needed went.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from migprov.sim.driver import SimNode
from tests.e2e.arrangements import Arrangement, Multiset, arrangements, fewest_destroyed
from tests.e2e.node_program import NodeProgram, node_program


def entries(instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A layout of one entry for all GPUs."""
    return [{"devices": "all", "mig_enabled": True, "instances": instances}]


def run(program: NodeProgram, node: SimNode, present: Arrangement, wanted: Multiset) -> tuple[float, int, str]:
    """Seconds that apply and verify took, instances destroyed, and what went wrong or nothing."""
    start = [{"profile": profile, "start": place} for profile, place in sorted(present)]
    prepared = program.ask(node, "layout", entries=entries(start))
    if prepared["error"]:
        return 0.0, 0, f"preparing: {prepared['error']['message']}"
    layout = entries([{"profile": profile} for profile in wanted])
    began = time.perf_counter()
    reply = program.ask(node, "layout", entries=layout)
    verified = program.ask(node, "verify", entries=layout)
    took = time.perf_counter() - began
    destroyed = sum(step["action"] == "destroy_gpu_instance" for step in reply["steps"])
    error = reply["error"] or verified["error"]
    if error:
        return took, destroyed, error["message"]
    least = fewest_destroyed(present, wanted)
    return took, destroyed, "" if destroyed == least else f"destroyed {destroyed}, needed {least}"


def main() -> int:
    """Run all pairs and print what they took."""
    ways = arrangements()
    times: list[float] = []
    destroyed = wrong = 0
    with tempfile.TemporaryDirectory(prefix="migprov-pairs-") as folder:
        node = SimNode.create(Path(folder) / "node", "1xA100-80GB")
        with node_program(node) as program:
            pairs = [(first, second) for first in ways for second in ways]
            for number, (first, second) in enumerate(pairs):
                present = ways[first][number % len(ways[first])]
                took, gone, problem = run(program, node, present, second)
                times.append(took)
                destroyed += gone
                if problem:
                    wrong += 1
                    print(f"{sorted(present)} -> {list(second)}: {problem}")
    slow = statistics.quantiles(times, n=20)[-1]
    print(f"{len(times)} pairs, {wrong} failed or destroyed more than needed; {destroyed} GPU instances destroyed")
    print(f"apply and verify: median {statistics.median(times) * 1000:.1f} ms, 95 % within {slow * 1000:.1f} ms")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
