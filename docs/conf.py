"""Sphinx's configuration; `make docs` builds. The pages are plain Markdown, the look is furo's."""

from __future__ import annotations

import migprov

project = "migprov"
author = "migprov contributors"
copyright = author
version = release = migprov.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
# Links as a forge makes them: `page.md#a-heading`.
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_use_rtype = False
# In docstrings `this` is code.
default_role = "code"
# --drain is two dashes.
smartquotes = False
add_module_names = False
python_use_unqualified_type_names = True

# Sessions with what the commands say, and JSON with `...`, are no whole programs.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"migprov {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
# Nothing is fetched when a page is read: fonts are the reader's own, scripts and styles lie beside the page.
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e4f", "color-brand-content": "#0b6e4f"},
    "dark_css_variables": {"color-brand-primary": "#5fd3a8", "color-brand-content": "#5fd3a8"},
}
