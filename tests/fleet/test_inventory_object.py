"""The inventory as one object: hosts, groups, variables, several sources, vaults, what hosts have in common."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from migprov.errors import InventoryError
from migprov.fleet.inventory import open_inventory

LAYOUTS = "version: v1\nmig-configs:\n  voice:\n    - {devices: all, mig-enabled: true, mig-devices: {3g.40gb: 2}}\n"


@pytest.fixture
def pools(tmp_path: Path) -> Path:
    """Two pools below one parent, with a host that the direct driver cannot reach."""
    path = tmp_path / "hosts.yml"
    path.write_text(
        "fleet:\n  children:\n    pool_a: {hosts: {a1: {number: 1}, a2: {ansible_connection: docker}}}\n"
        "    pool_b: {hosts: {b1: {}}}\n  vars: {site: '{{ inventory_hostname }}.lab', list: [1, '{{ 1 + 1 }}']}\n"
    )
    return path


def test_names_groups_members_and_variables(pools: Path) -> None:
    inventory = open_inventory(pools, "pool_a")
    assert inventory.sources == (str(pools),)
    assert inventory.names() == ["a1", "a2"]
    assert inventory.groups("a1") == ["fleet", "pool_a"]
    # a limit chooses hosts, not what the fleet is
    assert inventory.members("fleet") == ["a1", "a2", "b1"]
    assert inventory.members("pool_b") == ["b1"]
    assert (inventory.variable("a2", "site"), inventory.variable("a1", "number")) == ("a2.lab", 1)
    assert inventory.variable("b1", "list") == [1, 2]
    assert inventory.variable("b1", "not_set") is None


def test_a_group_or_host_that_is_not_there_is_named(pools: Path) -> None:
    inventory = open_inventory(pools)
    with pytest.raises(InventoryError, match=r"no group 'pool_c'.*its groups: fleet, pool_a"):
        inventory.members("pool_c")
    for ask in (inventory.groups, inventory.layout, lambda host: inventory.variable(host, "site")):
        with pytest.raises(InventoryError, match="no host 'c1'"):
            ask("c1")


def test_only_targets_need_what_the_direct_driver_can_honour(pools: Path) -> None:
    inventory = open_inventory(pools)
    assert inventory.names() == ["a1", "a2", "b1"]
    with pytest.raises(InventoryError, match=r"^a2: ansible_connection is 'docker'"):
        inventory.targets()
    assert [target.name for target in open_inventory(pools, "!a2").targets()] == ["a1", "b1"]


def test_all_hosts_with_a_problem_are_in_one_message(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("good\nodd ansible_port=many\ngpu[1:1000] ansible_connection=winrm\n")
    with pytest.raises(InventoryError) as caught:
        open_inventory(path).targets()
    text = str(caught.value)
    assert text.startswith("1,001 hosts cannot be used; nothing was contacted:")
    assert "odd: Config 'port' for 'ssh' connection plugin from 'var: ansible_port' has an invalid value" in text
    assert "gpu1, gpu2, gpu3 and 997 more: ansible_connection is 'winrm'" in text
    assert len(text.splitlines()) == 3


def test_what_is_not_followed_is_said_once_for_all_hosts(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("gpu[1:9] ansible_host_key_checking=false\nlast ansible_shell_executable=/bin/zsh\n")
    notes: list[str] = []
    assert len(open_inventory(path, note=notes.append).targets()) == 10
    assert notes == [
        "gpu1, gpu2, gpu3 and 6 more: ansible_host_key_checking is not followed: migprov always checks host keys.",
        "last: ansible_shell_executable is not followed: the user's login shell starts the node program.",
    ]


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ("ansible_ssh_common_args='-o SetEnv=A=b'", "SetEnv is not followed"),
        ("ansible_ssh_retries=3", "ansible_ssh_retries is not followed"),
        ("ansible_connection=paramiko ansible_paramiko_host_key_checking=false", "host_key_checking is not followed"),
    ],
)
def test_what_is_not_followed_is_named(tmp_path: Path, variables: str, says: str) -> None:
    (tmp_path / "hosts").write_text(f"gpu1 {variables}\n")
    notes: list[str] = []
    open_inventory(tmp_path / "hosts", note=notes.append).targets()
    assert len(notes) == 1
    assert says in notes[0]


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ("ansible_shell_type=powershell", "ansible_shell_type"),
        ("ansible_connection=paramiko ansible_paramiko_proxy_command='nc %h %p'", "ansible_paramiko_proxy_command"),
        ("ansible_connection=paramiko ansible_paramiko_pass=secret-word", "ansible_paramiko_pass"),
    ],
)
def test_what_cannot_be_honoured_is_refused(tmp_path: Path, variables: str, variable: str) -> None:
    (tmp_path / "hosts").write_text(f"gpu1 {variables}\n")
    with pytest.raises(InventoryError, match=f"gpu1: {variable} ") as caught:
        open_inventory(tmp_path / "hosts").targets()
    assert "secret-word" not in str(caught.value)


def test_what_tunes_ansibles_own_transport_has_no_effect(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(
        "gpu1 ansible_pipelining=true ansible_ssh_transfer_method=scp ansible_remote_tmp=/x ansible_scp_extra_args=-l "
        "ansible_control_path=/y ansible_shell_type=fish\n"
    )
    notes: list[str] = []
    (target,) = open_inventory(tmp_path / "hosts", note=notes.append).targets()
    assert (target.host, notes) == ("gpu1", [])


def test_several_inventories_are_one_and_a_plugin_sees_all_hosts(tmp_path: Path) -> None:
    (tmp_path / "1-hosts").write_text("a1 kind=h100\nb1 kind=a100\n")
    (tmp_path / "2-constructed.yml").write_text(
        "plugin: ansible.builtin.constructed\nstrict: true\nkeyed_groups: [{key: kind, prefix: kind}]\n"
        "compose: {ansible_host: inventory_hostname ~ '.lab'}\n"
    )
    script = tmp_path / "script.py"
    script.write_text(f'#!{sys.executable}\nprint(\'{{"g": {{"hosts": ["s1"]}}, "_meta": {{"hostvars": {{}}}}}}\')\n')
    script.chmod(0o755)
    sources: list[str | Path] = [tmp_path / "1-hosts", tmp_path / "2-constructed.yml", script, "c1,"]
    inventory = open_inventory(sources)
    assert sorted(inventory.names()) == ["a1", "b1", "c1", "s1"]
    assert inventory.members("kind_h100") == ["a1"]
    assert {target.name: target.host for target in inventory.targets()}["b1"] == "b1.lab"


def test_another_hosts_variables_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(
        "bastion ansible_host=10.0.0.1\n"
        'gpu1 ansible_ssh_common_args="-J {{ hostvars.bastion.ansible_host }}" number="{{ groups.all | length }}"\n'
    )
    inventory = open_inventory(tmp_path / "hosts", "gpu1")
    assert inventory.targets()[0].proxy_jump == "10.0.0.1"
    assert inventory.variable("gpu1", "number") == 2


ASK = """
import sys
from migprov.errors import InventoryError
from migprov.fleet.inventory import open_inventory
try:
    inventory = open_inventory(sys.argv[1])
    print(inventory.names(), inventory.targets()[0].user)
except InventoryError as error:
    print(error)
"""


def ask(inventory: Path, **environment: str) -> str:
    """Ansible reads its settings once a process, so each question is a process."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, inventory],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def vaulted(tmp_path: Path) -> Path:
    """An inventory in which one value is encrypted, for the identity `prod`."""
    (tmp_path / "secret").write_text("open sesame\n")
    done = subprocess.run(
        [
            "ansible-vault",
            "encrypt_string",
            "--vault-id",
            f"prod@{tmp_path}/secret",
            "--name",
            "ansible_user",
            "hidden",
        ],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    folder = tmp_path / "inventory"
    (folder / "group_vars").mkdir(parents=True)
    (folder / "hosts").write_text("gpu1\n")
    (folder / "group_vars" / "all.yml").write_text(done.stdout)
    return folder


def test_a_value_of_an_identity_is_decrypted(vaulted: Path) -> None:
    secret = vaulted.parent / "secret"
    assert ask(vaulted, ANSIBLE_VAULT_IDENTITY_LIST=f"prod@{secret}") == "['gpu1'] hidden\n"
    assert ask(vaulted, ANSIBLE_VAULT_PASSWORD_FILE=str(secret)) == "['gpu1'] hidden\n"


def test_a_secret_that_is_missing_is_said(vaulted: Path) -> None:
    told = ask(vaulted)
    assert "gpu1: ansible_user cannot be resolved" in told
    assert "Next: give the vault's secret: ANSIBLE_VAULT_PASSWORD_FILE" in told
    told = ask(vaulted, ANSIBLE_VAULT_IDENTITY_LIST="prod@/no/such/file")
    assert "The vault secret prod@/no/such/file cannot be had" in told
    wrong = vaulted.parent / "wrong"
    wrong.write_text("guess\n")
    assert "gpu1: ansible_user cannot be resolved" in ask(vaulted, ANSIBLE_VAULT_PASSWORD_FILE=str(wrong))


def test_a_whole_file_without_its_secret(vaulted: Path) -> None:
    file = vaulted / "group_vars" / "all.yml"
    file.write_text("ansible_user: ops\n")
    encrypt = ["ansible-vault", "encrypt", "--vault-password-file", str(vaulted.parent / "secret"), str(file)]
    subprocess.run(encrypt, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    told = ask(vaulted)
    assert "gpu1: its variables cannot be read: A vault password must be specified" in told
    assert "Next: give the vault's secret" in told
    assert ask(vaulted, ANSIBLE_VAULT_PASSWORD_FILE=str(vaulted.parent / "secret")) == "['gpu1'] ops\n"


def test_a_layout_file_among_the_inventory_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "layouts.yml").write_text(LAYOUTS)
    with pytest.raises(InventoryError, match=r"layouts\.yml is a layout file, not an inventory"):
        open_inventory(folder / "layouts.yml")
    (folder / "hosts").write_text("gpu1\n")
    notes: list[str] = []
    assert open_inventory(folder, note=notes.append).names() == ["gpu1"]
    assert len(notes) == 1
    assert "layouts.yml is a layout file, and Ansible reads it as inventory there" in notes[0]
