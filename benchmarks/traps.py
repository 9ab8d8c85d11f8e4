"""Every scenario in which the best tool of today was measured to fail, and its like, on five products.

    python benchmarks/traps.py

Counts come from the simulated driver's own log of writes: GPU instances destroyed / created / changes of the MIG mode /
resets. Exit status 1 when a count is not the ideal one or when something ended otherwise than it must. What stands for
mig-parted 0.15.0 was measured on eight A100-40GB with 56 instances and is not measured here.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from tests.faults.trap_bench import bench
from tests.faults.trap_rows import Row, all_rows


def table(rows: list[Row]) -> Table:
    """All rows, as they are printed."""
    made = Table(
        "trap", "node", "mig-parted", "ideal", "measured", "ending", "", title="destroyed/created/modes/resets"
    )
    last = ""
    for row in rows:
        new = row.trap != last
        last = row.trap
        cells = (row.trap if new else "", row.node, row.peer if new else "")
        made.add_row(*cells, str(row.ideal), str(row.measured), row.ending, row.wrong or "ok")
    return made


def main() -> int:
    """Run all traps and print the table."""
    with tempfile.TemporaryDirectory(prefix="migprov-traps-") as folder, bench(Path(folder)) as made:
        rows = list(all_rows(made))
    console = Console(width=None if sys.stdout.isatty() else 170)
    console.print(table(rows))
    wrong = sum(bool(row.wrong) for row in rows)
    console.print(f"{len(rows)} traps, {wrong} not ideal")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
