"""One reader: a shell and a Python that both stay, in one folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_MARK = "\x1e"
_PYTHON = """
import doctest, json, sys, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    block = json.loads(line)
    good = True
    try:
        if block["language"] == "pycon":
            test = doctest.DocTestParser().get_doctest(block["text"], names, block["where"], block["where"], 0)
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            good = not runner.run(test, clear_globs=False).failed
            names.update(test.globs)
        else:
            exec(compile(block["text"], block["where"], "exec"), names)
    except BaseException:
        good = False
        traceback.print_exc(file=sys.stdout)
    print(f"\\n\\x1e{0 if good else 1}", flush=True)
"""


class Ended(AssertionError):
    """The shell or the Python is gone."""


class Session:
    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder, self._env = folder, dict(env)
        self._shell: subprocess.Popen[str] | None = None
        self._python: subprocess.Popen[str] | None = None

    def run(self, command: str) -> tuple[str, int]:
        """What it said, on both streams, and its exit status."""
        if self._shell is None:
            self._shell = self._start("bash", "--norc", "--noprofile")
            self._ask(self._shell, f"set -o pipefail\nprintf '{_MARK}0\\n'\n")
        return self._ask(self._shell, f"{{ {command}\n}} </dev/null\nprintf '\\n{_MARK}%d\\n' $?\n")

    def execute(self, language: str, text: str, where: str) -> tuple[str, int]:
        """A block of Python; 0 where it went well."""
        if self._python is None:
            self._python = self._start(sys.executable, "-c", _PYTHON)
        return self._ask(self._python, json.dumps({"language": language, "text": text, "where": where}) + "\n")

    def end(self) -> None:
        """Both, and what they left in their groups."""
        for process in (self._shell, self._python):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                for stream in (process.stdin, process.stdout):
                    with contextlib.suppress(BrokenPipeError):
                        if stream:
                            stream.close()

    def _start(self, *command: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._env,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def _ask(self, process: subprocess.Popen[str], text: str) -> tuple[str, int]:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(text)
            process.stdin.flush()
        except BrokenPipeError:
            raise Ended("the session had ended before") from None
        said = []
        for line in process.stdout:
            if line.startswith(_MARK):
                return "".join(said).removesuffix("\n"), int(line[1:])
            said.append(line)
        raise Ended("".join(said))
