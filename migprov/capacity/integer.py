"""A small integer program, solved by HiGHS: variables, rows, and objectives one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import highspy
import numpy as np

from .model import Bound

INFINITY = float("inf")
_NODES = 5_000
"""Branch-and-bound nodes for one objective. A count, not a time, so that the same input gives the same plan."""


@dataclass
class Program:
    """Columns (integer, from 0) and rows. `gap`: the relative distance from the optimum that is good enough."""

    gap: float = 0.0
    uppers: list[float] = field(default_factory=list)
    rows: list[tuple[float, float, Mapping[int, float]]] = field(default_factory=list)

    def column(self, upper: float = INFINITY) -> int:
        """A new variable; returns its number."""
        self.uppers.append(upper)
        return len(self.uppers) - 1

    def row(self, lower: float, upper: float, terms: Mapping[int, float]) -> None:
        """A new row: `lower <= sum of factor x column <= upper`."""
        self.rows.append((lower, upper, terms))

    def solve(self, objectives: Sequence[Mapping[int, float]]) -> tuple[list[int], list[Bound]]:
        """Minimise the objectives, each without giving up what those before it reached.

        Returns the columns' values and, for each objective, its value with the proven bound.

        Raises:
            RuntimeError: HiGHS finds no solution, which cannot be where nothing placed is one.
        """
        highs = self._highs()
        values: list[int] = []
        bounds: list[Bound] = []
        for objective in objectives:
            cost = np.zeros(len(self.uppers))
            for column, factor in objective.items():
                cost[column] = factor
            highs.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)
            if values:
                start = highspy.HighsSolution()
                start.col_value = [float(value) for value in values]
                highs.setSolution(start)
            # Two whole numbers less than one apart are equal.
            highs.setOptionValue("mip_abs_gap", 0.999 if self.gap == 0 and _whole(objective) else 1e-6)
            highs.run()
            status = highs.getModelStatus()
            if highs.getInfo().primal_solution_status != 2:
                raise RuntimeError(f"the solver found no plan: {highs.modelStatusToString(status)}")
            values = [round(value) for value in highs.getSolution().col_value]
            reached = sum(factor * values[column] for column, factor in objective.items())
            bounds.append(Bound(reached, _bound(highs, objective, reached)))
            if objective:
                columns = np.array(list(objective), dtype=np.int32)
                factors = np.array([float(factor) for factor in objective.values()])
                highs.addRow(-INFINITY, reached + 1e-6, len(columns), columns, factors)
        return values, bounds

    def _highs(self) -> highspy.Highs:
        lp = highspy.HighsLp()
        count = len(self.uppers)
        lp.num_col_, lp.num_row_ = count, len(self.rows)
        lp.col_cost_ = np.zeros(count)
        lp.col_lower_ = np.zeros(count)
        lp.col_upper_ = np.array(self.uppers)
        lp.row_lower_ = np.array([row[0] for row in self.rows])
        lp.row_upper_ = np.array([row[1] for row in self.rows])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.cumsum([0, *(len(row[2]) for row in self.rows)])
        lp.a_matrix_.index_ = np.array([column for row in self.rows for column in row[2]], dtype=np.int32)
        lp.a_matrix_.value_ = np.array([float(factor) for row in self.rows for factor in row[2].values()])
        lp.integrality_ = [highspy.HighsVarType.kInteger] * count
        highs = highspy.Highs()  # type: ignore[no-untyped-call]
        for name, value in {
            "output_flag": False,
            "threads": 1,
            "random_seed": 0,
            "mip_rel_gap": self.gap,
            "mip_max_nodes": _NODES,
        }.items():
            highs.setOptionValue(name, value)
        highs.passModel(lp)
        return highs


def _bound(highs: highspy.Highs, objective: Mapping[int, float], reached: float) -> float:
    """What no plan goes below; a whole number where the objective has only whole numbers."""
    if not objective:
        return reached
    bound = float(highs.getInfo().mip_dual_bound)
    if _whole(objective):
        bound = float(np.ceil(bound - 1e-6))
    return min(bound, reached) + 0.0  # no negative zero


def _whole(objective: Mapping[int, float]) -> bool:
    return all(float(factor).is_integer() for factor in objective.values())
