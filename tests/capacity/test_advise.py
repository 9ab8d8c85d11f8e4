"""The adviser: each rule of its table, and the command."""

from __future__ import annotations

import json
import string
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from migprov.capacity import busy
from migprov.capacity.advise import ADDING, DECIDING, Advice, Context, advise, table
from migprov.capacity.model import Workload
from migprov.capacity.products import ProductData, product
from tests.render.here import Here, here

__all__ = ["here"]

A100 = product("A100-80GB")
GIB = 1024
# 12 GiB with its headroom: more than 1g.10gb has.
ASR = Workload("asr", 10 * GIB)
TRUSTED = replace(ASR, isolation="none")
TINY = Workload("tiny", 2 * GIB, isolation="none", latency="batch")
KUBERNETES = Context("kubernetes")


class Case(NamedTuple):
    """`profile` and `clients` are what is advised with the strategy."""

    rule: str
    workload: Workload
    strategy: str
    profile: str | None = None
    clients: int | None = None
    on: ProductData | None = A100
    context: Context = Context()


CASES = [
    Case("without-headroom", Workload("llm", 70 * GIB), "whole"),
    Case("too-large", Workload("llm", 81 * GIB), "none"),
    Case("too-large", replace(ASR, products=("H200-141GB",)), "none"),
    Case("alone", replace(TINY, shares_card=False), "whole"),
    Case("no-mig-kept-apart", ASR, "whole", on=None),
    Case("no-mig-kept-apart", replace(TRUSTED, latency="interactive"), "whole", on=None),
    Case("no-mig-kept-apart", replace(TRUSTED, sms=20), "whole", on=None),
    Case("no-mig-clients", replace(TRUSTED, replicas=2), "mps", on=None),
    Case("no-mig-alone", TRUSTED, "time-slicing", on=None),
    Case("fills-the-card", Workload("llm", 40 * GIB), "whole"),
    Case("busy", ASR, "whole", context=Context(busy={"asr": 0.7})),
    Case("isolation", replace(TINY, isolation="required"), "mig", "1g.10gb"),
    Case("isolation", replace(ASR, isolation="required"), "mig", "1g.20gb"),
    Case("interactive", replace(TINY, latency="interactive"), "mig", "1g.10gb"),
    Case("floors", replace(TINY, sms=20), "mig", "2g.20gb"),
    Case("floors", replace(TINY, bandwidth_gbs=500.0), "mig", "1g.20gb"),
    Case("floors", replace(TINY, engines=frozenset(["jpeg"])), "mig", "1g.10gb+me"),
    # 6 of 13.2 GiB would be more than 80; MIG has room for 4.
    Case("many-clients", replace(TRUSTED, memory_mib=11 * GIB, replicas=9), "mps", None, 6),
    Case("many-clients", replace(TRUSTED, replicas=5), "mps", None, 5, context=KUBERNETES),
    Case("clients-of-an-instance", replace(TINY, replicas=3), "mps", "1g.10gb", 3),
    Case("small", TINY, "time-slicing", "1g.10gb", 3),
    Case("small", replace(TINY, replicas=2), "time-slicing", "1g.10gb", 2, context=KUBERNETES),
    Case("part-of-a-card", ASR, "mig", "1g.20gb"),
    Case("part-of-a-card", TRUSTED, "mig", "1g.20gb"),
    # Not more by MPS than MIG has instances for: nothing is won by it.
    Case("part-of-a-card", replace(TRUSTED, replicas=4), "mig", "1g.20gb"),
    # What was measured needs more SMs than the smallest that has the memory.
    Case("part-of-a-card", ASR, "mig", "2g.20gb", context=Context(busy={"asr": 0.2})),
    # Busy as they are, not more of them fit side by side than in instances.
    Case("part-of-a-card", replace(TRUSTED, replicas=9), "mig", "3g.40gb", context=Context(busy={"asr": 0.38})),
    # Time-slicing is for those who say that it may take longer.
    Case("part-of-a-card", replace(TINY, latency=None), "mig", "1g.10gb"),
    # Its replicas share with others only, so they are not each other's clients.
    Case("part-of-a-card", replace(TRUSTED, replicas=9, shares_card=("tts",)), "mig", "1g.20gb"),
]

ADDED = {
    "resource-name": (ASR, KUBERNETES),
    "no-plugin-mps-with-mig": (replace(TRUSTED, replicas=5), Context("kubernetes", mig_in_use=True)),
    "plugin-mps": (replace(TRUSTED, replicas=5), KUBERNETES),
    "mps-fault": (replace(TRUSTED, replicas=5), Context()),
    "mps-clients-of-an-instance": (replace(TINY, replicas=3), Context()),
    "no-memory-limit": (TINY, Context()),
    "not-measured": (TINY, Context()),
    "static-in-slurm": (ASR, Context("slurm")),
    "mode-needs-reset": (ASR, Context()),
    "no-nccl": (ASR, Context()),
}
NOT_ADDED = {
    "resource-name": (ASR, Context()),
    "no-plugin-mps-with-mig": (replace(TRUSTED, replicas=4), Context("kubernetes", mig_in_use=True)),
    "plugin-mps": (replace(TRUSTED, replicas=5), Context()),
    "mps-fault": (ASR, Context()),
    "mps-clients-of-an-instance": (replace(TRUSTED, replicas=5), Context()),
    "no-memory-limit": (ASR, Context()),
    "not-measured": (TINY, Context(busy={"tiny": 0.01})),
    "static-in-slurm": (ASR, KUBERNETES),
    "mode-needs-reset": (ASR, Context(mig_in_use=True)),
    "no-nccl": (replace(ASR, latency="interactive"), Context()),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.workload.name}")
def test_what_is_advised(case: Case) -> None:
    found = advise(case.workload, case.on, case.context)
    assert found.rules[0] == case.rule, found.reason
    clients = case.clients if case.on else None
    assert (found.strategy, found.profile, found.clients) == (case.strategy, case.profile, clients)
    assert found.reason.startswith(f"{case.workload.name}: ")
    assert not {"{", "}"} & set(found.reason + "".join(found.also))
    assert advise(case.workload, case.on, case.context) == found


@pytest.mark.parametrize("rule", ADDED)
def test_what_is_added(rule: str) -> None:
    assert rule in advise(ADDED[rule][0], A100, ADDED[rule][1]).rules
    assert rule not in advise(NOT_ADDED[rule][0], A100, NOT_ADDED[rule][1]).rules


def test_every_rule_is_covered_and_has_its_sources() -> None:
    deciding, adding, sources = table()
    assert [rule.name for rule in deciding] == list(DECIDING)
    assert [rule.name for rule in adding] == list(ADDING)
    assert {case.rule for case in CASES} == set(DECIDING)
    assert set(ADDED) == set(NOT_ADDED) == set(ADDING)
    used = {source for rule in (*deciding, *adding) for source in rule.sources}
    assert used == set(sources)
    assert all(rule.sources for rule in (*deciding, *adding))
    assert all(source.url.startswith("https://") for key, source in sources.items() if key not in ("stated", "table"))


def test_reasons_name_the_facts() -> None:
    found = advise(Workload("asr", 9831, latency="interactive"), A100, Context("kubernetes", True))
    assert "1g.20gb is the smallest that is enough for 11.5 GiB" in found.reason
    assert "nvidia.com/mig-1g.20gb" in found.also[0]
    found = advise(ASR, A100, Context(busy={"asr": 0.7}))
    assert "70%" in found.reason
    assert "4g.40gb, has 51.9%" in found.reason
    assert "jpeg" not in advise(replace(TINY, engines=frozenset(["jpeg"])), A100).reason
    assert "media engines" in advise(replace(TINY, engines=frozenset(["jpeg"])), A100).reason


def test_sentences_use_known_words_only() -> None:
    facts = {"need", "peak", "product", "lacks", "guard", "replicas", "busy", "largest", "largest_share", "profile"}
    facts |= {"profile_memory", "floors", "clients", "instances", "resource"}
    deciding, adding, _ = table()
    for rule in (*deciding, *adding):
        assert {name for _, name, _, _ in string.Formatter().parse(rule.because) if name} <= facts


def usage(workload: dict[str, str], sm_p95: float | None, profile: str | None = None) -> dict[str, Any]:
    return {"workload": workload, "sm_p95": sm_p95, "profile": profile, "product": "A100-80GB"}


def test_how_busy_workloads_are_by_an_audit(tmp_path: Path) -> None:
    findings: list[dict[str, Any]] = [
        {"workloads": [usage({"unit": "asr.service"}, 0.25), usage({"unit": "tts.service"}, None)]},
        {"workloads": [usage({"unit": "asr.service"}, 0.5, "3g.40gb")]},
        {"workloads": [usage({"unit": "odd.service"}, 0.5, "9g.90gb")]},
        {"host": "gpu9", "error": {"code": "unreachable"}},
    ]
    # Half of 3g.40gb's 42 of 108 SMs is less than a quarter of the card.
    (name, share), *others = busy.busy(findings).items()
    assert not others
    assert share == 0.25
    assert busy.busy(findings[1:])[name] == pytest.approx(21 / 108)
    path = tmp_path / "audit.json"
    path.write_text("\n".join(map(json.dumps, findings)))
    assert busy.load(path) == {name: 0.25}


WORKLOADS = """\
workloads:
  - {name: asr, memory: 9.6 GiB, latency: interactive}
  - {name: llm, memory: 100 GiB}
"""


def test_the_command(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "workloads.yml"
    path.write_text(WORKLOADS)
    answer = here("advise", path, "--product", "A100-80GB", "--product", "H200-141GB", "--json")
    assert answer.code == 2  # no A100 takes the llm
    told = [(line["workload"], line["product"], line["strategy"], line["profile"]) for line in answer.lines]
    assert told == [
        ("asr", "A100-80GB", "mig", "1g.20gb"),
        ("asr", "H200-141GB", "mig", "1g.18gb"),
        ("llm", "A100-80GB", "none", None),
        ("llm", "H200-141GB", "whole", None),
    ]
    assert set(answer.lines[0]) == set(Advice.__dataclass_fields__)
    text = here("advise", path, "--product", "H200-141GB")
    assert text.code == 0
    assert "asr: it is interactive" in text.out


def test_the_command_refuses_what_it_cannot_use(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "workloads.yml"
    path.write_text(WORKLOADS)
    odd = tmp_path / "odd.json"
    odd.write_text("[1]\n")
    for arguments in (
        [path],
        ["--product", "A100-80GB"],
        [path, "--product", "A101"],
        [tmp_path / "none.yml", "--product", "A100-80GB"],
        [path, "--product", "A100-80GB", "--audit", odd],
        [path, "--product", "A100-80GB", "--audit", tmp_path / "none"],
    ):
        answer = here("advise", *arguments)
        assert (answer.code, answer.out) == (1, ""), arguments
        assert answer.err
    rules = here("advise", "--rules")
    assert rules.code == 0
    assert all(rule in rules.out for rule in (*DECIDING, *ADDING))
