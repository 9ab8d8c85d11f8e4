"""What is written into slurm.conf and gres.conf for a node's GPUs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migprov.fleet.commands import Local
from migprov.fleet.slurm import hostlist
from migprov.fleet.slurm.conf import gpus_of, gres_conf, node_gres, same
from migprov.fleet.slurm.devices import Gres
from migprov.fleet.slurm.errors import CannotEdit, SlurmError
from migprov.fleet.slurm.files import read_file, replace_file
from migprov.render.errors import RenderError
from migprov.render.gres import autodetect, explicit

from .cluster import missing


def gpu(index: int, *profiles: str, mig: bool | None = None, product: str = "A100-80GB", **more: Any) -> dict[str, Any]:
    """A GPU of the wire form, each instance with one compute instance."""
    instances = [
        {
            "gi_id": number,
            "profile": profile,
            "profile_id": {"3g.40gb": 9, "1g.10gb": 19, "1g.10gb+me": 20}[profile],
            "cap_minor": 3 + 135 * index + 9 * number,
            "compute_instances": [{"ci_id": 0, "profile": profile, "cap_minor": 4 + 135 * index + 9 * number}],
        }
        for number, profile in enumerate(profiles, 1)
    ]
    return {
        "index": index,
        "minor": index,
        "uuid": f"GPU-{index}",
        "name": "NVIDIA A100-SXM4-80GB",
        "device_id": "0x20B210DE",
        "product": product,
        "mig_current": bool(profiles) if mig is None else mig,
        "instances": instances,
        "error": None,
        **more,
    }


MIXED = [gpu(0), gpu(1, "3g.40gb", "3g.40gb")]
VOICE = explicit(MIXED)


def test_explicit_devices() -> None:
    assert [device.line("gn0") for device in VOICE.devices] == [
        "NodeName=gn0 Name=gpu Type=a100 File=/dev/nvidia0",
        "NodeName=gn0 Name=gpu Type=a100_3g.40gb "
        "MultipleFiles=/dev/nvidia1,/dev/nvidia-caps/nvidia-cap147,/dev/nvidia-caps/nvidia-cap148",
        "NodeName=gn0 Name=gpu Type=a100_3g.40gb "
        "MultipleFiles=/dev/nvidia1,/dev/nvidia-caps/nvidia-cap156,/dev/nvidia-caps/nvidia-cap157",
    ]
    assert VOICE.items == ("gpu:a100:1", "gpu:a100_3g.40gb:2")
    assert explicit(MIXED, type="h200", dev="/x").items == ("gpu:h200:1", "gpu:h200_3g.40gb:2")
    assert explicit([gpu(0, "1g.10gb+me")]).items == ("gpu:a100_1g.10gb.me:1",)
    assert explicit([gpu(0, mig=True)]).items == ()


def test_types_that_slurmd_finds_itself() -> None:
    # 40192 MiB are 39 GiB, rounded: Slurm does not use the name that the driver gives the profile
    assert autodetect(MIXED).items == ("gpu:nvidia_a100-sxm4-80gb:1", "gpu:nvidia_a100_3g.39gb:2")
    profiles = {"1": {"profiles": [{"profile_id": 9, "memory_mib": 40 * 1024}]}}
    assert autodetect(MIXED, profiles=profiles).items[1] == "gpu:nvidia_a100_3g.40gb:2"
    with pytest.raises(RenderError, match=r"MIG mode on and no MIG device.*no file was changed"):
        autodetect([gpu(0, mig=True)])


def test_what_is_not_known_is_refused() -> None:
    broken = gpu(0, "3g.40gb")
    broken["instances"][0]["cap_minor"] = None
    with pytest.raises(RenderError, match="mig-minors"):
        explicit([broken])
    with pytest.raises(RenderError, match="GPU 0 does not answer"):
        explicit([gpu(0, error={"code": "gpu_lost", "message": "fell off"})])


CONF = """# cluster
NodeName=DEFAULT CPUs=2
nodename=gn0 \\
  NodeAddr=10.0.0.1 Gres=gpu:h200:2,nvme:1 RealMemory=1000 # the first
NodeName=gn[1-3] NodeAddr=10.0.0.[2-4] Port=7001 gres=gpu:h200:2
PartitionName=p Nodes=ALL
"""


def test_slurm_conf_of_a_node_with_a_line_of_its_own() -> None:
    after = node_gres(CONF, "gn0", VOICE)
    assert after == CONF.replace(
        "nodename=gn0 \\\n  NodeAddr=10.0.0.1 Gres=gpu:h200:2,nvme:1 RealMemory=1000 # the first",
        "nodename=gn0   NodeAddr=10.0.0.1 Gres=gpu:a100:1,gpu:a100_3g.40gb:2,nvme:1 RealMemory=1000 # the first",
    )
    assert node_gres(after, "gn0", VOICE) == after


@pytest.mark.parametrize(
    ("node", "rest", "own"),
    [
        ("gn1", "gn[2-3] NodeAddr=10.0.0.[3-4]", "gn1 NodeAddr=10.0.0.2"),
        ("gn2", "gn[1,3] NodeAddr=10.0.0.[2,4]", "gn2 NodeAddr=10.0.0.3"),
    ],
)
def test_slurm_conf_of_a_node_among_others(node: str, rest: str, own: str) -> None:
    after = node_gres(CONF, node, VOICE)
    assert after == CONF.replace(
        "NodeName=gn[1-3] NodeAddr=10.0.0.[2-4] Port=7001 gres=gpu:h200:2\n",
        f"NodeName={rest} Port=7001 gres=gpu:h200:2\nNodeName={own} Port=7001 gres=gpu:a100:1,gpu:a100_3g.40gb:2\n",
    )
    assert node_gres(after, node, VOICE) == after


def test_slurm_conf_that_says_the_same_in_another_order_is_left_alone() -> None:
    text = "NodeName=gn[0-1] Gres=gpu:a100_3g.40gb:2,gpu:a100:1\n"
    assert node_gres(text, "gn0", VOICE) == text


def test_gres_of_a_default_line() -> None:
    text = "NodeName=DEFAULT Gres=gpu:h200:2,nvme:1\nNodeName=gn0 CPUs=2\n"
    assert node_gres(text, "gn0", VOICE).endswith("NodeName=gn0 CPUs=2 Gres=gpu:a100:1,gpu:a100_3g.40gb:2,nvme:1\n")
    assert node_gres("NodeName=gn0 Gres=gpu:a:1\n", "gn0", Gres(())) == "NodeName=gn0\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NodeName=gn1\nInclude nodes.conf\n", "has no line with NodeName=gn0"),
        ("NodeName=gn[0-3] Port=[7000-7001] Gres=gpu:a:1\n", "gives 2 values of port to 4 nodes"),
        ("NodeName=gn[0-x]\n", "is no list of names"),
    ],
)
def test_slurm_conf_that_cannot_be_edited(text: str, message: str) -> None:
    with pytest.raises(CannotEdit, match=message):
        node_gres(text, "gn0", VOICE)


def lines(node: str, gres: Gres) -> str:
    return "".join(f"{device.line(node)}\n" for device in gres.devices)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", lines("gn0", VOICE)),
        ("NodeName=gn1 Name=gpu File=/dev/nvidia0", "NodeName=gn1 Name=gpu File=/dev/nvidia0\n" + lines("gn0", VOICE)),
        (
            "# a\nNodeName=gn0 Name=gpu Type=h200 File=/dev/nvidia[0-1]\nNodeName=gn0 Name=nvme Count=1\n",
            "# a\n" + lines("gn0", VOICE) + "NodeName=gn0 Name=nvme Count=1\n",
        ),
        (
            "NodeName=gn[0-2] Name=gpu Type=h200 File=/dev/nvidia[0-1] # two\n",
            "NodeName=gn[1-2] Name=gpu Type=h200 File=/dev/nvidia[0-1] # two\n" + lines("gn0", VOICE),
        ),
        (
            "AutoDetect=nvml\n",
            "AutoDetect=nvml\n" + lines("gn0", VOICE).replace(" Name=gpu", " AutoDetect=off Name=gpu"),
        ),
        (
            "NodeName=gn0 Name=gpu Type=a100 File=/dev/nvidia0 Cores=0-3\n",
            lines("gn0", VOICE).replace("File=/dev/nvidia0\n", "File=/dev/nvidia0 Cores=0-3\n"),
        ),
    ],
)
def test_gres_conf(before: str, after: str) -> None:
    assert gres_conf(before, "gn0", VOICE) == after
    assert gres_conf(after, "gn0", VOICE) == after


def test_gres_conf_with_autodetect() -> None:
    wanted = autodetect(MIXED)
    text = "NodeName=gn[0-1] Name=gpu Type=h200 File=/dev/nvidia[0-1]\n"
    after = gres_conf(text, "gn0", wanted)
    assert after == text.replace("gn[0-1]", "gn1", 1) + "NodeName=gn0 AutoDetect=nvml\n"
    assert gres_conf(after, "gn0", wanted) == after
    assert gres_conf(after, "gn0", VOICE) == text.replace("gn[0-1]", "gn1", 1) + lines("gn0", VOICE)


def test_gres_conf_that_says_the_same_in_fewer_words_is_left_alone() -> None:
    text = "NodeName=gn[0-9] Name=gpu Type=a100 File=/dev/nvidia[0-1] Cores=0-3\n"
    assert gres_conf(text, "gn0", explicit([gpu(0), gpu(1)])) == text


def test_a_line_for_every_node_is_refused() -> None:
    with pytest.raises(CannotEdit, match=r"line 2 of gres.conf describes GPUs and names no node"):
        gres_conf("# x\nName=gpu File=/dev/nvidia0\n", "gn0", VOICE)


def test_values_of_gres() -> None:
    assert same("gpu:a:2(S:0-1),nvme:1", "nvme:1,gpu:a:2")
    assert same("gpu:a:1,gpu:a:1", "gpu:a:2")
    assert not same("gpu:a:2", "gpu:a:3")
    assert gpus_of("gpu:a:2(S:0),gpu:3,mps:200,(null)") == {"a": 2, "": 3}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gn0", ["gn0"]),
        ("gn[0-2,07],login", ["gn0", "gn1", "gn2", "gn07", "login"]),
        ("r[1-2]n[08-10]x", [f"r{r}n{n}x" for r in (1, 2) for n in ("08", "09", "10")]),
        ("17900,17901", ["17900", "17901"]),
        ("", []),
    ],
)
def test_lists_of_names(text: str, names: list[str]) -> None:
    assert hostlist.expand(text) == names
    assert hostlist.expand(hostlist.compress(names)) == names


@pytest.mark.parametrize(
    "text", ["gn[0-2", "gn0-2]", "gn[2-0]", "gn[]", "gn[a-b]", "gn[0-999999999]", "a[0-999]b[0-999]"]
)
def test_lists_that_are_none(text: str) -> None:
    with pytest.raises(CannotEdit):
        hostlist.expand(text)


@given(st.lists(st.from_regex(r"[a-c]{0,2}[0-9]{0,3}[x]?", fullmatch=True).filter(bool), max_size=12))
def test_compressed_lists_are_the_same_lists(names: list[str]) -> None:
    assert hostlist.expand(hostlist.compress(names)) == names


def test_slurm_reads_our_lists_as_we_do(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    conf = tmp_path / "slurm.conf"
    conf.write_text("ClusterName=c\nSlurmctldHost=localhost\nNodeName=n\nPartitionName=p Nodes=n\n")
    for names in (["gn9", "gn10", "gn12"], ["a01", "a02", "a10", "b1x"], ["x8", "x9", "x10", "login"]):
        words = ["env", f"SLURM_CONF={conf}", "scontrol", "show", "hostnames", hostlist.compress(names)]
        assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() == names


# -- the files themselves ----------------------------------------------------------------------------------------


def test_a_file_is_replaced_through_its_link_with_owner_and_mode_and_a_backup(tmp_path: Path) -> None:
    real, link = tmp_path / "real.conf", tmp_path / "a 'name'.conf"
    real.write_text("old\n")
    real.chmod(0o640)
    link.symlink_to(real)
    assert replace_file(Local(), str(link), "old\n", "new\n")
    assert (link.is_symlink(), real.read_text(), real.stat().st_mode & 0o777) == (True, "new\n", 0o640)
    assert replace_file(Local(), str(link), "new\n", "newer\n")
    (backup,) = tmp_path.glob("real.conf.migprov-*~")
    assert backup.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([link.name, real.name, backup.name])


def test_a_file_that_somebody_else_changed_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "slurm.conf"
    file.write_text("theirs\n")
    assert not replace_file(Local(), str(file), "old\n", "new\n")
    assert not replace_file(Local(), str(file), None, "new\n")
    assert file.read_text() == "theirs\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    file = tmp_path / "gres.conf"
    assert read_file(Local(), str(file)) is None
    assert replace_file(Local(), str(file), None, "new\n")
    assert (read_file(Local(), str(file)), file.stat().st_mode & 0o777) == ("new\n", 0o644)
    with pytest.raises(SlurmError, match=r"cannot be written.*it is as it was"):
        replace_file(Local(), str(tmp_path / "no" / "gres.conf"), None, "new\n")
    with pytest.raises(SlurmError, match=r"cannot be read"):
        read_file(Local(), str(tmp_path))
