"""What Kubernetes and NVIDIA's components read: read back, or compared to the letter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema
import pytest
import yaml

from migprov import layouts
from migprov.capacity.model import Workload
from migprov.fleet.kubernetes.config_map import CannotSay
from migprov.mig import geometry
from migprov.render import configmap, dcgm, device_plugin, gpu_operator, names, pods
from migprov.render.device_plugin import Sharing
from migprov.render.errors import CannotRender

from .plans import GIB, VOICE, cards, plan

LAYOUTS = """\
version: v1
mig-configs:
  voice:
    - devices: [0]
      mig-enabled: false
    - device-filter: ["0x20B210DE"]
      devices: [1]
      mig-enabled: true
      mig-devices: {3g.40gb: 1, 1g.10gb+me: 1, 1g.10gb: 1}
  split:
    - devices: all
      mig-enabled: true
      mig-devices: {1c.3g.40gb: 3}
"""


def of_text(text: str) -> dict[str, Any]:
    found = layouts.loads(text)
    return {name: found.layout(name).to_json() for name in found.names}


# --- layouts for the MIG manager ----------------------------------------------------------------------------------


def without_source(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in entry.items() if key != "source"} for entry in entries]


def test_layouts_are_read_back_from_the_configmap() -> None:
    given = of_text(LAYOUTS)
    file = configmap.file(given, "mine", "gpus")
    found = layouts.loads(file.text)  # the manifest, as our own reader takes it
    assert found.names == ("all-disabled", "voice", "split")
    for name, entries in given.items():
        assert without_source(found.layout(name).to_json()) == without_source(entries)
    manifest = yaml.safe_load(file.text)
    assert manifest["metadata"] == {"name": "mine", "namespace": "gpus"}
    off = yaml.safe_load(manifest["data"]["config.yaml"])["mig-configs"]["all-disabled"]
    assert off == [{"devices": "all", "mig-enabled": False}]


def test_a_layout_that_is_there_is_not_made_twice() -> None:
    given = of_text("version: v1\nmig-configs:\n  all-disabled: [{devices: [0], mig-enabled: false}]\n")
    assert configmap.config(given)["mig-configs"]["all-disabled"] == [{"devices": [0], "mig-enabled": False}]


def test_what_the_manager_cannot_be_told_is_refused() -> None:
    devices = "mig-devices: [{profile: 3g.40gb, start: 4}]"
    placed = f"version: v1\nmig-configs:\n  a: [{{devices: all, mig-enabled: true, {devices}}}]"
    with pytest.raises(CannotSay, match="places instances itself"):
        configmap.file(of_text(placed))
    unnamed = LAYOUTS.replace("voice:", '"voice pipeline":')
    with pytest.raises(CannotRender, match="'voice pipeline' cannot be the value of a label"):
        configmap.file(of_text(unnamed))
    with pytest.raises(CannotRender, match="no layout"):
        configmap.file({})
    with pytest.raises(CannotRender, match="'No' cannot be a name"):
        configmap.file(of_text(LAYOUTS), "No")


def test_the_layouts_of_a_plan() -> None:
    found = plan()
    made = layouts.loads(configmap.file(configmap.of_plan(found.configs)).text)
    (name,) = set(found.of_host.values())
    cut = [entry for entry in made.layout(name).to_json() if entry["mig_enabled"]]
    assert [[one["profile"] for one in entry["instances"]] for entry in cut] == [["1g.20gb"] * 3]


# --- the GPU Operator ---------------------------------------------------------------------------------------------

CONFIG: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "default": {"type": "string"}},
    "additionalProperties": False,
}
MIG_CONFIG = {**CONFIG, "properties": {**CONFIG["properties"], "default": {"enum": ["all-disabled", ""]}}}
ENV = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
        "additionalProperties": False,
    },
}


def component(**more: Any) -> dict[str, Any]:
    properties = {"enabled": {"type": "boolean"}, "env": ENV, **more}
    return {"type": "object", "properties": properties, "additionalProperties": False}


# What the definition of ClusterPolicy (nvidia.com/v1) says of these fields; the chart's values have the same.
CLUSTER_POLICY = {
    "type": "object",
    "properties": {
        "mig": {
            "type": "object",
            "properties": {"strategy": {"enum": ["none", "single", "mixed"]}},
            "additionalProperties": False,
        },
        "migManager": component(config=MIG_CONFIG),
        "devicePlugin": component(config=CONFIG),
        "dcgmExporter": component(config={**CONFIG, "properties": {"name": {"type": "string"}}}),
    },
    "additionalProperties": False,
}
FULL = gpu_operator.Options("single", True, "mine", "sharing", "four", "fields")


@pytest.mark.parametrize("options", [gpu_operator.Options(), gpu_operator.Options(manager=True), FULL])
def test_what_the_operator_is_told_is_of_its_fields(options: gpu_operator.Options) -> None:
    values = yaml.safe_load(gpu_operator.values(options).text)
    jsonschema.validate(values, CLUSTER_POLICY)
    assert yaml.safe_load(gpu_operator.patch(options).text) == {"spec": values}


def test_what_the_operator_is_told() -> None:
    assert yaml.safe_load(gpu_operator.values(FULL).text) == {
        "mig": {"strategy": "single"},
        # An empty default: nodes without the label stay as they are.
        "migManager": {"enabled": True, "config": {"name": "mine", "default": ""}},
        "devicePlugin": {"config": {"name": "sharing", "default": "four"}},
        "dcgmExporter": {"enabled": True, "config": {"name": "fields"}},
    }
    # Two that make layouts would undo each other's work.
    by_migprov = yaml.safe_load(gpu_operator.values(gpu_operator.Options(nfd=False)).text)
    assert by_migprov == {"nfd": {"enabled": False}, "mig": {"strategy": "mixed"}, "migManager": {"enabled": False}}
    with pytest.raises(CannotRender, match="not the ConfigMap's name"):
        gpu_operator.values(gpu_operator.Options(plugin_default="four"))


# --- sharing ------------------------------------------------------------------------------------------------------


def test_time_slicing() -> None:
    sharing = Sharing("mixed", time_slicing={"gpu": 4, "1g.10gb+me": 2, "nvidia.com/mig-3g.40gb": 3}, rename=True)
    wanted = """\
version: v1
flags:
  migStrategy: mixed
sharing:
  timeSlicing:
    renameByDefault: true
    failRequestsGreaterThanOne: true
    resources:
    - name: nvidia.com/gpu
      replicas: 4
    - name: nvidia.com/mig-1g.10gb.me
      replicas: 2
    - name: nvidia.com/mig-3g.40gb
      replicas: 3
"""
    file = device_plugin.file(sharing)
    assert "".join(line for line in file.text.splitlines(keepends=True) if not line.startswith("#")) == wanted
    manifest = yaml.safe_load(device_plugin.manifest(sharing, "mine", "gpus", "four").text)
    assert manifest["data"] == {"four": wanted}


def test_mps() -> None:
    assert device_plugin.config(Sharing(mps={"nvidia.com/gpu": 4})) == {
        "version": "v1",
        "flags": {"migStrategy": "none"},
        "sharing": {"mps": {"renameByDefault": False, "resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}},
    }
    assert device_plugin.config(Sharing("mixed")) == {"version": "v1", "flags": {"migStrategy": "mixed"}}


@pytest.mark.parametrize(
    ("sharing", "why"),
    [
        (Sharing(time_slicing={"gpu": 2}, mps={"gpu": 2}), "exclude each other"),
        (Sharing("mixed", mps={"3g.40gb": 2}), "only whole cards"),
        (Sharing("mixed", mps={"gpu": 2}), "nodes without MIG"),
        (Sharing("single", time_slicing={"3g.40gb": 2}), "with the MIG strategy mixed only"),
        (Sharing(time_slicing={"gpu": 1}), "wants 2 or more"),
        (Sharing("mixed", time_slicing={"3g.40gb": 2, "mig-3g.40gb": 3}), "given twice"),
        (Sharing("mixed", time_slicing={"19": 2}), "profile id"),
        (Sharing("mixed", time_slicing={"cpu": 2}), "no resource of the device plugin"),
    ],
)
def test_sharing_that_the_plugin_does_not_do(sharing: Sharing, why: str) -> None:
    with pytest.raises(CannotRender, match=why):
        device_plugin.config(sharing)


# --- names --------------------------------------------------------------------------------------------------------


def test_every_profile_of_every_product_has_a_name_that_kubernetes_takes() -> None:
    for product in geometry.products():
        for profile in product.card.profiles:
            name = names.resource_name(profile.name)
            assert name.removeprefix("nvidia.com/mig-") == profile.name.replace("+", ".")
            assert names.resource_name(name) == name
            assert names.label_value(name.removeprefix("nvidia.com/"), "it")
    assert names.resource_name("1g.10gb+me") == "nvidia.com/mig-1g.10gb.me"
    assert names.resource_name("3c.3g.40gb") == "nvidia.com/mig-3g.40gb"


def test_names_made_of_others_differ_where_these_do() -> None:
    given = ["asr", "ASR", "a s r", "a-s-r", "x" * 70, "x" * 71, "ä", "---", "voice/asr"]
    made = [names.dns_label(each) for each in given]
    assert made[0] == "asr"
    assert made[3] == "a-s-r"
    assert len(set(made)) == len(given)
    for each in made:
        assert names.object_name(each, "it") == each
        assert len(each) <= 63


# --- pods ---------------------------------------------------------------------------------------------------------


def documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def test_what_pods_ask_for() -> None:
    (found,) = documents(pods.file(VOICE, plan()).text)
    video = [{"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "compute,utility,video"}]
    assert found == {
        "language-model": {"replicas": 1, "resources": {"limits": {"nvidia.com/gpu": 1}}},
        names.dns_label("Speech To Text"): {
            "replicas": 3,
            "resources": {"limits": {"nvidia.com/mig-1g.20gb": 1}},
            "env": video,
        },
    }


def test_media_extensions_by_their_resource_name() -> None:
    both = [Workload("asr", 4 * GIB, engines=frozenset(["jpeg"])), Workload("tts", 8 * GIB, replicas=6)]
    (found,) = documents(pods.file(both, plan(both, cards(1))).text)
    assert found["asr"] == {"replicas": 1, "resources": {"limits": {"nvidia.com/mig-1g.10gb.me": 1}}}


def selected(template: dict[str, Any]) -> dict[str, list[str]]:
    terms = template["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    (term,) = terms
    assert {each["operator"] for each in term["matchExpressions"]} == {"In"}
    return {each["key"]: each["values"] for each in term["matchExpressions"]}


def test_products_are_told_apart_where_the_resource_does_not() -> None:
    # 1g.10gb is what both products call it.
    both = [
        Workload("old", 7 * GIB, replicas=7, products=("A100-80GB",)),
        Workload("new", 7 * GIB, replicas=7, products=("H100-80GB-PCIe",)),
    ]
    fleet = [*cards(1), *cards(1, "H100-80GB-PCIe", "gpu2")]
    (found,) = documents(pods.file(both, plan(both, fleet)).text)
    assert found["new"]["resources"] == found["old"]["resources"] == {"limits": {"nvidia.com/mig-1g.10gb": 1}}
    assert selected(found["new"]) == {"nvidia.com/gpu.product": ["NVIDIA-H100-PCIe", "NVIDIA-H800-PCIe"]}
    assert "NVIDIA-A100-SXM4-80GB" in selected(found["old"])["nvidia.com/gpu.product"]


def test_a_whole_card_of_one_product_among_others() -> None:
    llm = [Workload("llm", 100 * GIB)]
    fleet = [*cards(1), *cards(1, "H200-141GB", "gpu2")]
    (found,) = documents(pods.file(llm, plan(llm, fleet)).text)
    assert selected(found["llm"]) == {"nvidia.com/gpu.product": ["NVIDIA-H200", "NVIDIA-H200-NVL"]}


def test_the_strategy_single() -> None:
    asr = [Workload("asr", 10 * GIB, replicas=4)]
    (found,) = documents(pods.file(asr, plan(asr, cards(1)), pods.Options("single")).text)
    assert found["asr"]["resources"] == {"limits": {"nvidia.com/gpu": 1}}
    assert "NVIDIA-A100-SXM4-80GB-MIG-1g.20gb" in selected(found["asr"])["nvidia.com/gpu.product"]
    with pytest.raises(CannotRender, match=r"gpu1: the strategy single wants MIG mode on all GPUs.*mixed"):
        pods.file(VOICE, plan(), pods.Options("single"))


def test_patches_and_deployments() -> None:
    once = [replace(VOICE[1], most_per_node=1, replicas=1)]
    found = plan(once)
    name = names.dns_label("Speech To Text")
    (patch,) = documents(pods.file(once, found, pods.Options(form="patch", container="server")).text)
    assert patch["metadata"] == {"name": name}
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    assert (container["name"], "image" in container) == ("server", False)
    options = pods.Options(form="deployment", image="asr:1", namespace="voice", pin=True)
    (made,) = documents(pods.file(once, found, options).text)
    assert made["metadata"] == {"name": name, "namespace": "voice"}
    assert made["spec"]["selector"]["matchLabels"] == made["spec"]["template"]["metadata"]["labels"]
    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == "asr:1"
    assert selected(made["spec"]["template"]["spec"]) == {"kubernetes.io/hostname": ["gpu1"]}
    assert "podAntiAffinity" in made["spec"]["template"]["spec"]["affinity"]
    with pytest.raises(CannotRender, match="needs an image"):
        pods.file(once, found, pods.Options(form="deployment"))


def test_a_patch_ends_no_replica_that_the_plan_has_no_seat_for() -> None:
    wanted = (Workload("llm", 70 * GIB, replicas=3, headroom=0.0), Workload("asr", 4 * GIB, replicas=4))
    found = plan(wanted, cards(3))
    assert found.others == {"llm": 1}
    patches = pods.file(wanted, found, pods.Options(form="patch")).text
    replicas = {each["metadata"]["name"]: each["spec"].get("replicas") for each in documents(patches)}
    assert replicas == {"llm": None, "asr": 4}
    assert "# llm: 1 more without a seat in the plan" in patches
    assert "# llm: 1 more without a seat in the plan" in pods.file(wanted, found).text


def test_replicas_that_ask_for_different_things_are_deployments_of_their_own() -> None:
    # Four of them do not go on the A100 alone, and an H200 has other profiles.
    asr = [Workload("asr", 10 * GIB, replicas=8)]
    fleet = [*cards(1), *cards(1, "H200-141GB", "gpu2")]
    found = plan(asr, fleet)
    groups = pods.groups(asr, found)
    assert sum(len(group.seats) for group in groups) == 8
    assert len({group.profile for group in groups}) == len(groups) > 1
    assert len({group.name for group in groups}) == len(groups)


# --- dcgm-exporter ------------------------------------------------------------------------------------------------


def fields(text: str) -> list[tuple[str, str]]:
    """As dcgm-exporter reads them: three columns, comments left out."""
    rows = [line.split(",", 2) for line in text.splitlines() if line and not line.startswith("#")]
    assert all(len(row) == 3 for row in rows)
    return [(field.strip(), kind.strip()) for field, kind, _ in rows]


def test_dcgm_exporter() -> None:
    asked = {"DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED", "DCGM_FI_PROF_SM_ACTIVE"}
    asked |= {"DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_DEV_GPU_UTIL"}
    config, values = dcgm.files("operator", "mine", "gpus")
    found = fields(yaml.safe_load(config.text)["data"]["dcgm-metrics.csv"])
    assert asked <= {name for name, _ in found}
    assert {kind for _, kind in found} == {"gauge"}
    told = yaml.safe_load(values.text)
    jsonschema.validate(told, CLUSTER_POLICY)
    assert told["dcgmExporter"]["config"] == {"name": "mine"}
    chart = yaml.safe_load(dcgm.files("chart", "mine")[1].text)
    (volume,), (mount,) = chart["extraConfigMapVolumes"], chart["extraVolumeMounts"]
    assert volume["configMap"]["name"] == "mine"
    assert (mount["name"], mount["mountPath"]) == (volume["name"], chart["arguments"][1])
    assert chart["securityContext"]["capabilities"]["add"] == ["SYS_ADMIN"]
    env, csv = dcgm.files("container")
    lines = dict(line.split("=", 1) for line in env.text.splitlines() if not line.startswith("#"))
    assert lines["DCGM_EXPORTER_COLLECTORS"].endswith(csv.name)
    assert lines["NVIDIA_MIG_MONITOR_DEVICES"] == "all"
    assert fields(csv.text) == found
