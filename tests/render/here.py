"""The command in this process, where neither a node nor the process itself matters: quick."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migprov.cli.main import run
from tests.cli.conftest import Answer

Here = Callable[..., Answer]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs `migprov` with these arguments; its code, standard output and standard error."""

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        code = run([str(each) for each in arguments])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call
