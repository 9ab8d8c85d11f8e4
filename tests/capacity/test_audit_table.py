"""Measurements from a CSV file."""

from __future__ import annotations

from pathlib import Path

import pytest

from migprov.capacity.sources import table
from migprov.capacity.sources.table import TableError, parse_text
from migprov.capacity.usage import Labels, own_rows, workload_rows

from .command import audit

HEADER = "host,gpu,model,memory_peak_gib,samples,window_s"
A100 = "NVIDIA A100-SXM4-80GB"


def test_cards_instances_and_workloads() -> None:
    rows = parse_text(
        "host,gpu,uuid,model,gi_id,profile,start,memory_total_mib,memory_peak_mib,memory_p95_mib,sm_p95_percent,"
        "util_peak_percent,covered_percent,samples,window_s,last_seen,namespace,pod\r\n"
        f'gpu1,0,GPU-a,"{A100}",,,,,9830,9000,20,100,95.5,4000,1209600,2026-11-22T09:30:00Z,,\r\n'
        f"gpu1,0,GPU-a,{A100},,,,,9830,,,,,4000,1209600,,voice,asr-0\r\n"
        "\r\n"
        f"gpu1,1,GPU-b,{A100},1,MIG 3g.40gb,4,,5000,,,,,4000,1209600,,,\r\n",
        "t.csv",
    )
    card, half = own_rows(rows)
    assert (card.product, card.memory_total_mib, card.memory_p95_mib) == ("A100-80GB", 81920, 9000)
    assert (card.sm_p95, card.util_peak, card.covered, card.last_seen) == (0.2, 1.0, 0.955, 1795339800.0)
    assert (half.gi_id, half.profile, half.start) == (1, "3g.40gb", 4)
    assert (half.memory_total_mib, half.card_memory_mib) == (40192, 81920)
    (pod,) = workload_rows(rows)
    assert (pod.workload, pod.memory_peak_mib, pod.memory_of) == (Labels("voice", "asr-0"), 9830, "workload")


def test_workloads_alone_are_added_up() -> None:
    lines = [f"{HEADER},unit,sm_p95_percent", f"g,0,{A100},10,100,3600,a,60", f"g,0,{A100},20.5,90,3600,b,70"]
    rows = parse_text("\n".join(lines), "t.csv")
    (own,) = own_rows(rows)
    assert (own.memory_peak_mib, own.samples, own.sm_p95) == (31232, 90, 1.0)
    # 0.0001 GiB is a part of a MiB, which counts whole.
    assert own_rows(parse_text(f"{HEADER}\ng,0,{A100},0.0001,9,60", "t"))[0].memory_peak_mib == 1


def test_the_percentile_of_a_sum_is_not_the_sum_of_percentiles() -> None:
    """Each of two batch jobs works 4 % of the time: neither has a percentile above 0, both together have."""
    columns = "unit,memory_p95_gib,sm_peak_percent,sm_p95_percent"
    lines = [f"{HEADER},{columns}", f"g,0,{A100},50,100,3600,a,0,50,0", f"g,0,{A100},40,100,3600,b,1,30,0"]
    (own,) = own_rows(parse_text("\n".join(lines), "t.csv"))
    assert (own.memory_peak_mib, own.memory_p95_mib, own.sm_p95) == (80 * 1024, 40 * 1024, 0.3)


def test_a_byte_order_mark_and_quotes(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b"\xef\xbb\xbf" + f'{HEADER},command\n"g,1",0,{A100},1,100,60,"say ""hi"", now"\n'.encode())
    own, work = sorted(table.read(file), key=lambda row: row.workload is not None)
    assert (own.host, str(work.workload)) == ("g,1", 'say "hi", now')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("host;gpu;memory_peak_mib\ng;0;1", "t.csv:1: column 1: its columns are separated by semicolons"),
        ("host\tgpu\ng\t0", "separated by tabs"),
        ("host,gpu,memory_peak\ng,0,1", "t.csv:1: column 3: 'memory_peak' is no column of this table; did you mean"),
        ("host,gpu,host\n", "t.csv:1: column 3: 'host' is there twice"),
        ("host,memory_peak_mib,samples,window_s\n", "t.csv:1: there is no column gpu or uuid"),
        ("host,gpu,memory_peak_mib,samples\n", "there is no column window_s"),
        (HEADER, "it has no line below its header"),
        ("", "there is no column host"),
        (f"{HEADER}\ng,0,{A100},1,2,3\ng,1,{A100},9,6,100,60", "t.csv:3: it has 7 values where the header has 6"),
        (f"{HEADER}\ng,0,{A100},much,2,3", "t.csv:2: column 4 (memory_peak_gib): 'much' is not a number"),
        (f'{HEADER}\ng,0,{A100},"9,6",2,3', "'9,6' is not a number"),
        (f"{HEADER}\ng,0,{A100},nan,2,3", "'nan' is not a number"),
        (f"{HEADER}\ng,0,{A100},-1,2,3", "'-1' is not a number of 0 or more"),
        (f"{HEADER}\ng,0.5,{A100},1,2,3", "column 2 (gpu): '0.5' is not a whole number"),
        (f"{HEADER}\ng,,{A100},1,2,3", "column 2 (gpu): is empty, and so is the UUID"),
        (f"{HEADER}\n,0,{A100},1,2,3", "column 1 (host): is empty"),
        (f"{HEADER}\ng,0,{A100},1,,3", "column 5 (samples): is empty"),
        (f"{HEADER},profile\ng,0,{A100},1,2,3,19", "19 is a profile id, not a name"),
        (f"{HEADER},profile\ng,0,{A100},1,2,3,3g.40gb", "neither gi_id nor start"),
        (f"{HEADER},gi_id\ng,0,{A100},1,2,3,1", "an instance is named"),
        (f"{HEADER},sm_p95_percent\ng,0,{A100},1,2,3,101", "101 is more than 100"),
        (f"{HEADER},first_seen\ng,0,{A100},1,2,3,yesterday", "'yesterday' is not a time such as"),
        (f"{HEADER},memory_peak_mib\ng,0,{A100},1,2,3,4", "memory_peak_mib too; give one"),
        (f"{HEADER}\ng,0,{A100},1,2,3\ng,0,{A100},1,2,3", "g/0: there are two lines"),
        (f"{HEADER}\ng,0,{A100},1e308,2,3", "'1e308' is more than can be"),
        (f"{HEADER},uuid,unit\ng,0,{A100},1,2,3,GPU-a,\ng,0,{A100},1,2,3,,b", "in one line and not given in another"),
        (f'{HEADER}\ng,0,"{A100},1,2,3', "it is not CSV"),
        (f"{HEADER}\ng\x1b[31m,0,{A100},1,2,3", "column 1 (host): it has characters that cannot be printed"),
    ],
)
def test_what_is_no_such_table(text: str, said: str) -> None:
    with pytest.raises(TableError) as caught:
        parse_text(text, "t.csv")
    assert said in str(caught.value)


def test_the_command(tmp_path: Path) -> None:
    file, workloads = tmp_path / "t.csv", tmp_path / "workloads.yml"
    file.write_text(
        f"{HEADER},unit\ng,0,{A100},9.6,2000,1209600,asr.service\ng,1,{A100},73.2,2000,1209600,llm.service\n"
    )
    answer = audit("--csv", file, "--json", "--workloads", workloads)
    assert (answer.code, answer.verdicts) == (0, {"g/0": "hollow", "g/1": "full"})
    from migprov.capacity import workloads_file

    assert [(each.name, each.memory_mib) for each in workloads_file.load(workloads).workloads] == [
        ("asr", 9831),
        ("llm", 74957),
    ]
    assert "2 cards: 82.8 GiB of 160.0 GiB used at peak, 52%" in audit("--csv", file).out
    hollow = audit("--csv", file, "--json", "--headroom", "600").verdicts
    assert hollow == {"g/0": "full", "g/1": "full"}

    # A file of the user's is not lost, and nothing is measured in vain.
    edited = workloads.read_text() + "# mine\n"
    workloads.write_text(edited)
    refused = audit("--csv", file, "--json", "--workloads", workloads)
    assert (refused.code, refused.out, workloads.read_text()) == (1, "", edited)
    assert "is there already" in refused.err and "--force" in refused.err
    assert audit("--csv", file, "--json", "--workloads", workloads, "--force").code == 0
    assert "# mine" not in workloads.read_text()

    file.write_text("host;gpu\n")
    assert (answer := audit("--csv", file)).code == 1 and "t.csv:1: column 1" in answer.err
    file.write_bytes(b"host,gpu\n\xff\xfe")
    assert (answer := audit("--csv", file)).code == 1 and "t.csv:2: it is not UTF-8" in answer.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of -i INVENTORY, --local, --prometheus URL and --csv FILE"),
        (["--csv", "/dev/null", "--local"], "one of -i INVENTORY"),
        (["--csv", "/no/such/file"], "cannot be read"),
        (["--local", "--window", "2d"], "--window goes with --prometheus"),
        (["--csv", __file__, "--for", "60"], "--for goes with -i or --local"),
        (["--csv", __file__, "--limit", "gpu1"], "--limit goes with"),
        (["--local", "--for", "2", "--every", "5"], "cannot sample every 5 s for 2 s"),
        (["--prometheus", "http://p", "--window", "1s"], "is not between a minute and five years"),
    ],
)
def test_what_cannot_be_asked_for(arguments: list[str], said: str) -> None:
    answer = audit(*arguments)
    assert (answer.code, answer.out) == (1, "")
    assert said in answer.err
