"""`python -m migprov.cli`."""

from __future__ import annotations

from .main import main

main()
