"""Layout files: mig-parted's format v1, stricter where it was dangerous and wider where people asked.

layouts = migprov.layouts.load("layouts.yml")
request = layouts.layout("speech").to_json()
"""

from __future__ import annotations

from .errors import LayoutError, Problem
from .export import export, export_many
from .file import Layout, LayoutFile, load, loads
from .schema import text as schema_text

__all__ = ["Layout", "LayoutError", "LayoutFile", "Problem", "export", "export_many", "load", "loads", "schema_text"]
