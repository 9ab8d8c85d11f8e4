"""The commands on simulated nodes, over real SSH."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from migprov.sim.nodes import Fleet

from .conftest import PROGRAM, Migprov, writes

Up = Callable[..., Fleet]
KEYS = ["host", "changed", "failed", "unreachable", "before", "after", "steps", "error"]


def test_info_in_words_and_in_json(migprov: Migprov, make_fleet: Up) -> None:
    fleet = make_fleet(nodes=2, gpus=["2xA100-80GB", "1xA100-40GB,1xT4"])
    answer = migprov("info", "-i", fleet.inventory)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.count("A100-80GB") == 2
    assert "gpu2, driver " in answer.out
    assert "2 nodes: 2 answered, 0 failed, 0 unreachable" in answer.out
    answer = migprov("info", "-i", fleet.inventory, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert [list(line) for line in answer.lines] == [KEYS, KEYS]
    assert [line["host"] for line in answer.lines] == ["gpu1", "gpu2"]
    assert ["40GB" in gpu["name"] for gpu in answer.lines[1]["after"]["gpus"]] == [True, False]
    assert writes(fleet) == [0, 0]


def test_limit_and_forks(migprov: Migprov, make_fleet: Up) -> None:
    fleet = make_fleet(nodes=3, gpus="1xT4")
    answer = migprov("info", "-i", fleet.inventory, "--json", "--limit", "gpu_nodes:!gpu2", "--forks", 1)
    assert [line["host"] for line in answer.lines] == ["gpu1", "gpu3"]


def test_apply_verify_export_and_apply_again(migprov: Migprov, make_fleet: Up, layouts: Path, tmp_path: Path) -> None:
    fleet = make_fleet(nodes=2)
    where = ("-i", fleet.inventory)
    planned = migprov("apply", layouts, "voice", *where, "--check", "--json")
    assert planned.code == 0
    assert writes(fleet) == [0, 0]
    assert [line["changed"] for line in planned.lines] == [True, True]

    assert migprov("verify", layouts, "voice", *where).code == 2

    applied = migprov("apply", layouts, "voice", *where, "--json")
    assert (applied.code, applied.err) == (0, "")
    assert [line["steps"] for line in applied.lines] == [line["steps"] for line in planned.lines]
    assert [line["after"] for line in applied.lines] != [line["before"] for line in applied.lines]
    done = writes(fleet)
    assert min(done) > 0

    verified = migprov("verify", layouts, "voice", *where)
    assert (verified.code, verified.err) == (0, "")
    assert verified.out.count(": as wanted\n") == 2

    again = migprov("apply", layouts, "voice", *where)
    assert again.code == 0
    assert again.out.count("nothing to do") == 2
    assert writes(fleet) == done

    exported = migprov("export", *where)
    assert (exported.code, exported.err) == (0, "")
    (tmp_path / "exported.yml").write_text(exported.out)
    one = ("-i", fleet.inventory, "--limit", "gpu2")
    assert migprov("verify", tmp_path / "exported.yml", "gpu2", *one).code == 0
    (tmp_path / "one.yml").write_text(migprov("export", *one).out)
    again = migprov("apply", tmp_path / "one.yml", "current", *one, "--json")
    assert [(line["changed"], line["steps"]) for line in again.lines] == [(False, [])]
    assert writes(fleet) == done


def test_steps_and_diff_in_words(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    planned = migprov("apply", layouts, "voice", "-i", fleet.inventory, "--check", "--diff")
    done = migprov("apply", layouts, "voice", "-i", fleet.inventory, "--diff")
    assert "gpu1: would change" in planned.out
    assert "gpu1: changed" in done.out
    assert planned.out.replace("would change", "changed") == done.out
    assert "GPU 1: enable MIG mode" in done.out
    assert "+  3g.40gb at memory slice 4" in done.out
    assert "\x1b" not in done.out


def test_what_a_gpu_cannot_have_is_refused(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    answer = migprov("apply", layouts, "impossible", "-i", fleet.inventory, "--json")
    assert answer.code == 2
    (line,) = answer.lines
    assert (line["changed"], line["failed"], line["error"]["code"]) == (False, True, "layout_impossible")
    assert writes(fleet) == [0]
    answer = migprov("apply", layouts, "impossible", "-i", fleet.inventory)
    assert answer.code == 2
    assert "gpu1: failed" in answer.out
    assert "4g.40gb" in answer.out


def test_verify_says_what_differs(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    answer = migprov("verify", layouts, "seven", "-i", fleet.inventory)
    assert answer.code == 2
    assert "gpu1: failed" in answer.out
    assert "  - " in answer.out


def test_unreachable_nodes_are_4_and_failed_ones_win(migprov: Migprov, make_fleet: Up, layouts: Path) -> None:
    fleet = make_fleet(nodes=2, gpus=["3xA100-80GB", "3xT4"])
    assert fleet.nodes[0].stop() == []
    answer = migprov("info", "-i", fleet.inventory, "--json")
    assert answer.code == 4
    assert [line["unreachable"] for line in answer.lines] == [True, False]
    assert answer.lines[0]["error"]["code"] == "unreachable"
    # The T4 of the other node has no MIG, and the layout names it.
    answer = migprov("apply", layouts, "voice", "-i", fleet.inventory, "--json")
    assert answer.code == 2
    assert [(line["failed"], line["unreachable"]) for line in answer.lines] == [(True, True), (True, False)]
    answer = migprov("apply", layouts, "voice", "-i", fleet.inventory)
    assert "2 nodes: 0 changed, 1 failed, 1 unreachable" in answer.out


def test_export_leaves_out_what_does_not_answer(migprov: Migprov, make_fleet: Up) -> None:
    fleet = make_fleet(nodes=2)
    assert fleet.nodes[1].stop() == []
    answer = migprov("export", "-i", fleet.inventory)
    assert answer.code == 4
    assert "gpu1:" in answer.out
    assert "gpu2" not in answer.out
    assert "gpu2: " in answer.err


def test_a_changed_host_key(migprov: Migprov, make_fleet: Up) -> None:
    fleet = make_fleet(nodes=2, gpus="1xT4")
    lines = fleet.known_hosts.read_text().splitlines()
    keys = [line.split(" ", 1) for line in lines]
    fleet.known_hosts.write_text(f"{keys[0][0]} {keys[1][1]}\n{keys[1][0]} {keys[1][1]}\n")
    answer = migprov("info", "-i", fleet.inventory, "--json")
    assert answer.code == 4
    assert [line["failed"] for line in answer.lines] == [True, False]
    assert answer.lines[0]["error"]["code"] == "host_key"


def test_sudo_that_refuses(migprov: Migprov, make_fleet: Up) -> None:
    fleet = make_fleet(gpus="1xT4", sudo="refused")
    inventory = fleet.directory / "become.yml"
    inventory.write_text(fleet.inventory.read_text().replace("vars:", "vars:\n        ansible_become: true"))
    answer = migprov("info", "-i", inventory, "--json")
    assert answer.code == 2
    assert answer.lines[0]["error"]["code"] == "sudo_refused"
    inventory.unlink()


def test_a_node_without_python(migprov: Migprov, make_fleet: Up) -> None:
    fleet = make_fleet(gpus="1xT4", python="missing")
    answer = migprov("info", "-i", fleet.inventory, "--json")
    assert answer.code == 2
    assert answer.lines[0]["error"]["code"] == "no_python"


def test_local_uses_the_driver_that_the_loader_finds(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    environment = fleet.nodes[0].environment
    answer = migprov("apply", layouts, "voice", "--local", "--json", **environment)
    assert answer.code == 0, answer.out + answer.err
    assert [(line["host"], line["changed"]) for line in answer.lines] == [("localhost", True)]
    over_ssh = migprov("apply", layouts, "voice", "-i", fleet.inventory, "--json")
    assert [line["changed"] for line in over_ssh.lines] == [False]


def test_a_reader_that_goes_away_is_no_error(fleet: Fleet) -> None:
    done = subprocess.Popen(
        [*PROGRAM, "info", "-i", str(fleet.inventory), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert done.stdout is not None
    done.stdout.close()
    assert done.stderr is not None
    assert done.stderr.read() == b""
    done.stderr.close()
    assert done.wait(60) == 0


def on_a_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What the command writes on a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen(command, stdout=slave, stderr=slave, stdin=slave, env=environment) as process:
        os.close(slave)
        read = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            read += data
        os.close(master)
        assert process.wait(60) == 0
    return read.decode()


@pytest.mark.parametrize("plain", [True, False])
def test_colours_on_a_terminal_unless_unwanted(fleet: Fleet, layouts: Path, plain: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"TERM": "xterm", **({"NO_COLOR": "1"} if plain else {})}
    command = [*PROGRAM, "apply", str(layouts), "voice", "-i", str(fleet.inventory), "--check", "--diff"]
    text = on_a_terminal(command, environment)
    assert "GPU 1: enable MIG mode" in text
    assert ("\x1b[32m" in text) is not plain


def test_ctrl_c_says_what_may_be_in_flight(make_fleet: Up, layouts: Path) -> None:
    fleet = make_fleet(nodes=2)
    for node in fleet:
        node.sim.fault(call="nvmlDeviceCreateGpuInstanceWithPlacement", hang_s=2.0)
    process = subprocess.Popen(
        [*PROGRAM, "apply", str(layouts), "voice", "-i", str(fleet.inventory), "--forks", "1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while fleet.nodes[0].sim.write_count() == 0:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Interrupted." in err
    assert "gpu2" in err
    assert '"host": "gpu1"' in out
    assert fleet.nodes[1].sim.write_count() == 0


def test_a_second_ctrl_c_does_not_wait(make_fleet: Up, layouts: Path) -> None:
    fleet = make_fleet()
    fleet.nodes[0].sim.fault(call="nvmlDeviceCreateGpuInstanceWithPlacement", hang_s=600)
    command = [*PROGRAM, "apply", str(layouts), "voice", "-i", str(fleet.inventory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        while fleet.nodes[0].sim.write_count() == 0:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        waiting = ""
        while "Waiting for what is under way: gpu1." not in waiting:
            line = process.stderr.readline()
            assert line
            waiting += line
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert "May still be changing" in err
    assert "gpu1" in err


def test_sim_reboot_ends_sessions_and_keeps_the_address(migprov: Migprov, fleet: Fleet, layouts: Path) -> None:
    (node,) = fleet.nodes
    assert migprov("apply", layouts, "voice", "-i", fleet.inventory).code == 0
    holder = node.sim.hold(0, 100)
    answer = migprov("sim", "reboot", "-n", node.directory)
    assert (answer.code, answer.err) == (0, "")
    assert not holder.alive
    (line,) = migprov("info", "-i", fleet.inventory, "--json").lines
    assert [gpu["mig_current"] for gpu in line["after"]["gpus"]] == [False, True, True]
    assert [gpu["instances"] for gpu in line["after"]["gpus"]] == [[], [], []]
    server = node.server  # that which the other process started
    assert server is not None
    fleet.down()
    assert not server.running


def test_sim_up_and_down(migprov: Migprov, tmp_path: Path) -> None:
    lab = tmp_path / "my lab"
    up = migprov("sim", "up", "--nodes", 2, "--gpus", "1xA100-80GB", "--gpus", "2xT4", "--dir", lab)
    try:
        assert (up.code, up.err) == (0, "")
        commands = [line.strip() for line in up.out.splitlines() if line.startswith("  ")]
        assert f"migprov info -i '{lab}/inventory.yml'" in commands
        (ssh,) = (line for line in commands if line.startswith("ssh "))
        listed = subprocess.run(["sh", "-c", ssh], capture_output=True, text=True, check=False)
        assert listed.stdout.count("GPU-") == 1, listed.stderr
        answer = migprov("info", "-i", lab / "inventory.yml", "--json")
        assert [len(line["after"]["gpus"]) for line in answer.lines] == [1, 2]
        again = migprov("sim", "up", "--dir", lab)
        assert again.code == 1
        assert "migprov sim down" in again.err
    finally:
        down = migprov("sim", "down", "--dir", lab)
    assert (down.code, down.err) == (0, "")
    assert list(tmp_path.iterdir()) == []
    assert migprov("sim", "down", "--dir", lab).code == 0


def test_the_installed_command_is_this_one(migprov: Migprov) -> None:
    program = Path(sys.executable).parent / "migprov"
    if not program.exists():
        pytest.skip("migprov is not installed in this environment (make dev)")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    assert done.stdout == migprov("--version").out


def test_an_export_that_a_node_has_nothing_for_names_the_node(migprov: Migprov, make_fleet: Up) -> None:
    fleet = make_fleet(nodes=2, gpus=["1xT4", "1xA100-80GB"])
    answer = migprov("export", "-i", fleet.inventory, "--limit", "gpu1")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "Error: gpu1: there is no GPU with MIG whose layout could be exported.\n"
    both = migprov("export", "-i", fleet.inventory)
    assert (both.code, both.err) == (0, "")
    assert "# gpu1 is left out: it has no GPU with MIG that answers" in both.out
