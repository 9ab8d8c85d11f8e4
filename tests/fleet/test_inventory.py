"""Ansible inventories as targets, read through ansible-core; nothing is contacted here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from migprov.connect.target import Target
from migprov.errors import InventoryError
from migprov.fleet.inventory import read

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an inventory in YAML."""

    def _write(text: str) -> Path:
        path = tmp_path / "inventory.yml"
        path.write_text(text)
        return path

    return _write


def one(inventory: Path, name: str | None = None) -> Target:
    (target,) = read(inventory, name)
    return target


def host(variables: str) -> str:
    return f"gpu_nodes: {{hosts: {{gpu1: {{{variables}}}}}}}"


def test_what_the_variables_say_is_in_the_target(write: Write) -> None:
    target = one(
        write(
            host(
                "ansible_host: 10.0.0.1, ansible_port: '2222', ansible_user: ops, ansible_ssh_timeout: 7, "
                "ansible_ssh_private_key_file: /k/one, ansible_python_interpreter: /opt/python, ansible_become: yes, "
                "ansible_become_user: gpu-admin, ansible_become_exe: /opt/sudo, "
                "ansible_ssh_common_args: '-o UserKnownHostsFile=/k/known -o GlobalKnownHostsFile=/dev/null "
                "-o ProxyJump=me@bastion:99 -i /k/two -C -o ServerAliveInterval=5'"
            )
        )
    )
    assert (target.name, target.host, target.port, target.user) == ("gpu1", "10.0.0.1", 2222, "ops")
    assert (target.key_files, target.known_hosts) == (("/k/one", "/k/two"), "/k/known")
    assert (target.proxy_jump, target.proxy_command) == ("me@bastion:99", None)
    assert (target.become, target.become_user, target.become_exe) == (True, "gpu-admin", "/opt/sudo")
    assert (target.python, target.connect_timeout, target.connection) == ("/opt/python", 7, "ssh")


def test_older_names_of_variables_count_too(write: Write) -> None:
    target = one(write(host("ansible_ssh_host: h, ansible_ssh_port: 23, ansible_ssh_user: u, ansible_ssh_timeout: 3")))
    assert (target.host, target.port, target.user, target.connect_timeout) == ("h", 23, "u", 3)


def test_nothing_said_leaves_it_to_the_ssh_configuration(write: Write) -> None:
    target = one(write(host("")))
    assert (target.host, target.port, target.user, target.key_files) == ("gpu1", None, None, ())
    assert (target.known_hosts, target.become, target.python) == (None, False, None)


def test_templates_and_group_variables(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("[gpu_nodes]\ngpu[1:2] number=4\n")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "gpu_nodes.yml").write_text("ansible_host: '{{ inventory_hostname }}.lab'\n")
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "gpu2.yml").write_text("ansible_port: '{{ 2200 + number | int }}'\n")
    first, second = read(tmp_path / "hosts")
    assert (first.host, first.port, second.host, second.port) == ("gpu1.lab", None, "gpu2.lab", 2204)


def test_a_folder_a_script_and_a_list(tmp_path: Path) -> None:
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "a.ini").write_text("a1\n")
    (folder / "b.yml").write_text("ungrouped: {hosts: {b1: {}}}")
    assert [target.name for target in read(folder)] == ["a1", "b1"]
    script = tmp_path / "script.py"
    script.write_text(
        f"#!{sys.executable}\nimport json\n"
        "print(json.dumps({'g': {'hosts': ['s1']}, '_meta': {'hostvars': {'s1': {'ansible_port': 24}}}}))\n"
    )
    script.chmod(0o755)
    assert [(target.name, target.port) for target in read(script)] == [("s1", 24)]
    assert [target.host for target in read("c1,c2")] == ["c1", "c2"]


@pytest.mark.parametrize(
    ("limit", "names"),
    [
        ("gpu2", ["gpu2"]),
        ("gpu_nodes:!gpu2", ["gpu1", "gpu3"]),
        ("~gpu[23]", ["gpu2", "gpu3"]),
        (None, ["gpu1", "gpu2", "gpu3"]),
    ],
)
def test_limit_is_ansibles_pattern(write: Write, limit: str | None, names: list[str]) -> None:
    inventory = write("gpu_nodes: {hosts: {gpu1: {}, gpu2: {}, gpu3: {}}}")
    assert [target.name for target in read(inventory, limit)] == names


@pytest.mark.parametrize("limit", ["", " ", ",", "~[", "@empty"])
def test_a_limit_that_says_nothing_is_not_taken_for_all_hosts(
    write: Write, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """As Ansible takes it: `--limit "$HOST"` with HOST not set would change the whole fleet."""
    inventory = write("gpu_nodes: {hosts: {gpu1: {}, gpu2: {}, gpu3: {}}}")
    monkeypatch.chdir(inventory.parent)
    (inventory.parent / "empty").write_text("\n")
    with pytest.raises(InventoryError, match="names no host"):
        read(inventory, limit)


def test_a_local_connection(write: Write) -> None:
    target = one(write(host("ansible_connection: local, ansible_python_interpreter: '{{ ansible_playbook_python }}'")))
    assert (target.connection, target.name, target.python) == ("local", "gpu1", sys.executable)


def test_a_host_key_check_that_is_switched_off_is_named_and_not_followed(write: Write) -> None:
    notes: list[str] = []
    inventory = write(host("ansible_ssh_common_args: '-o StrictHostKeyChecking=no -oUserKnownHostsFile=/k/known'"))
    (target,) = read(inventory, note=notes.append)
    assert target.known_hosts == "/k/known"
    assert notes == ["gpu1: StrictHostKeyChecking=no is not followed: migprov always checks host keys."]
    notes.clear()
    read(write(host("ansible_host_key_checking: false")), note=notes.append)
    assert notes == ["gpu1: ansible_host_key_checking is not followed: migprov always checks host keys."]


def test_the_options_of_ssh_in_all_their_forms(write: Write) -> None:
    target = one(
        write(
            host(
                'ansible_ssh_extra_args: \'-4Cl first -p 1 -J one,two -o "ProxyCommand nc %h %p" '
                "-oConnectTimeout=4 -o User=second -F /dev/null'"
            )
        )
    )
    assert (target.user, target.port, target.proxy_jump, target.proxy_command) == ("first", 1, "one,two", None)
    assert (target.connect_timeout, target.ssh_config) == (4, "none")


def test_a_known_hosts_file_with_a_space_in_its_name(write: Write) -> None:
    target = one(write(host("""ansible_ssh_common_args: "-o 'UserKnownHostsFile=\\"/a b/known\\"'" """)))
    assert target.known_hosts == "/a b/known"


def test_a_passphrase_goes_to_the_key(write: Write) -> None:
    target = one(write(host("ansible_ssh_private_key_passphrase: open sesame")))
    assert target.passphrase is not None
    assert target.passphrase("any key") == "open sesame"
    assert "sesame" not in str(target)


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ("ansible_connection: docker", "ansible_connection"),
        ("ansible_connection: winrm", "ansible_connection"),
        ("ansible_password: secret-word", "ansible_password"),
        ("ansible_ssh_pass: secret-word", "ansible_ssh_pass"),
        ("ansible_become: true, ansible_become_method: su", "ansible_become_method"),
        ("ansible_become: true, ansible_become_password: secret-word", "ansible_become_password"),
        ("ansible_become: true, ansible_become_flags: '-i'", "ansible_become_flags"),
        ("ansible_become: perhaps", "ansible_become"),
        ('ansible_become: true, ansible_become_exe: "sudo \'x"', "become_exe"),
        ("ansible_ssh_common_args: '-o HostKeyAlias=other'", "ansible_ssh_common_args"),
        ("ansible_ssh_common_args: '-o PreferredAuthentications=password'", "ansible_ssh_common_args"),
        ("ansible_ssh_common_args: '-W a:1'", "ansible_ssh_common_args"),
        ("ansible_ssh_common_args: 'bastion'", "ansible_ssh_common_args"),
        ('ansible_ssh_extra_args: "-o \'open"', "ansible_ssh_extra_args"),
        ("ansible_ssh_common_args: '-o \"UserKnownHostsFile=/a /b\"'", "ansible_ssh_common_args"),
        ("""ansible_ssh_common_args: '-o "UserKnownHostsFile=/a''b"'""", "ansible_ssh_common_args"),
        ("ansible_ssh_executable: /opt/ssh", "ansible_ssh_executable"),
        ("ansible_host: '{{ not_set_anywhere }}'", "ansible_host"),
        ("ansible_port: many", "ansible_port"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(write: Write, variables: str, variable: str) -> None:
    with pytest.raises(InventoryError) as caught:
        read(write(host(variables)))
    assert "gpu1: " in str(caught.value)
    assert variable in str(caught.value)
    assert "othing was contacted" in str(caught.value)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("address", ["-oProxyCommand=touch /tmp/x", "a b", "$(id)"])
def test_an_address_that_is_none_is_refused(write: Write, address: str) -> None:
    with pytest.raises(InventoryError, match=r"gpu1: host .* is not a valid name"):
        read(write(host(f"ansible_host: '{address}'")))


def test_no_matching_host(write: Write, tmp_path: Path) -> None:
    inventory = write(host(""))
    with pytest.raises(InventoryError, match=r"No host of .* matches 'gpu9'"):
        read(inventory, "gpu9")
    with pytest.raises(InventoryError, match="There is no inventory"):
        read(tmp_path / "absent.yml")
    empty = tmp_path / "empty.ini"
    empty.write_text("[gpu_nodes]\n")
    with pytest.raises(InventoryError, match="has no hosts"):
        read(empty)


def test_vault_variables_are_read_with_the_password_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hosts").write_text("gpu1\n")
    (tmp_path / "password").write_text("open sesame\n")
    (tmp_path / "group_vars").mkdir()
    secret = tmp_path / "group_vars" / "all.yml"
    secret.write_text("ansible_user: hidden\n")
    vault = ["ansible-vault", "encrypt", "--vault-password-file", str(tmp_path / "password"), str(secret)]
    subprocess.run(vault, check=True, capture_output=True)
    with pytest.raises(InventoryError):
        read(tmp_path / "hosts")
    # Ansible reads its settings once a process.
    program = "import sys; from migprov.fleet.inventory import read; print(read(sys.argv[1])[0].user)"
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "password"))
    answer = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "hosts")], capture_output=True, text=True, check=False
    )
    assert answer.stdout == "hidden\n", answer.stderr


def test_settings_of_ansible_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "ansible.cfg"
    settings.write_text("[defaults]\nremote_user=ops\nprivate_key_file=/k/cfg\n[privilege_escalation]\nbecome=true\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(settings))
    program = "from migprov.fleet.inventory import read; t = read('gpu1,')[0]; print(t.user, *t.key_files, t.become)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert answer.stdout == "ops /k/cfg True\n", answer.stderr
