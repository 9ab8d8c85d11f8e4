"""Layout files: mig-parted's format v1, stricter where it was dangerous and wider where people asked.

layouts = migprov.layouts.load("layouts.yml")
request = layouts.layout("speech").to_json()
"""

from __future__ import annotations

from .errors import LayoutError, Problem
from .export import export, export_many
from .file import Layout, LayoutFile, load, loads
from .possible import Verdict, possible, product, product_names
from .schema import text as schema_text

__all__ = [
    "Layout", "LayoutError", "LayoutFile", "Problem", "Verdict", "export", "export_many", "load", "loads", "possible",
    "product", "product_names", "schema_text",
]  # fmt: skip
