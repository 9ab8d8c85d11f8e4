"""Ctrl-C at moments when nothing can be written: in the middle of a write, and where nobody reads."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# Standard error presses Ctrl-C while a line with the word in it is being written.
PROGRAM = """
import io, os, signal, sys, threading, time
from migprov.cli import ctrl_c

word, presses = sys.argv[1].encode(), int(sys.argv[2])

class Pressing(io.FileIO):
    def write(self, data):
        global presses
        if word in bytes(data) and presses:
            presses -= 1
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)  # the main thread takes the signal here, if the line is its own
        return super().write(data)

sys.stderr = io.TextIOWrapper(io.BufferedWriter(Pressing(2, "w", closefd=False)), line_buffering=True)
stop = threading.Event()

def first():
    stop.set()
    print("stopping", file=sys.stderr)

with ctrl_c.twice(stop.is_set, first, lambda: print("leaving", file=sys.stderr)):
    print("begun", file=sys.stderr)
    if word != b"begun":
        os.kill(os.getpid(), signal.SIGINT)
    stop.wait(60)
    if word == b"stopping":
        threading.Event().wait(60)
sys.exit(3)
"""


@pytest.mark.parametrize(
    ("word", "presses", "code", "said"),
    [
        ("begun", 1, 3, "begun\nstopping\n"),
        ("stopping", 1, 130, "begun\nstopping\nleaving\n"),
        ("nothing", 0, 3, "begun\nstopping\n"),
    ],
)
def test_in_the_middle_of_a_write(word: str, presses: int, code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, word, str(presses)], capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, done.stderr) == (code, said)


DEAF = """
import os, signal, sys, threading
from migprov.cli import ctrl_c

stop = threading.Event()

def first():
    stop.set()
    print("x" * 1_000_000, file=sys.stderr)

with ctrl_c.twice(stop.is_set, first, lambda: print("leaving", file=sys.stderr)):
    print("begun", flush=True)
    while True:
        threading.Event().wait(1)
"""


def test_a_reader_that_does_not_read_keeps_nobody() -> None:
    process = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read(1) == b"x"  # it is being said, and nobody reads on
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.communicate()
