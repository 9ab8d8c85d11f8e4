"""What comes back from a node is not trusted: a reply has its shape, everything else is a clear error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from migprov import errors
from migprov.connect import command
from migprov.connect.command import excerpt, understand

REPLY: dict[str, Any] = {
    "protocol": 1,
    "program": "0.1.0",
    "task": "info",
    "check": False,
    "changed": False,
    "before": {"driver_version": "580.0", "gpus": []},
    "after": None,
    "steps": [],
    "planned": [],
    "data": {},
    "error": None,
}
TEXT = json.dumps(REPLY)


@pytest.mark.parametrize(
    "stdout",
    [
        TEXT,
        TEXT.encode() + b"\n",
        f"Welcome to gpu1!\n{{not json\n{TEXT}\n",
        f"{TEXT}\nlogout: goodbye\n".encode(),
        json.dumps(REPLY, indent=2),
        b"\xff\xfe noise\n" + TEXT.encode(),
    ],
    ids=["plain", "bytes", "login noise before", "after", "indented", "binary noise"],
)
@pytest.mark.parametrize("rc", [0, 1, 255])
def test_a_reply_is_found(stdout: str | bytes, rc: int):
    assert understand(rc, stdout, "warning: something", host="gpu1") == REPLY


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"protocol": 2}, "protocol 2, not 1"),
        ({"protocol": "\x1b[2J"}, "protocol"),
        ({"changed": "yes"}, "'changed' is of the wrong type"),
        ({"steps": {}}, "'steps' is of the wrong type"),
        ({"steps": ["x"]}, "a step is not an object"),
        ({"before": []}, "'before' is of the wrong type"),
        ({"before": {"gpus": 3}}, "'before' is not a state"),
        ({"after": {"gpus": [3]}}, "'after' is not a state"),
        ({"error": {"code": "x"}}, "'error' has no code and message"),
        ({"data": None}, "'data' is of the wrong type"),
    ],
)
def test_a_reply_of_the_wrong_shape_is_refused(change: dict[str, Any], says: str):
    with pytest.raises(errors.BadReply, match=says):
        understand(0, json.dumps({**REPLY, **change}), "", host="gpu1")


@pytest.mark.parametrize("key", sorted(set(REPLY) - {"protocol", "program"}))
def test_a_reply_that_lacks_something_is_refused(key: str):
    with pytest.raises(errors.BadReply, match=f"no '{key}'"):
        understand(0, json.dumps({k: v for k, v in REPLY.items() if k != key}), "", host="gpu1")


def test_a_reply_cut_off_is_refused_with_what_there_is():
    with pytest.raises(errors.BadReply) as caught:
        understand(-1, TEXT[: len(TEXT) // 2], "Killed", host="gpu1")
    assert caught.value.code == "bad_reply"
    assert caught.value.outcome_unknown
    assert str(caught.value).startswith("gpu1: ")
    assert "Killed" in str(caught.value)
    assert '"program": "0.1.0"' in str(caught.value)


def test_an_endless_reply_is_not_parsed():
    with pytest.raises(errors.BadReply, match="longer than 16 MiB"):
        understand(0, " " * command.MAX_REPLY + TEXT, "", host="gpu1")


def test_deep_nesting_is_no_traceback():
    with pytest.raises(errors.BadReply):
        understand(0, '{"protocol":' + "[" * 200_000, "", host="gpu1")


@pytest.mark.parametrize("printed", ["Welcome to gpu1 ", '{"a": 1} ', '{"protocol": ', "motd\\n{ gpu1 } "])
def test_what_a_login_script_printed_without_a_line_end_is_passed_over(printed: str):
    assert understand(0, f"{printed}{TEXT}\n", "", host="gpu1")["task"] == REPLY["task"]
    assert understand(0, f"noise\n{printed}{TEXT}\nbye", "", host="gpu1")["task"] == REPLY["task"]


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(-1, 255))
@example(b"", b"", command.NOT_THERE)
@example(b"", b"migprov-boot: ", command.PYTHON_TOO_OLD)
@example(b'{"protocol": 1}', b"migprov-boot: x", 0)
def test_whatever_comes_back_is_one_clean_line(stdout: bytes, stderr: bytes, rc: int):
    with pytest.raises(errors.NodeError) as caught:
        understand(rc, stdout, stderr, host="gpu1")
    text = str(caught.value)
    assert text.isprintable() or all(c.isprintable() or not c.isascii() for c in text)
    assert "\n" not in text
    assert len(text) < 1500


def test_a_private_status_without_our_word_for_it_is_not_believed():
    # Another program may end with the same number.
    with pytest.raises(errors.BadReply, match="exit status 110"):
        understand(command.NOT_THERE, "", "some shell", host="gpu1")


@pytest.mark.parametrize(
    ("rc", "kind", "code"),
    [
        (command.NOT_THERE, errors.ProgramMissing, "program_missing"),
        (command.NO_PYTHON, errors.NoPython, "no_python"),
        (command.PYTHON_TOO_OLD, errors.PythonTooOld, "python_too_old"),
        (command.UNSAFE_FOLDER, errors.UnsafeFolder, "unsafe_folder"),
        (command.CANNOT_STORE, errors.CannotStore, "cannot_store"),
        (command.BAD_TRANSFER, errors.BadReply, "bad_reply"),
    ],
)
def test_private_statuses(rc: int, kind: type[errors.NodeError], code: str):
    with pytest.raises(kind) as caught:
        understand(rc, "motd", "Warning: banner\nmigprov-boot: why \x1b[31m it is so", host="gpu1")
    assert (caught.value.code, caught.value.host) == (code, "gpu1")
    if rc != command.NOT_THERE:
        assert "why" in str(caught.value)
        assert caught.value.next
    assert "\x1b" not in str(caught.value)


def test_an_excerpt_can_not_act_on_a_terminal():
    assert excerpt("a\x1b]0;title\x07b\r\nc\u202ed\x9b") == "a ]0;title b c d"
    assert excerpt("x" * 500, 10) == "xxxxxxxxxx..."
