"""One fault at one node of a roll, and everything that must be true then and after it was put right."""

from __future__ import annotations

from .rolls import Ground, changed, later
from .rolls_faults import Fault
from .rolls_moments import Moment
from .rolls_ways import Ended, Way, run


def stops_and_is_taken_up_again(ground: Ground, way: Way, fault: Fault, name: str) -> None:
    """The roll stops before the next batch, and the same again finishes it."""
    ground.reset()
    ground.variables = fault.variables
    stopped = disturbed(ground, way, fault, name)
    must_have_stopped(ground, way, fault, name, stopped)
    fault.mend(ground.fleet.node(name))
    must_finish(ground, way)


def disturbed(ground: Ground, way: Way, fault: Fault, name: str) -> Ended:
    """The roll, with the fault at its moment."""
    node = ground.fleet.node(name)
    put: list[str] = []

    def act(moment: Moment) -> None:
        if not put and fault.when is not None and fault.when(moment) and name in moment["hosts"]:
            put.append(name)
            fault.put(node)

    if fault.when is None:
        fault.put(node)
    ended = run(ground, way.first(ground), ground.moments.acting(act))
    assert put or fault.when is None, f"the fault never came:\n{ended.said}"
    return ended


def must_have_stopped(ground: Ground, way: Way, fault: Fault, name: str, ended: Ended) -> None:
    """Exit status, message, nothing behind the batch, everything beside it."""
    about = f"{way.name}, {fault.name} at {name}: {ended.status}\n{ended.said}"
    statuses = way.unreachable if fault.unreachable else {2}
    assert ended.status in statuses, about
    assert name in _last_words(ended.said), f"not named: {about}"
    behind = later(ground.batches, name)
    writes = ground.writes()
    touched = [each for each in behind if writes[each]]
    assert touched == [], f"touched behind the batch: {touched}; {about}"
    expected = [each for each in ground.names if each not in behind and each != name]
    assert [each for each in ground.wanted() if each != name] == expected, f"as wanted: {ground.wanted()}; {about}"


def must_finish(ground: Ground, way: Way) -> None:
    """The same again brings all nodes to the layout and leaves alone those that are done."""
    done, before = ground.wanted(), ground.writes()
    ended = run(ground, way.again(ground))
    about = f"{way.name}, again: {ended.status}\n{ended.said}"
    assert ended.status == 0, about
    assert ground.wanted() == ground.names, about
    again = [name for name in changed(before, ground.writes()) if name in done]
    assert again == [], f"written to again: {again}; {about}"


def _last_words(said: str) -> str:
    """What a person who looks at the end sees: all since the last play began, the whole where there is none."""
    return said[said.rfind("\nPLAY [") + 1 :]
