"""The command line. `main` is the entry point; what a command needs is imported when it runs."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
