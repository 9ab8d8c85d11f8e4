"""What a card costs an hour: one price for all, by product, or as the inventory says."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BadRequest
from ..layouts import LayoutError, Problem
from ..layouts.document import Kind, read
from ..layouts.words import shown
from .products import all_products
from .strict_file import StrictFileError, product_hint

VARIABLE = "mig_gpu_price"
"""The inventory's variable: a number, or a mapping of product to number."""

MOST = 1e12
"""Money for a card and hour, in whatever currency: what is more than that overflows in a fleet's sum."""

OfHost = Callable[[str], Any]


@dataclass(frozen=True)
class Prices:
    """Money per card and hour. The first that says something counts: `for_all`, `by_product`, `of_host`."""

    for_all: float | None = None
    by_product: Mapping[str, float] = field(default_factory=dict)
    of_host: OfHost | None = None

    def of(self, host: str, product: str) -> float | None:
        """The price of a card, None where nobody says it.

        Raises:
            BadRequest: the inventory's price is no number.
        """
        if self.for_all is not None:
            return self.for_all
        if product in self.by_product:
            return self.by_product[product]
        given = None if self.of_host is None else self.of_host(host)
        if isinstance(given, Mapping):
            given = given.get(product)
        return None if given is None else _price(given, f"{host}: {VARIABLE}")


def load(path: str | os.PathLike[str]) -> dict[str, float]:
    """The prices by product of a YAML file, a mapping such as `A100-80GB: 2.0`. Raises StrictFileError."""
    source = os.fspath(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StrictFileError([Problem(source, 0, f"cannot be read: {reason}")]) from None
    try:
        root = read(text, source, kind=Kind("file of prices", "Write lines such as A100-80GB: 2.0."))
    except LayoutError as error:
        raise StrictFileError(error.problems) from None
    if not root.items():
        hint = "Write lines such as A100-80GB: 2.0."
        raise StrictFileError([Problem(source, root.line, "the file must be a mapping of product to price", hint)])
    problems, found = [], {}
    for product, item in root.items().items():
        if product not in all_products():
            hint = product_hint(product)
            problems.append(Problem(source, item.key_line, f"there is no product {shown(product)}", hint))
        try:
            found[product] = _price(item.node.text, product)
        except BadRequest as error:
            problems.append(Problem(source, item.node.line, error.message))
    if problems:
        raise StrictFileError(problems)
    return found


def _price(given: Any, what: str) -> float:
    try:
        price = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        price = math.nan
    if not 0 <= price <= MOST:
        raise BadRequest(f"{what} must be the price of a card for one hour, a number such as 2.0, not {shown(given)}")
    return price
