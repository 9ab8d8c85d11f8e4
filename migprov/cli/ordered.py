"""Results in the inventory's order, each as soon as it and all before it are there."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from ..result import Result


def in_order(results: Iterable[Result], names: Sequence[str]) -> Iterator[Result]:
    """The results in the order of `names`.

    One that comes before its turn waits in a file that has no name, so that a slow node at the head of thousands
    costs no memory. Those whose predecessors never come (an interrupted run) are given at the end.
    """
    place = {name: number for number, name in enumerate(names)}
    next_place = 0
    with contextlib.closing(_Waiting()) as waiting:
        for result in results:
            if place[result.host] != next_place:
                waiting.put(place[result.host], result)
                continue
            yield result
            next_place += 1
            while next_place in waiting:
                yield waiting.take(next_place)
                next_place += 1
        for number in waiting.places():
            yield waiting.take(number)


class _Waiting:
    """Results by their place, in a file; in memory where there is no room for one: the nodes have done their part."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._where: dict[int, tuple[IO[bytes], int, int] | bytes] = {}
        with contextlib.suppress(OSError):
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __contains__(self, place: int) -> bool:
        return place in self._where

    def places(self) -> list[int]:
        return sorted(self._where)

    def put(self, place: int, result: Result) -> None:
        data = json.dumps(vars(result)).encode()
        self._where[place] = data
        if self._file is not None:
            with contextlib.suppress(OSError):
                start = self._file.seek(0, 2)
                if self._file.write(data) == len(data):
                    self._where[place] = (self._file, start, len(data))

    def take(self, place: int) -> Result:
        found = self._where.pop(place)
        fields = json.loads(found if isinstance(found, bytes) else _read(*found))
        if self._file is not None and not self._where:
            self._file.truncate(0)
        return Result(**{**fields, "steps": tuple(fields["steps"]), "planned": tuple(fields["planned"])})


def _read(file: IO[bytes], start: int, length: int) -> bytes:
    file.seek(start)
    data = b""
    while len(data) < length and (more := file.read(length - len(data))):
        data += more
    return data
