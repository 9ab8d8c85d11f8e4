"""How busy workloads keep a card, from what `migprov audit --json` printed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import BadRequest
from .products import all_products
from .usage import Labels
from .workloads_from import name_of


def load(path: str | os.PathLike[str]) -> dict[str, float]:
    """By workload, named as `audit --workloads` names it, the 95th percentile of the share of a whole card's SMs.

    Of replicas the busiest counts; what an instance keeps busy is taken for its part of the card. Workloads without a
    measurement are left out.

    Raises:
        BadRequest: the file cannot be read, or is not what `audit --json` prints.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        return busy(json.loads(line) for line in lines if line.strip())
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror or error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadRequest(
            f"{path} is not what 'migprov audit --json' prints: {error}", next="make it with: migprov audit ... --json"
        ) from None


def busy(findings: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The same of the objects themselves. Raises KeyError, TypeError, ValueError: they are others."""
    found: dict[str, float] = {}
    for finding in findings:
        if "error" in finding:
            continue  # a node that was not measured
        for row in finding["workloads"]:
            share = _of_card(row)
            if share is not None:
                name = name_of(Labels(**row["workload"]))
                found[name] = max(share, found.get(name, 0.0))
    return found


def _of_card(row: Mapping[str, Any]) -> float | None:
    active = row["sm_p95"]
    if active is None:
        return None
    if row["profile"] is None:
        return float(active)
    product = all_products().get(row["product"] or "")
    offer = product.find(row["profile"]) if product else None
    return None if offer is None or offer.sm_share is None else float(active) * offer.sm_share
