"""The report in a real browser, opened from disk: it asks for nothing, complains of nothing, can be read anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from recovery.model.estate import OfficeName
from recovery.model.story import Scene, Story, WaveSteps
from recovery.report.as_html import to_html
from tests.browser.chromium import Browser, browser
from tests.stories import HOSTILE, OFFICES, every_ending, outcome, run

WIDTHS = (360, 800, 1400)


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def whole_estate() -> Story:
    """A run of as many units as the whole estate has."""
    offices = tuple(replace(OFFICES[number % 5], name=OfficeName(f"o{number}")) for number in range(504))
    units = tuple(outcome(f"kantor-imigrasi-kelas-i-{n:03d}-passport", office=f"o{n % 504}") for n in range(582))
    waves = (WaveSteps(name="passport", steps=tuple(unit.name for unit in units)),)
    return replace(every_ending(), result=run(*units), scene=Scene(title="All", offices=offices, waves=waves))


@pytest.fixture(params=[every_ending, whole_estate], ids=["every-ending", "whole-estate"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    page = tmp_path / "report.html"
    page.write_text(to_html(request.param()), encoding="utf-8")
    return page.as_uri()


def test_no_request_leaves_and_nothing_is_complained_of(tab: Browser, url: str) -> None:
    tab.requests.clear()
    tab.open(url)
    tab.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert tab.requests == [url]
    assert tab.console == []


def test_a_screen_reader_meets_headings_in_order(tab: Browser, url: str) -> None:
    tab.open(url)
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    levels = [
        prop["value"]["value"]
        for node in nodes
        if node.get("role", {}).get("value") == "heading"
        for prop in node["properties"]
        if prop["name"] == "level"
    ]
    assert levels[0] == 1
    assert len(levels) > 8
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("width", WIDTHS)
def test_no_screen_is_too_narrow(tab: Browser, url: str, width: int) -> None:
    tab.resize(width)
    tab.open(url)
    tab.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert tab.ask("document.documentElement.scrollWidth") == width
    texts = "[...document.querySelectorAll('main :is(p, h1, h2, h3, li, td, code, summary)')]"
    assert tab.ask(f"Math.max(...{texts}.map(one => one.getBoundingClientRect().right))") <= width


def test_it_prints(tab: Browser, url: str) -> None:
    tab.open(url)
    paper = tab.pdf()
    assert paper.startswith(b"%PDF-")
    assert paper.count(b"/Type /Page\n") > 1


def test_an_office_named_like_a_script_is_text(tab: Browser, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(to_html(every_ending()), encoding="utf-8")
    tab.open(page.as_uri())
    assert tab.ask("document.title").startswith("recover · Services of Nusantara")
    assert tab.ask("document.scripts.length") == 0
    cells = tab.ask("[...document.querySelectorAll('#next td')].map(cell => cell.textContent)")
    assert HOSTILE in cells
    titles = tab.ask("[...document.querySelectorAll('#map title')].map(title => title.textContent)")
    assert any(HOSTILE in title for title in titles)


def test_dark_and_light_both_can_be_read(tab: Browser, url: str) -> None:
    """Text against paper has a contrast of at least 4.5. Source: WCAG 2.2, success criterion 1.4.3."""
    contrast = """(() => {
        const light = (colour) => { const [r, g, b] = colour.match(/\\d+/g).map((part) => {
            part /= 255; return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05; };
        const paper = light(getComputedStyle(document.body).backgroundColor);
        const inks = [...document.querySelectorAll('p, h1, td, th, .verdict, summary')].map(
            (one) => light(getComputedStyle(one).color));
        return Math.min(...inks.map((ink) => Math.max(ink, paper) / Math.min(ink, paper)));
    })()"""
    for dark in (False, True):
        tab.resize(1000, dark=dark)
        tab.open(url)
        assert tab.ask(contrast) >= 4.5
