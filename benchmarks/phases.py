"""The phases of one run of the node program, from within, on the node: `python3 phases.py DIGEST REQUEST`, as JSON.

Python 3.8. Nothing is imported before the clock runs but what Python has loaded: what the program imports counts.
"""

import os
import sys
import time

PHASES = ("imports", "nvmlInit", "read, plan", "nvmlShutdown", "reply")


def phases(digest: str, request: str) -> dict:
    """Run the request as `quick.py` would, from the compiled twin, with a clock between the phases."""
    clock = [time.perf_counter()]
    import json
    import marshal

    folder = os.path.join(os.environ["HOME"], ".cache", "migprov")
    (name,) = [each for each in os.listdir(folder) if each.startswith(digest + "-" + sys.implementation.cache_tag)]
    with open(os.path.join(folder, name), "rb") as file:
        twin = marshal.loads(file.read()[4:])  # noqa: S302
    inside: dict = {}
    exec(twin[0], inside)  # noqa: S102
    inside["gc"].set_threshold(inside["_COLLECT_AFTER"])
    inside["offer"](twin, digest, -1)
    import migprov_node.node.__main__ as main  # type: ignore[import-not-found]
    import pynvml
    from migprov_node.node.nvml import Nvml  # type: ignore[import-not-found]

    clock.append(time.perf_counter())
    spent = [0.0]
    _count_time(pynvml, spent)
    asked = main.requests.parse(json.loads(request))
    nvml = Nvml()
    nvml.__enter__()
    clock.append(time.perf_counter())
    outcome = main.tasks.run(nvml, asked, print)
    clock.append(time.perf_counter())
    nvml.__exit__()
    clock.append(time.perf_counter())
    json.dumps(main._reply(asked.task, asked.check, outcome), ensure_ascii=True)
    clock.append(time.perf_counter())
    took = {name: after - before for name, before, after in zip(PHASES, clock, clock[1:])}  # noqa: B905
    return {**took, "driver": spent[0]}


def _count_time(pynvml, spent: list) -> None:
    """Let every call of the library add what it takes; the clock itself takes 0.1 us of it."""
    found = pynvml._nvmlGetFunctionPointer

    def clocked(name: str):
        function = found(name)

        def call(*arguments):
            began = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                spent[0] += time.perf_counter() - began

        return call

    pynvml._nvmlGetFunctionPointer = clocked


if __name__ == "__main__":
    found = phases(sys.argv[1], sys.argv[2])
    print(sys.modules["json"].dumps(found))
