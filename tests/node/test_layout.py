"""The whole task, on every family: what is asked is there afterwards, a second run writes nothing."""

import json

import pytest

from .conftest import entry, profiles

PAIR = ["3g.40gb", "3g.40gb"]


@pytest.mark.parametrize(
    ("gpu", "instances"),
    [
        ("A30-24GB", ["2g.12gb", "1g.6gb", "1g.6gb+me"]),
        ("A100-40GB", ["4g.20gb", "3g.20gb"]),
        ("A100-80GB", PAIR),
        ("H100-80GB-SXM", ["1g.20gb", "1g.20gb", "3g.40gb"]),
        ("H100-NVL-94GB", ["1g.12gb"] * 7),
        ("H200-141GB", ["3g.71gb", "2g.35gb", "1g.18gb+me", "1g.18gb"]),
        ("RTX-PRO-6000-BLACKWELL-96GB", ["2g.48gb", "1g.24gb+me", "1g.24gb-me"]),
    ],
)
def test_cut_a_whole_card_and_verify(machine, gpu, instances):
    node = machine(f"1x{gpu}")
    entries = [entry(*instances)]
    planned = node.ok("layout", check=True, entries=entries)
    assert node.sim.write_count() == 0
    done = node.ok("layout", entries=entries)
    assert done["changed"]
    assert done["steps"] == done["planned"] == planned["steps"]
    assert sorted(name for name, _ in profiles(done)) == sorted(instances)
    assert profiles(planned) == profiles(done)
    for gi in done["after"]["gpus"][0]["instances"]:
        assert [ci["profile"] for ci in gi["compute_instances"]] == [gi["profile"]]
        assert gi["compute_instances"][0]["uuid"].startswith("MIG-")
    node.ok("verify", entries=entries)

    writes = node.sim.write_count()
    again = node.ok("layout", entries=entries)
    assert (again["changed"], again["steps"]) == (False, [])
    assert node.sim.write_count() == writes


def test_off_again_gives_the_whole_card_back(machine):
    node = machine("1xA100-80GB")
    node.layout(*PAIR)
    off = node.ok("layout", entries=[entry(enabled=False)])
    gpu = off["after"]["gpus"][0]
    assert (gpu["mig_current"], gpu["mig_pending"], gpu["instances"]) == (False, False, [])
    assert gpu["memory_mib"] == 81920


def test_what_fits_stays_as_it_is(machine):
    node = machine("1xH100-80GB-SXM")
    before = node.layout("3g.40gb", "1g.10gb", "1g.10gb")["after"]["gpus"][0]["instances"]
    reply = node.layout("3g.40gb", "2g.20gb")
    kept = next(gi for gi in before if gi["profile"] == "3g.40gb")
    assert kept in reply["after"]["gpus"][0]["instances"]
    assert sum(step["action"] == "destroy_gpu_instance" for step in reply["steps"]) <= 2


def test_gpus_that_no_entry_selects_are_not_touched(machine):
    node = machine("3xA100-80GB")
    node.layout("7g.80gb", gpus=[2])
    node.sim.reset_counters()
    node.layout(*PAIR, gpus=[1])
    assert {write["gpu"] for write in node.sim.writes()[-5:]} == {1}
    info = node.ok("info")["after"]["gpus"]
    assert not info[0]["mig_current"]
    assert [gi["profile"] for gi in info[2]["instances"]] == ["7g.80gb"]


def test_compute_instances_inside_a_gpu_instance(machine):
    node = machine("1xA100-80GB")
    three = {"profile": "3g.40gb", "compute_instances": ["1c.3g.40gb", "2c.3g.40gb"]}
    reply = node.layout(three, "4g.40gb")
    inner = reply["after"]["gpus"][0]["instances"][1]["compute_instances"]
    assert sorted(ci["profile"] for ci in inner) == ["1c.3g.40gb", "2c.3g.40gb"]
    assert node.ok("layout", entries=[entry(three, "4g.40gb")])["changed"] is False
    node.ok("verify", entries=[entry(three, "4g.40gb")])
    assert node.call("verify", entries=[entry("3g.40gb", "4g.40gb")])["error"]["code"] == "not_as_wanted"

    # the GPU instance stays when only what is inside it changes
    whole = node.layout("3g.40gb", "4g.40gb")
    assert {step["action"] for step in whole["steps"]} == {"destroy_compute_instance", "create_compute_instance"}


def test_compute_instances_stand_where_the_driver_has_places_for_them(machine):
    node = machine("1xA100-80GB")
    whole = node.layout("3g.40gb", "3g.40gb")["after"]["gpus"][0]["instances"]
    cut = {"profile": "3g.40gb", "compute_instances": ["1c.3g.40gb", "2c.3g.40gb"]}
    reply = node.layout(cut, "3g.40gb")
    assert reply["error"] is None
    assert [gi["gi_id"] for gi in reply["after"]["gpus"][0]["instances"]] == [gi["gi_id"] for gi in whole]
    # the first free place for each, largest first, would leave none for the last
    seven = {"profile": "7g.80gb", "compute_instances": ["3c.7g.80gb", "2c.7g.80gb", "2c.7g.80gb"]}
    reply = node.layout(seven)
    assert reply["error"] is None
    inner = reply["after"]["gpus"][0]["instances"][0]["compute_instances"]
    assert sorted((ci["start"], ci["size"]) for ci in inner) == [(0, 2), (2, 2), (4, 3)]


def test_a_fixed_placement(machine):
    node = machine("1xA100-80GB")
    reply = node.layout({"profile": "3g.40gb", "start": 0})
    assert profiles(reply) == [("3g.40gb", 0)]
    moved = node.layout({"profile": "3g.40gb", "start": 4})
    assert profiles(moved) == [("3g.40gb", 4)]
    assert node.layout("3g.40gb")["changed"] is False


def test_a_mixed_node(machine):
    node = machine("2xA100-80GB,1xT4")
    reply = node.layout("7g.80gb")
    assert [len(gpu["instances"]) for gpu in reply["after"]["gpus"]] == [1, 1, 0]
    writes = node.sim.write_count()
    assert node.layout("7g.80gb")["changed"] is False
    assert node.sim.write_count() == writes
    node.ok("verify", entries=[entry("7g.80gb")])
    node.refused("layout", "not_mig_capable", entries=[entry("7g.80gb", gpus=[2])])


def test_hopper_forgets_at_reboot_and_ampere_keeps_the_mode(machine):
    for gpu, kept in (("A100-80GB", True), ("H100-80GB-SXM", False)):
        node = machine(f"1x{gpu}")
        node.layout(*PAIR)
        node.sim.reboot()
        after = node.ok("info")["after"]["gpus"][0]
        assert (after["mig_current"], after["instances"]) == (kept, [])
        assert sorted(name for name, _ in profiles(node.layout(*PAIR))) == PAIR


@pytest.mark.parametrize(
    ("code", "text", "entries"),
    [
        ("unknown_profile", "no profile 1g.12gb; it has 1g.10gb", [entry("1g.12gb")]),
        ("unknown_profile", "no profile 1g.12gb", [entry("1g.10gb", "1g.12gb")]),
        ("layout_impossible", "the largest part that fits is 3g.40gb x 2", [entry("3g.40gb", "3g.40gb", "1g.10gb")]),
        ("unknown_gpu", "index 7 is no GPU of this node", [entry("7g.80gb", gpus=[7])]),
        ("bad_request", "profile id", [entry("19")]),
        ("bad_request", "want different things", [entry(gpus=[0], enabled=False), entry("7g.80gb")]),
    ],
)
def test_refused_before_the_first_write(machine, code, text, entries):
    node = machine("2xA100-80GB")
    node.layout(*["1g.10gb"] * 7)
    assert text in node.refused("layout", code, entries=entries)["message"]
    assert len(node.ok("info")["after"]["gpus"][0]["instances"]) == 7


def test_work_in_the_way_is_refused_by_name_and_work_beside_it_is_not(machine):
    node = machine("2xA100-80GB")
    pid = node.sim.hold(0, 9830)
    error = node.refused("layout", "gpu_busy", entries=[entry(*PAIR, gpus=[0])])
    assert error["holders"][0]["pid"] == pid
    assert str(pid) in error["message"]
    reply = node.layout(*PAIR, gpus=[1])
    assert reply["changed"]
    uuid = reply["after"]["gpus"][1]["instances"][0]["compute_instances"][0]["uuid"]
    inside = node.sim.hold(1, 9830, mig_uuid=uuid)
    node.refused("layout", "gpu_busy", entries=[entry("7g.80gb", gpus=[1])])
    busy = node.layout("3g.40gb", "1g.10gb", gpus=[1])
    assert busy["error"] is None
    kept = {p["gi_id"] for p in busy["after"]["gpus"][1]["processes"] if p["pid"] == inside}
    assert kept <= {gi["gi_id"] for gi in busy["after"]["gpus"][1]["instances"]}


def test_a_failure_is_told_and_taken_back(machine):
    node = machine("1xH100-80GB-SXM")
    node.layout("7g.80gb")
    node.sim.fault(0, call="nvmlDeviceCreateGpuInstanceWithPlacement", error=999, times=1)
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "nvml"
    assert reply["error"]["message"].startswith("GPU 0 (")
    assert [step["action"] for step in reply["steps"]] == ["destroy_compute_instance", "destroy_gpu_instance"]
    assert [step["action"] for step in reply["error"]["undone"]] == ["create_gpu_instance", "create_compute_instance"]
    assert profiles(reply) == [("7g.80gb", 0)]
    assert sorted(name for name, _ in profiles(node.layout(*PAIR))) == PAIR


def test_a_driver_that_says_success_and_does_nothing_is_not_believed(machine):
    node = machine("1xA100-80GB")
    node.sim.fault(0, hypervisor=True)
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "reset_refused"
    gpu = reply["after"]["gpus"][0]
    assert (gpu["mig_current"], gpu["mig_pending"]) == (False, True)
    node.sim.reboot()
    assert sorted(name for name, _ in profiles(node.layout(*PAIR))) == PAIR


def test_a_client_that_no_list_shows_leaves_the_mode_pending_and_the_next_run_finishes(machine):
    node = machine("1xA100-80GB")
    pid = node.sim.hold(0, 0, kind="monitor")
    node.hidden = True
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "gpu_busy"
    assert reply["after"]["gpus"][0]["mig_pending"] is True
    node.sim.release(pid)
    reply = node.layout(*PAIR)
    assert reply["error"] is None
    assert reply["steps"][0]["action"] == "reset_gpu"


def test_a_lost_gpu_is_named_and_the_others_are_read(machine):
    node = machine("2xA100-80GB")
    node.sim.fault(1, lost=True)
    info = node.ok("info")["after"]["gpus"]
    assert info[0]["error"] is None
    assert info[1]["error"]["code"] == "gpu_lost"
    assert "fell off the bus" in node.refused("layout", "gpu_lost", entries=[entry(*PAIR, gpus=[1])])["message"]
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "gpu_lost"
    assert len(profiles(reply)) == 2


def test_one_gpu_that_refuses_does_not_keep_the_others_from_theirs(machine):
    node = machine("3xA100-80GB")
    node.sim.hold(1, 9830)
    strict = node.refused("layout", "gpu_busy", entries=[entry(*PAIR)], stop_on_error=True)
    assert strict["gpu"] == 1
    reply = node.layout(*PAIR)
    assert reply["error"]["code"] == "gpu_busy"
    assert [len(gpu["instances"]) for gpu in reply["after"]["gpus"]] == [2, 0, 2]
    assert {gpu: row["result"] for gpu, row in reply["data"]["gpus"].items()} == {
        "0": "done",
        "1": "refused",
        "2": "done",
    }


def test_the_reply_is_plain_json_in_ascii(machine):
    reply = machine("1xT4").ok("info")
    json.dumps(reply).encode("ascii")
