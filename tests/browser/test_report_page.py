"""The report in a real browser, opened from disk: it asks for nothing, complains of nothing, can be read anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from recovery.model.citizens import Citizen, Citizens
from recovery.model.estate import OfficeName
from recovery.model.story import Scene, Story, WaveSteps
from recovery.report.as_html import document, to_html
from recovery.report.page import nodes, page_parts
from tests.browser.chromium import Browser, browser
from tests.stories import HOSTILE, OFFICES, a_forecast, at, every_ending, forecast_of, outcome, run

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
    result = replace(run(*units), citizens=apps())
    return replace(every_ending(), result=result, scene=Scene(title="All", offices=offices, waves=waves))


def apps() -> Citizens:
    """Apps of which some did not reconnect, for a reason as bad as any."""
    each = tuple(
        Citizen(
            name=f"app-{number}",
            kind="offline during the recovery" if number % 2 else "drafts in progress",
            reconnected_at=at(12 + number / 10) if number % 5 else None,
            drafts_lost=number % 3,
            reason="" if number % 5 else HOSTILE,
        )
        for number in range(50)
    )
    return Citizens(told_at=at(12), wave="endpoints of border-crossing, visa, citizen-app", passed_at=at(11), each=each)


def forecast_run() -> Story:
    """A run with a forecast, of which all columns are there."""
    return forecast_of(every_ending(), {"border-crossing": 5.0, "passport": 8.0}, holds_with=128)


def under_way() -> str:
    """The page of a run that goes on, and will miss an objective."""
    story = replace(forecast_run(), finished=False)
    outlook = a_forecast(story, {"border-crossing": 4.0, "passport": 732.0}, holds_with=128)
    return document(story, nodes(page_parts(story, at=at(12), is_live=True, outlook=outlook)))


@pytest.fixture(
    params=[lambda: to_html(forecast_run()), lambda: to_html(whole_estate()), under_way],
    ids=["every-ending", "whole-estate", "under-way"],
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    page = tmp_path / "report.html"
    page.write_text(request.param(), encoding="utf-8")
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


ROWS = """[...document.querySelectorAll('details tbody tr')].filter((row) => {
    const box = row.getBoundingClientRect();
    return box.height > 4 && box.width > 100 && row.checkVisibility({contentVisibilityAuto: true});
}).length"""


def test_on_paper_every_unit_stands_below_its_wave_although_nobody_has_opened_it(tab: Browser, url: str) -> None:
    tab.resize(1000)
    tab.open(url)
    units = tab.ask("document.querySelectorAll('details tbody tr').length")
    assert units > 0
    assert tab.ask(ROWS) == 0
    tab.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert tab.ask(ROWS) == units
        hint = "getComputedStyle(document.querySelector('.on-screen')).display"
        assert tab.ask(hint) == "none"
    finally:
        tab.call("Emulation.setEmulatedMedia", media="")
    closed = pages(tab.pdf())
    tab.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert closed == pages(tab.pdf()) > 1
    assert tab.console == []


def pages(paper: bytes) -> int:
    assert paper.startswith(b"%PDF-")
    return paper.count(b"/Type /Page\n")


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
