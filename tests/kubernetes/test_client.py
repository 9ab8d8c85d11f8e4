"""Which cluster is meant, what the account may do, and what is said when either is wrong."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from migprov.fleet.kubernetes import Api, DrainOptions, ResumeOptions, connect, drain, names, resume
from migprov.fleet.kubernetes.errors import ApiUnreachable, Denied, NoCluster
from migprov.fleet.kubernetes.looks import look
from migprov.fleet.kubernetes.manager import ManagerOptions, manage
from migprov.fleet.kubernetes.rights import MANAGER, NEEDED, missing

from .conftest import Place, until
from .test_config_map import OTHERS
from .test_drain import CHANGE, QUICK
from .test_manager import VOICE
from .test_resources import WHOLE

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "kubernetes.md"


def manifests(kind: str) -> list[dict[str, Any]]:
    """The documented manifests of a kind."""
    blocks = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    found = [one for block in blocks for one in yaml.safe_load_all(block) if isinstance(one, dict)]
    return [one for one in found if one.get("kind") == kind]


def test_the_documented_rights_are_those_that_are_asked_for() -> None:
    (cluster,), (role,) = manifests("ClusterRole"), manifests("Role")
    for manifest, wanted in ((cluster, NEEDED), (role, MANAGER)):
        given = {
            (group, resource, verb)
            for rule in manifest["rules"]
            for group, resource, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
        }
        assert given == {(group, resource, verb) for group, resource, verbs in wanted for verb in verbs}


@pytest.fixture
def roller(kubeconfig: Path) -> Iterator[Api]:
    """An account with no rights of its own."""
    with connect(str(kubeconfig.with_name("kubeconfig-roller"))) as api:
        yield api


@pytest.fixture
def grant(place: Place) -> Iterator[Callable[..., None]]:
    """Give the account `roller` a documented manifest's rights, without some, for a while."""
    from kubernetes import client

    rights, user = client.RbacAuthorizationV1Api(), [{"kind": "User", "name": "roller"}]
    made: list[Callable[[], object]] = []

    def give(kind: str, without: tuple[str, str] | None = None) -> None:
        (manifest,) = manifests(kind)
        name, cut = f"{place.namespace}-{kind.lower()}", []
        for rule in manifest["rules"]:
            resources = [one for one in rule["resources"] if not without or one != without[1]]
            verbs = [verb for verb in rule["verbs"] if not without or verb != without[0]]
            cut += [{**rule, "resources": resources}] if resources else []
            if without and without[1] in rule["resources"] and verbs:
                cut.append({**rule, "resources": [without[1]], "verbs": verbs})
        metadata, reference = {"name": name}, {"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        body, binding = {"metadata": metadata, "rules": cut}, {"metadata": metadata, "roleRef": reference}
        binding["subjects"] = user  # type: ignore[assignment]
        if kind == "ClusterRole":
            rights.create_cluster_role(body)  # type: ignore[arg-type]
            rights.create_cluster_role_binding(binding)  # type: ignore[arg-type]
            made.append(lambda: rights.delete_cluster_role(name))
            made.append(lambda: rights.delete_cluster_role_binding(name))
        else:
            rights.create_namespaced_role(place.namespace, body)  # type: ignore[arg-type]
            rights.create_namespaced_role_binding(place.namespace, binding)  # type: ignore[arg-type]

    yield give
    for undo in made:
        undo()


def test_the_documented_rights_are_enough(place: Place, roller: Api, grant: Callable[..., None]) -> None:
    node = place.node({names.DEVICE_PLUGIN: "true"}, {"nvidia.com/gpu": 1})
    place.node()
    place.daemon_set("plugin", "device-plugin", nodeSelector={names.DEVICE_PLUGIN: "true"})
    place.served("asr", 1)
    place.budget("asr-budget", "asr", minAvailable=0)
    grant("ClusterRole")
    until(lambda: missing(roller) == [], "the rights are known")
    drain(roller, node, CHANGE, DrainOptions(**QUICK))
    assert resume(roller, node, ResumeOptions(gpus=[WHOLE], **QUICK)).changed


def test_the_documented_rights_are_enough_for_the_manager(
    place: Place, roller: Api, grant: Callable[..., None]
) -> None:
    node = place.node({names.MANAGER: "true"})
    body = {"metadata": {"name": "parts"}, "data": {"config.yaml": OTHERS}}
    place.core.create_namespaced_config_map(place.namespace, body)
    volumes = [{"name": "mig-parted-config", "configMap": {"name": "parts"}}]
    place.daemon_set("manager", "mig-manager", nodeSelector={names.MANAGER: "true"}, volumes=volumes)
    until(lambda: place.on(node), "the manager is there")
    grant("ClusterRole")
    until(lambda: missing(roller) == [], "the rights are known")
    with pytest.raises(Denied, match=rf"get configmaps in {place.namespace}, patch configmaps in {place.namespace}"):
        look(roller, node, rights=True)
    grant("Role")
    until(lambda: missing(roller, manager_namespace=place.namespace) == [], "the rights are known")
    assert look(roller, node, rights=True).node.manager
    assert manage(roller, node, "voice", VOICE, ManagerOptions(timeout_s=120, poll_s=0.1)).changed


LACKING = [(verb, resource) for _group, resource, verbs in NEEDED for verb in verbs]


@pytest.mark.parametrize(("verb", "resource"), LACKING)
def test_a_right_that_lacks_is_named_before_anything_is_written(
    place: Place, roller: Api, grant: Callable[..., None], verb: str, resource: str
) -> None:
    grant("ClusterRole", (verb, resource))
    expected = [f"{verb} {resource}"]
    until(lambda: missing(roller) == expected, f"only {expected} lacks")
    with pytest.raises(Denied, match=rf"may not do what rolling a node takes: {verb} {resource}. Nothing was changed"):
        look(roller, place.node(), rights=True)


def test_without_rights_a_node_stays_as_it_is(place: Place, roller: Api) -> None:
    node = place.node()
    before = place.raw(node)["metadata"]["resourceVersion"]
    with pytest.raises(Denied, match=r"could not get the node .*forbidden"):
        drain(roller, node, CHANGE)
    assert place.raw(node)["metadata"]["resourceVersion"] == before


# --- which cluster ----------------------------------------------------------------------------------------------------


def test_no_cluster_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NoCluster, match=r"no kubeconfig .*absent. Nothing was contacted"):
        connect(str(tmp_path / "absent"))


@pytest.mark.parametrize("text", ["", "just words", "a: [", "apiVersion: v1\nkind: Config\n"])
def test_a_broken_kubeconfig_is_said_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(NoCluster, match=rf"{file} cannot be used"):
        connect(str(file))


def test_an_unknown_context_is_said_so(kubeconfig: Path) -> None:
    with pytest.raises(NoCluster, match=r"nonesuch"):
        connect(str(kubeconfig), "nonesuch")
    connect(str(kubeconfig), "test").close()


def test_the_environment_names_the_kubeconfig(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    with connect() as api:
        assert api.server == yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]


def test_a_server_that_does_not_answer_is_said_so(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migprov.fleet.kubernetes.client.READ_AGAIN_S", (0.01,))
    given = yaml.safe_load(kubeconfig.read_text())
    given["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(given))
    with connect(str(file)) as api, pytest.raises(ApiUnreachable, match=r"https://127.0.0.1:1 does not answer"):
        drain(api, "gpu-01", CHANGE)


def test_without_the_client_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "kubernetes.py").write_text("raise ImportError('no module named kubernetes')")
    script = "from migprov.fleet.kubernetes import connect\ntry: connect()\nexcept Exception as error: print(error)"
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert "pip install 'migprov[kubernetes]'" in done.stdout
