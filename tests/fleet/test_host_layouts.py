"""The layout that an inventory gives each host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from migprov.errors import BadRequest, InventoryError, LayoutFileError
from migprov.fleet.inventory import Inventory, open_inventory

LAYOUTS = """\
version: v1
mig-configs:
  voice:
    - {devices: all, mig-enabled: true, mig-devices: {3g.40gb: 2}}
  small:
    - {devices: all, mig-enabled: true, mig-devices: {1g.10gb: 7}}
"""
INLINE = "[{devices: [1], mig-enabled: true, mig-devices: {7g.80gb: 1}}]"
Write = Callable[[str], Inventory]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """An inventory of gpu1 with these variables, beside `layouts.yml`, in a folder that is not the current one."""
    (tmp_path / "layouts.yml").write_text(LAYOUTS)

    def _write(variables: str) -> Inventory:
        (tmp_path / "hosts.yml").write_text(f"gpu_nodes: {{hosts: {{gpu1: {{{variables}}}}}}}\n")
        return open_inventory(tmp_path / "hosts.yml")

    return _write


def profiles(inventory: Inventory) -> list[str]:
    found = inventory.layout("gpu1")
    assert found is not None
    return [instance.profile for entry in found.layout.entries for instance in entry.instances]


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ("mig_layout: voice, mig_layouts_file: layouts.yml", "3g.40gb"),
        ("mig_layout: '{{ \"sm\" ~ \"all\" }}', mig_layouts_file: '{{ inventory_dir }}/layouts.yml'", "1g.10gb"),
        (f"mig_layout: {INLINE}", "7g.80gb"),
        ("mig_layout_name: small, mig_layout_file: layouts.yml", "1g.10gb"),
        (f"mig_layout_config: {INLINE}", "7g.80gb"),
        # the role's own variables win
        ("mig_layout: voice, mig_layout_name: small, mig_layouts_file: layouts.yml", "1g.10gb"),
        ("mig_layout: small, mig_layouts_file: absent.yml, mig_layout_file: layouts.yml", "1g.10gb"),
        (f"mig_layout: voice, mig_layouts_file: layouts.yml, mig_layout_config: {INLINE}", "7g.80gb"),
        (f"mig_layout_name: voice, mig_layout: {INLINE}, mig_layouts_file: layouts.yml", "3g.40gb"),
        (f"mig_layout: {INLINE}, mig_layouts_file: absent.yml", "7g.80gb"),
    ],
)
def test_the_layout_of_a_host(write: Write, variables: str, first: str) -> None:
    assert profiles(write(variables))[0] == first


def test_where_it_stands_is_told(write: Write, tmp_path: Path) -> None:
    found = write("mig_layout: voice, mig_layouts_file: layouts.yml").layout("gpu1")
    assert found is not None
    assert (found.file, found.name) == (str(tmp_path / "layouts.yml"), "voice")
    assert found.layout.to_json()[0]["source"] == f"{tmp_path}/layouts.yml:4"
    found = write(f"mig_layout: {INLINE}").layout("gpu1")
    assert found is not None
    assert (found.file, found.name) == (None, None)


def test_the_current_folder_comes_after_the_inventorys(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "only-here.yml").write_text(LAYOUTS)
    (here / "layouts.yml").write_text("not a layout file")
    assert profiles(write("mig_layout: voice, mig_layouts_file: only-here.yml"))[0] == "3g.40gb"
    assert profiles(write("mig_layout: voice, mig_layouts_file: layouts.yml"))[0] == "3g.40gb"


@pytest.mark.parametrize("variables", ["", "mig_layouts_file: layouts.yml", "mig_layout: ''", "mig_layout: []"])
def test_a_host_without_one(write: Write, variables: str) -> None:
    inventory = write(variables)
    assert inventory.layout("gpu1") is None
    with pytest.raises(InventoryError, match="gpu1: mig_layout is not set; nothing was contacted"):
        inventory.layouts()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ("mig_layout: voice", "gpu1: mig_layout names a layout and no mig_layouts_file says where it stands"),
        ("mig_layout: voice, mig_layouts_file: absent.yml", "gpu1: mig_layouts_file names no file that is there"),
        ("mig_layout: vioce, mig_layouts_file: layouts.yml", "no layout named 'vioce'"),
        ("mig_layout: 7, mig_layouts_file: layouts.yml", "gpu1: mig_layout is neither a layout's name nor a list"),
        ("mig_layout: {devices: all}", "gpu1: mig_layout is neither a layout's name nor a list"),
        ("mig_layout: [{devices: all, mig-enabled: perhaps}]", "gpu1: mig_layout: "),
        (f"mig_layout_config: {INLINE}, mig_layout_name: voice", "mig_layout_name and mig_layout_config are both set"),
        ("mig_layout: voice, mig_layouts_file: [a]", "gpu1: mig_layouts_file is not the path of a file"),
    ],
)
def test_what_is_wrong_names_host_and_variable(write: Write, variables: str, says: str) -> None:
    with pytest.raises(BadRequest) as caught:
        write(variables).layouts()
    assert says in str(caught.value)
    assert "gpu1" in str(caught.value)


def test_a_broken_file_is_told_once_for_all_its_hosts_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "layouts.yml").write_text(LAYOUTS.replace("mig-enabled: true", "mig-enabled: perhaps", 1))
    (tmp_path / "hosts").write_text("gpu[1:50] mig_layout=voice mig_layouts_file=layouts.yml\n")
    with pytest.raises(LayoutFileError) as caught:
        open_inventory(tmp_path / "hosts").layouts()
    assert "gpu1, gpu2, gpu3 and 47 more: " in str(caught.value)
    assert str(caught.value).count("layouts.yml:4") == 1


def test_the_nearest_name_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "layouts.yml").write_text(LAYOUTS)
    (tmp_path / "hosts").write_text("gpu[1:2] mig_layout=vioce mig_layouts_file=layouts.yml\n")
    with pytest.raises(LayoutFileError) as caught:
        open_inventory(tmp_path / "hosts").layouts()
    assert (
        str(caught.value)
        .splitlines()[1]
        .endswith("no layout named 'vioce'. Did you mean voice? Next: correct them, or leave them out with --limit")
    )


def test_groups_say_it_for_their_hosts_and_a_file_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "layouts.yml").write_text(LAYOUTS)
    (tmp_path / "hosts").write_text("[a]\na[1:500]\n[b]\nb1\n")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text("mig_layouts_file: layouts.yml\nmig_layout: voice\n")
    (tmp_path / "group_vars" / "b.yml").write_text("mig_layout: small\n")
    inventory = open_inventory(tmp_path / "hosts")
    layouts = inventory.layouts()
    assert len({id(one.layout) for one in layouts.values()}) == 2
    assert (layouts["a500"].name, layouts["b1"].name) == ("voice", "small")


def test_an_encrypted_layout_file_without_its_secret_is_an_error(write: Write, tmp_path: Path) -> None:
    (tmp_path / "layouts.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n3132\n")
    with pytest.raises(LayoutFileError, match=r"gpu1: .*layouts\.yml"):
        write("mig_layout: voice, mig_layouts_file: layouts.yml").layouts()
