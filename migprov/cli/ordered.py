"""Results in the inventory's order, each as soon as it and all before it are there."""

from __future__ import annotations

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
    with tempfile.TemporaryFile() as file:
        waiting = _Waiting(file)
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
    """Results by their place, in a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._where: dict[int, tuple[int, int]] = {}

    def __contains__(self, place: int) -> bool:
        return place in self._where

    def places(self) -> list[int]:
        return sorted(self._where)

    def put(self, place: int, result: Result) -> None:
        data = json.dumps(vars(result)).encode()
        start = self._file.seek(0, 2)
        self._file.write(data)
        self._where[place] = (start, len(data))

    def take(self, place: int) -> Result:
        start, length = self._where.pop(place)
        self._file.seek(start)
        fields = json.loads(self._file.read(length))
        if not self._where:
            self._file.seek(0)
            self._file.truncate()
        return Result(**{**fields, "steps": tuple(fields["steps"]), "planned": tuple(fields["planned"])})
