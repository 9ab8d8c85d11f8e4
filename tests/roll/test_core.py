"""The pure core of a roll: sizes, what a node loses, limits, who is next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migprov.errors import BadRequest
from migprov.fleet.roll import limits, steps
from migprov.fleet.roll.batch import Batch, Blocked, next_batch, order
from migprov.fleet.roll.limits import Floor, Limit, parse_floor, parse_max_unavailable
from migprov.fleet.roll.member import Member, of_look


def fleet(count: int, **keywords: Any) -> list[Member]:
    return [Member(f"gpu{number}", ("rack1",) if number % 2 else ("rack2",), **keywords) for number in range(count)]


@pytest.mark.parametrize(
    ("text", "total", "sizes"),
    [
        ("1", 10, [1, 1, 1]),
        ("1,10%,25%", 40, [1, 4, 10, 10]),
        ("1,10%,25%", 4, [1, 1, 1, 1]),
        (" 2 , 100% ", 7, [2, 7, 7]),
        ("33%", 10, [3, 3]),
    ],
)
def test_sizes(text: str, total: int, sizes: list[int]) -> None:
    parsed = steps.parse(text)
    assert [parsed.size(number, total) for number in range(len(sizes))] == sizes
    assert steps.parse(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["", "0", "1,,2", "101%", "0%", "-1", "1.5", "a", "10 %", "\u0661", "1e2"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(BadRequest, match="cannot be used"):
        steps.parse(text)


def test_limits_are_read_and_written_the_same() -> None:
    for text in ("2", "25%", "rack1:2", "a:b:25%"):
        assert str(parse_max_unavailable(text)) == text
    assert str(parse_floor(" 1g.10gb = 12 ")) == "1g.10gb=12"
    # The driver's own way of writing it, which is what is counted.
    assert [str(parse_floor(text)) for text in ("3G.40gb=1", "1g.10gb.me=2", "gpu=4")] == [
        "3g.40gb=1", "1g.10gb+me=2", "gpu=4",
    ]  # fmt: skip
    for text in (":2", "rack1:", "0", "rack1:0%"):
        with pytest.raises(BadRequest):
            parse_max_unavailable(text)
    # What no GPU can have would keep nothing in service.
    wrong = ("1g.10g=3", "19=3", "gpus=3", "1c.3g.40gb=3")
    for text in ("1g.10gb", "=3", "1g.10gb=", "1g.10gb=-1", "1g.10gb=\u0663", *wrong):
        with pytest.raises(BadRequest):
            parse_floor(text)


def test_limits_that_no_roll_could_keep_are_refused() -> None:
    members = fleet(5)
    limits.check_pools([parse_max_unavailable("20%"), parse_max_unavailable("rack1:1"), Floor("x", 100)], members)
    for text, words in (("10%", "less than one of 5"), ("rack1:40%", "less than one of 2"), ("rack9:1", "no node")):
        with pytest.raises(BadRequest, match=words):
            limits.check_pools([parse_max_unavailable(text)], members)


# --- what a node loses --------------------------------------------------------------------------------------------


def gpu(index: int, *instances: tuple[str, int], mig: bool = True, **keywords: Any) -> dict[str, Any]:
    return {
        "index": index,
        "uuid": f"GPU-{index}",
        "mig_current": mig,
        "instances": [{"profile": profile, "start": start} for profile, start in instances],
        "processes": [],
        **keywords,
    }


def step(action: str, uuid: str, **keywords: Any) -> dict[str, Any]:
    return {"action": action, "uuid": uuid, **keywords}


GPUS = [gpu(0, ("1g.10gb", 0), ("1g.10gb", 1), ("3g.40gb", 4)), gpu(1, mig=False), gpu(2, error={"code": "gpu_lost"})]


@pytest.mark.parametrize(
    ("planned", "loses"),
    [
        ([], {}),
        ([step("create_gpu_instance", "GPU-0", start=2)], {}),
        ([step("destroy_gpu_instance", "GPU-0", start=1)], {"1g.10gb": 1}),
        (
            [
                step("destroy_compute_instance", "GPU-0", gi_start=4),
                step("destroy_gpu_instance", "GPU-0", start=4),
                step("destroy_compute_instance", "GPU-0", gi_start=0),
            ],
            {"3g.40gb": 1, "1g.10gb": 1},
        ),
        ([step("set_mig_mode", "GPU-1", enabled=True)], {"gpu": 1}),
        ([step("reset_gpu", "GPU-0"), step("destroy_gpu_instance", "GPU-0", start=1)], {"1g.10gb": 2, "3g.40gb": 1}),
        ([step("start_service", "", unit="nvidia-dcgm.service")], {}),
    ],
)
def test_what_a_node_loses(planned: list[dict[str, Any]], loses: Mapping[str, int]) -> None:
    member = of_look("gpu1", ["rack1"], {"before": {"gpus": GPUS}, "planned": planned})
    assert member.instances == {"1g.10gb": 2, "3g.40gb": 1, "gpu": 1}
    assert member.loses == loses
    assert member.changes == bool(planned)
    whole = of_look("gpu1", [], {"before": {"gpus": GPUS}, "planned": planned}, whole_node=True)
    assert whole.loses == (whole.instances if planned else {})


def test_a_node_is_idle_when_only_agents_hold_its_gpus() -> None:
    agent = {"pid": 7, "unit": "nvidia-dcgm.service"}
    work = {"pid": 8, "unit": "asr.service"}
    for processes, idle in (([], True), ([agent], True), ([agent, work], False), ([{"pid": 9, "unit": None}], False)):
        assert of_look("a", (), {"before": {"gpus": [gpu(0, processes=processes)]}, "planned": []}).idle is idle


def test_a_node_that_was_never_given_back_has_something_to_do() -> None:
    assert of_look("a", (), {"before": {"gpus": GPUS}, "planned": []}, to_resume=True).changes


# --- who is next ----------------------------------------------------------------------------------------------------


def next_hosts(members: list[Member], *given: Limit, size: str = "3", done: tuple[str, ...] = ()) -> tuple[str, ...]:
    batch = next_batch(members, done, steps.parse(size), 0, given)
    assert isinstance(batch, Batch)
    return batch.hosts


def test_out_of_service_first_then_idle_then_busy() -> None:
    members = [
        Member("busy", idle=False),
        Member("idle"),
        Member("out", out="drained: disk"),
        Member("right", changes=False),
    ]
    assert [member.name for member in order(members)] == ["out", "idle", "right", "busy"]
    assert next_hosts(members) == ("out", "idle", "busy")
    assert next_hosts(members, done=("idle",)) == ("out", "busy")
    assert next_batch(members, ("out", "idle", "busy"), steps.parse("1"), 3, []) is None


def test_a_node_that_is_out_counts() -> None:
    members = fleet(4)
    assert next_hosts(members, parse_max_unavailable("2")) == ("gpu0", "gpu1")
    lost = [*members, Member("gpu9", changes=False, out="drained: disk")]
    assert next_hosts(lost, parse_max_unavailable("2")) == ("gpu0",)
    blocked = next_batch(lost, (), steps.parse("1"), 0, [parse_max_unavailable("1")])
    assert isinstance(blocked, Blocked)
    assert blocked.reason == (
        "gpu0 may not be taken out of service: at most 1 of the 5 nodes may be out of service; out already: gpu9"
    )
    assert blocked.hosts == ("gpu0", "gpu1", "gpu2", "gpu3")


def test_a_pool_that_is_full_does_not_keep_the_others() -> None:
    assert next_hosts(fleet(6), parse_max_unavailable("rack2:1")) == ("gpu0", "gpu1", "gpu3")


def test_a_floor_holds() -> None:
    serving: dict[str, Any] = {"instances": {"1g.10gb": 7}, "loses": {"1g.10gb": 7}}
    members = fleet(3, **serving)
    assert next_hosts(members, Floor("1g.10gb", 14)) == ("gpu0",)
    assert next_hosts(members, Floor("1g.10gb", 7)) == ("gpu0", "gpu1")
    blocked = next_batch(members, (), steps.parse("1"), 0, [Floor("1g.10gb", 15)])
    assert isinstance(blocked, Blocked)
    assert "at least 15 x 1g.10gb stay in service; of the 21 now, 14 would be left" in blocked.reason
    # Below the floor already: who takes none of them away may go on.
    assert next_hosts([*fleet(1), Member("full", **serving)], Floor("1g.10gb", 9)) == ("gpu0",)


counts = st.dictionaries(st.sampled_from(["1g.10gb", "3g.40gb", "gpu"]), st.integers(1, 7))


@st.composite
def fleets(draw: st.DrawFn) -> list[Member]:
    members = []
    for number in range(draw(st.integers(1, 8))):
        instances = draw(counts)
        loses = {profile: draw(st.integers(0, count)) for profile, count in instances.items()}
        members.append(
            Member(
                f"gpu{number}",
                tuple(draw(st.sets(st.sampled_from(["a", "b"])))),
                idle=draw(st.booleans()),
                changes=draw(st.booleans()),
                instances=instances,
                loses=loses,
                out=draw(st.sampled_from([None, None, None, "drained"])),
            )
        )
    return members


some_limits = st.lists(
    st.one_of(
        st.sampled_from(["1", "3", "50%", "a:1", "b:50%"]).map(parse_max_unavailable),
        st.builds(Floor, st.sampled_from(["1g.10gb", "3g.40gb", "gpu"]), st.integers(0, 30)),
    ),
    max_size=3,
)


@given(fleets(), some_limits, st.sampled_from(["1", "2", "1,50%", "100%"]))
def test_a_batch_keeps_every_limit_and_every_node_goes_once(
    members: list[Member], given_limits: list[Limit], sizes: str
) -> None:
    done: list[str] = []
    number = 0
    wanted = {member.name for member in members if member.changes}
    while isinstance(batch := next_batch(members, done, steps.parse(sizes), number, given_limits), Batch):
        assert 0 < len(batch.hosts) <= steps.parse(sizes).size(number, len(members))
        assert not set(batch.hosts) & set(done)
        assert set(batch.hosts) <= wanted
        taken = [member for member in members if member.name in batch.hosts]
        out = [member for member in members if member.out or member in taken]
        for limit in given_limits:
            if isinstance(limit, Floor):
                left = sum(m.instances.get(limit.profile, 0) for m in members if not m.out) - sum(
                    m.loses.get(limit.profile, 0) for m in taken if not m.out
                )
                assert left >= limit.count or not any(m.loses.get(limit.profile) for m in taken if not m.out)
            elif any(not m.out and (limit.pool is None or limit.pool in m.groups) for m in taken):
                pool = [m for m in members if limit.pool is None or limit.pool in m.groups]
                assert sum(m in out for m in pool) <= limit.amount.of(len(pool))
        done += batch.hosts
        number += 1
    if batch is None:
        assert set(done) == wanted
    else:
        # Blocked only where each one that is left would break a limit by itself.
        for name in batch.hosts:
            assert any(limit.broken_by(members, {name}) for limit in given_limits)


def test_the_same_fleet_gives_the_same_batch() -> None:
    members = fleet(9)
    assert next_hosts(members, parse_max_unavailable("50%")) == next_hosts(list(members), parse_max_unavailable("50%"))
