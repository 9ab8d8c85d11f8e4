"""Measurements from a table: CSV as in RFC 4180, UTF-8 with or without a byte order mark, one line a row.

docs/audit.md tells the columns. A line without any label of a workload is about the card or instance itself; where a
device has none, its workloads' lines are added up.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...connect.shape import printable
from ...errors import BadRequest
from ...mig.names import BadProfileName, parse
from ..products import all_products
from ..usage import Device, Labels, Usage, product_of

_LARGEST = 64 << 20
_MOST = 1e12
_LABELS = ("namespace", "pod", "container", "job", "command", "user", "unit")
_SIZES = ("memory_total", "memory_peak", "memory_p95")
_SHARES = ("sm_peak", "sm_p95", "util_peak", "util_p95")
COLUMNS = (
    *("host", "gpu", "uuid", "model", "gi_id", "profile", "start"),
    *(f"{name}_{unit}" for name in _SIZES for unit in ("mib", "gib")),
    *(f"{name}_percent" for name in (*_SHARES, "covered")),
    *("samples", "window_s", "first_seen", "last_seen"),
    *_LABELS,
)
"""Every column there can be."""
_NEEDED = (("host",), ("gpu", "uuid"), ("memory_peak_mib", "memory_peak_gib"), ("samples",), ("window_s",))


class TableError(BadRequest):
    """A table cannot be used. The message names file, line and column."""


def read(path: str | os.PathLike[str]) -> list[Usage]:
    """The rows of a file.

    Raises:
        TableError: it cannot be read, or is not such a table.
    """
    try:
        size = Path(path).stat().st_size
        if size > _LARGEST:
            raise TableError(f"{path}: it is larger than {_LARGEST >> 20} MiB.")
        data = Path(path).read_bytes()
    except OSError as error:
        raise TableError(f"{path}: it cannot be read: {os.strerror(error.errno or 0)}.") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise TableError(
            f"{path}:{line}: it is not UTF-8.", next="save it as UTF-8; spreadsheets call it 'CSV UTF-8'"
        ) from None
    return parse_text(text, str(path))


def parse_text(text: str, name: str) -> list[Usage]:
    """The rows of a table; `name` is what messages call it.

    Raises:
        TableError: it is not such a table.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [each.strip() for each in next(reader, [])]
        _check_header(header, name)
        rows: list[Usage] = []
        for cells in reader:
            if cells and any(cell.strip() for cell in cells):
                rows.append(_Line(name, reader.line_num, header, cells).usage())
    except csv.Error as error:
        raise TableError(f"{name}:{max(reader.line_num, 1)}: it is not CSV: {error}.") from None
    if not rows:
        raise TableError(f"{name}: it has no line below its header.")
    _check_twice(rows, name)
    return [*rows, *_added_up(rows)]


def _check_header(header: Sequence[str], name: str) -> None:
    if len(header) < 2 and any(";" in each or "\t" in each for each in header):
        kind = "semicolons" if ";" in header[0] else "tabs"
        raise TableError(
            f"{name}:1: column 1: its columns are separated by {kind}, not by commas.",
            next="save it with commas, and with points in numbers",
        )
    for number, column in enumerate(header, 1):
        if column not in COLUMNS:
            known = _near(column)
            raise TableError(
                f"{name}:1: column {number}: {printable(column)[:60]!r} is no column of this table{known}.",
                next=f"the columns are {', '.join(COLUMNS)}",
            )
        if header.index(column) != number - 1:
            raise TableError(f"{name}:1: column {number}: {column!r} is there twice.")
    for choice in _NEEDED:
        if not any(column in header for column in choice):
            raise TableError(f"{name}:1: there is no column {' or '.join(choice)}.", next="docs/audit.md tells them")


def _near(column: str) -> str:
    near = difflib.get_close_matches(column.lower(), COLUMNS, 1, 0.6)
    return f"; did you mean {near[0]!r}" if near else ""


class _Line:
    """One line, and how to complain about it."""

    def __init__(self, name: str, number: int, header: Sequence[str], cells: Sequence[str]) -> None:
        self._at = f"{name}:{number}"
        self._header = header
        if len(cells) != len(header):
            hint = "write numbers with a point, and quote texts that have a comma" if len(cells) > len(header) else None
            raise TableError(
                f"{self._at}: it has {len(cells)} values where the header has {len(header)} columns.", next=hint
            )
        self._cells = dict(zip(header, (cell.strip() for cell in cells), strict=True))

    def usage(self) -> Usage:
        host = self._text("host") or self._wrong("host", "is empty")
        gpu, uuid = self._whole("gpu"), self._text("uuid") or ""
        if gpu is None and not uuid:
            self._wrong("gpu", "is empty, and so is the UUID: which card is it?")
        model, profile = self._text("model"), self._profile()
        product = product_of(model)
        offers = all_products().get(product.key) if product else None
        gi_id, start = self._whole("gi_id"), self._whole("start")
        if profile is not None and gi_id is None and start is None:
            self._wrong("profile", "is given, but neither gi_id nor start: which instance is it?")
        if profile is None and (gi_id is not None or start is not None):
            self._wrong("profile", "is empty, but an instance is named")
        total = self._memory("memory_total")
        whole = offers.whole.memory_mib if offers else None
        if profile is not None and total is None and offers and (offer := offers.find(profile)):
            total = offer.memory_mib
        labels = Labels(**{name: self._text(name) for name in _LABELS})
        peak = self._memory("memory_peak")
        return Usage(
            host=host,
            gpu=gpu,
            uuid=uuid,
            model=model,
            product=product.key if product else None,
            gi_id=gi_id,
            profile=profile,
            start=start,
            memory_total_mib=(whole if total is None else total) if profile is None else total,
            card_memory_mib=(whole if total is None else total) if profile is None else whole,
            workload=labels if labels != Labels() else None,
            samples=self._needed("samples"),
            window_s=self._needed("window_s"),
            covered=1.0 if (covered := self._share("covered")) is None else covered,
            memory_peak_mib=peak,
            memory_p95_mib=self._memory("memory_p95"),
            sm_peak=self._share("sm_peak"),
            sm_p95=self._share("sm_p95"),
            util_peak=self._share("util_peak"),
            util_p95=self._share("util_p95"),
            first_seen=self._time("first_seen"),
            last_seen=self._time("last_seen"),
            memory_of="workload" if labels != Labels() else "device",
        )

    def _wrong(self, column: str, what: str) -> Any:
        number = f"column {self._header.index(column) + 1}" if column in self._header else "no column"
        raise TableError(f"{self._at}: {number} ({column}): {what}.")

    def _text(self, column: str) -> str | None:
        text = self._cells.get(column) or None
        if text is not None and not text.isprintable():
            self._wrong(column, "it has characters that cannot be printed")
        return text

    def _profile(self) -> str | None:
        text = self._text("profile")
        try:
            return None if text is None else parse(text).gpu_instance
        except BadProfileName as error:
            return str(self._wrong("profile", str(error)))

    def _number(self, column: str) -> float | None:
        text = self._text(column)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < 0:
            self._wrong(column, f"{text[:40]!r} is not a number of 0 or more")
        if value > _MOST:
            self._wrong(column, f"{text[:40]!r} is more than can be")
        return value

    def _whole(self, column: str) -> int | None:
        value = self._number(column)
        if value is not None and value != int(value):
            self._wrong(column, f"{self._cells[column][:40]!r} is not a whole number")
        return None if value is None else int(value)

    def _needed(self, column: str) -> int:
        value = self._whole(column)
        return int(self._wrong(column, "is empty")) if value is None else value

    def _memory(self, name: str) -> int | None:
        mib, gib = self._number(f"{name}_mib"), self._number(f"{name}_gib")
        if mib is not None and gib is not None:
            self._wrong(f"{name}_gib", f"is given, and {name}_mib too; give one")
        size = gib * 1024 if gib is not None else mib
        return None if size is None else math.ceil(round(size, 3))

    def _share(self, name: str) -> float | None:
        value = self._number(f"{name}_percent")
        if value is not None and value > 100:
            self._wrong(f"{name}_percent", f"{value:g} is more than 100")
        return None if value is None else value / 100

    def _time(self, column: str) -> float | None:
        text = self._text(column)
        try:
            when = None if text is None else datetime.fromisoformat(text)
        except ValueError:
            self._wrong(column, f"{text!r} is not a time such as 2026-11-22T09:30:00Z")
            when = None
        if when is None:
            return None
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _key(usage: Usage) -> tuple[Device, str | None]:
    return usage.device, usage.profile


def _check_twice(rows: Sequence[Usage], name: str) -> None:
    seen: set[tuple[Any, ...]] = set()
    uuids: dict[tuple[str, int], str] = {}
    for row in rows:
        if row.gpu is not None and uuids.setdefault((row.host, row.gpu), row.uuid) != row.uuid:
            raise TableError(
                f"{name}: {row.host}/{row.gpu}: its UUID is {uuids[row.host, row.gpu] or 'not given'} in one line and "
                f"{row.uuid or 'not given'} in another.",
                next="a card is known by its UUID where there is one: give it in every line or in none",
            )
        key = (*_key(row), row.workload)
        if key in seen:
            whose = f" of {row.workload}" if row.workload else ""
            raise TableError(f"{name}: {row.name}: there are two lines{whose}.")
        seen.add(key)


def _added_up(rows: Sequence[Usage]) -> list[Usage]:
    """A row of its own for each device that has only its workloads'."""
    have = {_key(row) for row in rows if row.workload is None}
    found: dict[tuple[Device, str | None], list[Usage]] = {}
    for row in rows:
        if _key(row) not in have:
            found.setdefault(_key(row), []).append(row)
    return [_sum(each) for each in found.values()]


def _sum(rows: Sequence[Usage]) -> Usage:
    """The workloads of one device together. Peaks need not have been at one time, so it is an upper bound."""
    if len(rows) == 1:
        return replace(rows[0], workload=None, memory_of="device")
    shares: dict[str, Any] = {
        name: None if (value := each(rows, name)) is None else min(value, 1.0)
        for name, each in zip(_SHARES, (_all_known, _percentile) * 2, strict=True)
    }
    total, memory = rows[0].memory_total_mib, {}
    for name, each in (("memory_peak_mib", _all_known), ("memory_p95_mib", _percentile)):
        value = each(rows, name)
        memory[name] = value if value is None or total is None else min(value, total)
    return replace(
        rows[0],
        workload=None,
        memory_of="device",
        samples=min(row.samples for row in rows),
        covered=min(row.covered for row in rows),
        **memory,
        **shares,
    )


def _all_known(rows: Sequence[Usage], name: str) -> Any:
    values = [getattr(row, name) for row in rows]
    return None if any(value is None for value in values) else sum(values)


def _percentile(rows: Sequence[Usage], name: str) -> Any:
    """What the 95th percentile of a sum is at most: that of one, with the peaks of the others.

    Two that each work for a moment, and never at once, have a percentile of 0 each, and more together.
    """
    peaks = [getattr(row, name.replace("_p95", "_peak")) for row in rows]
    if (known := _all_known(rows, name)) is None or any(peak is None for peak in peaks):
        return known
    others = sum(peaks)
    return min(round(getattr(row, name) + others - peak, 9) for row, peak in zip(rows, peaks, strict=True))
