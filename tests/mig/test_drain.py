"""Work in the way: what a policy makes of it, and what may stand in one."""

from __future__ import annotations

import pytest

from migprov.mig.drain import AGENTS, Drain, clear
from migprov.mig.errors import BadRequest, GpuBusy
from migprov.mig.plan import plan
from migprov.mig.text import describe_step
from migprov.mig.wanted import WantedGpu

from .cards import gpu, process, state

AGENT = process(1)._replace(unit="nvidia-dcgm.service", start_ticks=5, kind="open", command="dcgm", user="root")
SEEN = process(2)._replace(unit="asr.service", start_ticks=6)
UNSEEN = process(3)._replace(start_ticks=None, command="?", user="?")
IN_A_CONTAINER = process(4)._replace(unit=None, container="ab" * 32, start_ticks=7)


@pytest.mark.parametrize(
    ("policy", "there", "expected"),
    [
        ("refuse", [], []),
        ("refuse", [AGENT], ["stop nvidia-dcgm.service"]),
        ("refuse", [AGENT, SEEN], None),
        ("refuse", [UNSEEN], None),
        ("wait", [AGENT, SEEN], ["stop nvidia-dcgm.service", "wait for process 2 (python3, user asr)"]),
        ("wait", [UNSEEN], ["wait for process 3 (?, user ?)"]),
        ("terminate", [SEEN, AGENT], ["stop nvidia-dcgm.service", "end process 2 (python3, user asr)"]),
        ("terminate", [IN_A_CONTAINER], ["end process 4 (python3, user asr)"]),
        ("terminate", [SEEN, SEEN], ["end process 2 (python3, user asr)"]),
        ("terminate", [SEEN, UNSEEN], None),
    ],
)  # fmt: skip
def test_what_a_policy_makes_of_work(policy, there, expected):
    if expected is None:
        with pytest.raises(GpuBusy) as refused:
            clear(gpu(), there, "it would change", Drain(policy))
        assert [holder["pid"] for holder in refused.value.holders] == [each.pid for each in there if each != AGENT]
        assert ("cannot be seen" in refused.value.message) == (policy == "terminate")
    else:
        steps = clear(gpu(), there, "it would change", Drain(policy))
        assert [describe_step(step.to_json()) for step in steps] == [f"GPU 0: {text}" for text in expected]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, Drain()),
        ("wait", Drain("wait")),
        ({"timeout_s": 0}, Drain(timeout_s=0)),
        ({"policy": "terminate", "timeout_s": 7 * 86400}, Drain("terminate", 7 * 86400)),
        ({"agents": []}, Drain(agents=())),
        ({"agents": ["a", "b.service", "c.d@1"]}, Drain(agents=("a.service", "b.service", "c.d@1.service"))),
        ({"agents": ["d.socket"]}, Drain(agents=("d.socket",))),
    ],
)  # fmt: skip
def test_a_policy_is_read(data, expected):
    assert Drain.from_json(data) == expected
    assert "nvidia-fabricmanager.service" not in AGENTS


@pytest.mark.parametrize(
    "data",
    [
        "kill", 3, [], {"policy": None}, {"colour": 1}, {"timeout_s": -1}, {"timeout_s": True}, {"timeout_s": "9"},
        {"timeout_s": 7 * 86400 + 1}, {"timeout_s": float("nan")}, {"agents": "a"}, {"agents": [""]}, {"agents": [3]},
        {"agents": ["--now"]}, {"agents": ["../a"]}, {"agents": ["a\nb"]},
    ],
)  # fmt: skip
def test_a_policy_that_is_none_is_refused(data):
    with pytest.raises(BadRequest):
        Drain.from_json(data)


@pytest.mark.parametrize(
    ("fields", "wanted", "in_way"),
    [
        ({"mig_current": False, "mig_pending": False}, True, True),  # Ampere: a reset
        ({"mig_current": False, "mig_pending": True}, True, True),
        ({"mig_current": True, "mig_pending": False}, True, False),  # taken back, which takes no reset
        ({"mig_current": True, "mig_pending": True}, False, True),
        ({"mig_current": True, "mig_pending": False}, False, True),
        ({"mig_current": False, "mig_pending": True}, False, False),
    ],
)
def test_who_has_the_gpu_open_is_in_the_way_of_a_reset(fields, wanted, in_way):
    node = state(gpu(processes=(SEEN._replace(kind="open"),), **fields))
    if in_way:
        with pytest.raises(GpuBusy):
            plan(node, {0: WantedGpu(wanted, None)})
    else:
        (step,) = plan(node, {0: WantedGpu(wanted, None)})
        assert (step.action, step.enabled) == ("set_mig_mode", wanted)


@pytest.mark.parametrize(
    ("who", "in_way"),
    [(SEEN, True), (SEEN._replace(kind="open"), False), (SEEN._replace(kind="open", gi_id=1), True)],
)
def test_where_the_mode_changes_without_a_reset_only_work_is_in_the_way(who, in_way):
    node = state(gpu(0, "H100-80GB-SXM", processes=(who,)))
    if in_way:
        with pytest.raises(GpuBusy):
            plan(node, {0: WantedGpu(False)})
    else:
        assert len(plan(node, {0: WantedGpu(False)})) == 1


def test_of_a_product_that_nobody_knows_a_reset_is_expected():
    unknown = gpu(0, processes=(SEEN._replace(kind="open"),))._replace(name="NVIDIA Z900", device_id="0x999910DE")
    with pytest.raises(GpuBusy):
        plan(state(unknown), {0: WantedGpu(False)})
