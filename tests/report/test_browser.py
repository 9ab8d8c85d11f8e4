"""The page in a real browser: nothing is broken at any width, in light or dark, on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .browser import Browser, browser, program

LOOK = """
(() => {
  const shown = each => each.checkVisibility() && !each.closest('.hidden, .defs');
  const name = each => `${each.tagName}.${each.getAttribute('class') || ''}: ${each.textContent.trim().slice(0, 50)}`;
  const outside = [...document.querySelectorAll('body *')].filter(shown).filter(each => {
    const box = each.getBoundingClientRect();
    return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
  }).map(name);
  const overlaps = [];
  let labels = 0;
  for (const card of document.querySelectorAll('svg.card[role=img]')) {
    if (!shown(card)) continue;
    const frame = card.getBoundingClientRect();
    const texts = [...card.querySelectorAll('text')].map(each => [each, each.getBoundingClientRect()]);
    labels += texts.length;
    texts.forEach(([text, box], number) => {
      if (box.left < frame.left || box.right > frame.right || box.top < frame.top || box.bottom > frame.bottom)
        overlaps.push(`leaves its card: ${name(text)}`);
      for (const [other, its] of texts.slice(number + 1)) {
        const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
        const high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        // Boxes of lines of text reach over each other; letters do not.
        if (wide > 0 && high > 4) overlaps.push(`${name(text)} / ${name(other)}`);
      }
    });
  }
  return {outside, overlaps, labels, wide: document.documentElement.scrollWidth, window: innerWidth};
})()
"""

CONTRAST = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = text => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = colour => {
    const [r, g, b] = colour.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, two) => {
    const [high, low] = [light(rgb(one)), light(rgb(two))].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = each => {
    for (let up = each; up; up = up.parentElement) {
      const colour = getComputedStyle(up).backgroundColor;
      if (rgb(colour)[3] === 255) return colour;
    }
    return 'white';
  };
  const poor = [];
  let looked = 0;
  const judge = (each, ink, paper) => {
    looked += 1;
    if (ratio(ink, paper) < 4.5) poor.push(`${ratio(ink, paper).toFixed(2)} ${each.outerHTML.slice(0, 80)}`);
  };
  for (const each of document.querySelectorAll('body *')) {
    if (!each.checkVisibility() || each.closest('svg')) continue;
    if ([...each.childNodes].some(one => one.nodeType === 3 && one.data.trim()))
      judge(each, getComputedStyle(each).color, behind(each));
  }
  for (const text of document.querySelectorAll('svg.card text')) {
    if (!text.checkVisibility()) continue;
    const box = text.parentElement;
    const used = box.querySelector('.used');
    const style = getComputedStyle(text);
    if (used) judge(text, style.fill, getComputedStyle(used).fill);
    judge(text, style.fill, box.matches('.held') ? getComputedStyle(box.querySelector('.body')).fill : style.stroke);
  }
  return {looked, poor};
})()
"""

OPEN = "document.querySelectorAll('details').forEach(each => { each.open = true; })"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    executable = program()
    if executable is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    with browser(executable) as page:
        yield page


@pytest.mark.parametrize("which", ["seed_page", "many_page"])
@pytest.mark.parametrize("width", [400, 744, 1600])
def test_nothing_is_outside_or_over_each_other(
    which: str, width: int, chromium: Browser, request: pytest.FixtureRequest
) -> None:
    chromium.open(request.getfixturevalue(which), width=width)
    chromium.ask(OPEN)
    found = chromium.ask(LOOK)
    assert found["wide"] <= found["window"] == width
    assert found["outside"] == []
    assert found["overlaps"] == []
    assert found["labels"] >= 12
    assert chromium.problems == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_can_be_read(dark: bool, seed_page: Path, chromium: Browser) -> None:
    chromium.open(seed_page, dark=dark)
    chromium.ask(OPEN)
    found = chromium.ask(CONTRAST)
    assert found["poor"] == []
    assert found["looked"] > 100
    paper = chromium.ask("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", paper))) < 64) is dark


def test_what_there_is_to_read(seed_page: Path, chromium: Browser) -> None:
    chromium.open(seed_page, width=400)
    text = " ".join(chromium.ask("document.body.innerText").split())
    for words in ("1 of 3 cards is freed", "96.2 of 240 GiB", "96.2 of 160 GiB", "$4,320", "$2,880", "gpu1/2"):
        assert words in text, words
    drawn = chromium.ask("[...document.querySelectorAll('svg.card text')].map(each => each.textContent)")
    assert {"asr-english", "9.6 of 19.5 GiB", "13.4 of 19.5 GiB", "73.2 of 80 GiB", "80 GiB free"} <= set(drawn)
    assert chromium.ask("document.scripts.length") == 0
    assert {each for each in chromium.requests if each.startswith(("http", "ws"))} == set()


def test_a_card_is_drawn_to_scale(seed_page: Path, chromium: Browser) -> None:
    """The filled area is memory in use, for every instance of a card, by the same measure but for what MIG takes."""
    chromium.open(seed_page)
    shares = chromium.ask(
        """[...document.querySelectorAll('svg.card[role=img] .held')].map(box => {
          const used = box.querySelector('.used').getBoundingClientRect();
          const all = box.querySelector('.body').getBoundingClientRect();
          return [box.querySelector('.amount').textContent, used.width / all.width, all.height];
        })"""
    )
    assert len(shares) == 6
    for amount, share, height in shares:
        used, total = re.fullmatch(r"([\d.]+) of ([\d.]+) GiB", amount).groups()  # type: ignore[union-attr]
        assert share == pytest.approx(float(used) / float(total), abs=0.005)
        assert height == pytest.approx(160 if total == "80" else 40, abs=1)


def test_hostile_names_do_nothing(many_page: Path, chromium: Browser) -> None:
    chromium.open(many_page)
    assert chromium.ask("document.querySelectorAll('script, img, b').length") == 0
    assert "<script>alert(1)</script>" in chromium.ask("document.body.textContent")
    assert chromium.problems == []


def test_on_paper_it_is_light_and_all_there(seed_page: Path, chromium: Browser) -> None:
    chromium.open(seed_page, width=794, dark=True, media="print")
    assert chromium.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    hidden = "[...document.querySelectorAll('details table')].filter(each => !each.checkVisibility()).length"
    assert chromium.ask(hidden) == 0
    assert chromium.ask("document.querySelectorAll('details table').length") == 3
    printed = chromium.pdf()
    assert printed.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 2 <= pages <= 6
