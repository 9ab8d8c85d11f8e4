"""Build the site: build/docs is what Sphinx reads, build/site what people read.

The checkout is copied as far as the pages need it, so that every relative link is what it is on a forge, and the
reference is written beside the pages. Warnings are errors.
"""

from __future__ import annotations

import re
import shutil
import sys
from functools import partial
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from . import pages

ROOT = Path(__file__).resolve().parents[2]
SOURCE, SITE = ROOT / "build" / "docs", ROOT / "build" / "site"
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "docs/_static/*", "roles/*/README.md")
_LINK = re.compile(r"\[([^]\n]*)\]\((?!https?:)([^)#\s]+)[^)]*\)")
_FETCHED = re.compile(r"""(?:src=|<link[^>]*href=|url\(|@import )["']?(?:https?:)?//[^"')\s]+""")
_LOCAL = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=docs/index.html">
<a href="docs/index.html">migprov</a>
"""


def stage() -> None:
    """The pages, and what they link to, in a fresh folder."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for pattern in DOCUMENTS:
        for path in ROOT.glob(pattern):
            target = _copy(path)
            if path.suffix == ".md":
                target.write_text(_LINK.sub(partial(_linked, folder=path.parent), path.read_text()))
    for name, text in pages.every().items():
        path = SOURCE / "docs" / "reference" / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def _linked(link: re.Match[str], folder: Path) -> str:
    """What a page links to comes along; folders are a forge's to show, here their names stay."""
    to = (folder / link[2]).resolve()
    if to.is_dir():
        return link[1]
    if to.is_file() and to.suffix != ".md":
        _copy(to)
    return link[0]


def _copy(path: Path) -> Path:
    target = SOURCE / path.relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)
    return target


def fetched() -> list[str]:
    """What a browser would get from elsewhere by itself. There must be nothing."""
    found = []
    for page in SITE.rglob("*"):
        if page.suffix in (".html", ".css"):
            found += [f"{page.relative_to(SITE)}: {each}" for each in _FETCHED.findall(page.read_text())]
    return found


def main() -> int:
    stage()
    shutil.rmtree(SITE, ignore_errors=True)
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(ROOT / "build" / "doctrees")]
    status = sphinx([*options, "-c", str(ROOT / "docs"), str(SOURCE), str(SITE)])
    if status == 0 and (elsewhere := fetched()):
        print("the site fetches from elsewhere:", *elsewhere, sep="\n", file=sys.stderr)
        return 1
    if status == 0:
        (SITE / "index.html").write_text(_LOCAL)
        print(f"built: {SITE.relative_to(ROOT)}/index.html")
    return status


if __name__ == "__main__":
    sys.exit(main())
