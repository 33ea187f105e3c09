"""The HTML report: whole, quiet, in order, and nothing in it acts, whatever an office is called."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.model.estate import OfficeName, RegionName, UnitName
from recovery.model.outcome import RunResult, State
from recovery.model.story import NO_SCENE, OfficePlace, Scene, Story, WaveSteps
from recovery.report.as_html import to_html
from recovery.report.page import nodes, page_parts
from recovery.report.tree import Element, Node, parse
from tests.stories import BORDER, HOSTILE, OFFICES, a_forecast, at, every_ending, forecast_of, outcome, run
from tests.unit.test_report import results

nasty = st.text(alphabet=st.sampled_from("<>&\"'/=` ab\u202e\u2028\x00\x1b;{}%"), max_size=24)


def stories(told: RunResult, title: str, reason: str) -> Story:
    """A story in which every text from outside is a nasty one."""
    units = tuple(replace(unit, office=OfficeName("o"), reason=reason) for unit in told.units)
    scene = Scene(
        title=title,
        offices=(
            OfficePlace(
                name=OfficeName("o"),
                title=title,
                city=title,
                time_zone="UTC",
                region=RegionName("r"),
                is_abroad=False,
            ),
        ),
        waves=(WaveSteps(name=reason, steps=tuple(unit.name for unit in units)),),
    )
    return Story(result=replace(told, units=units, estate_name=title), finished=True, scene=scene)


def body(html: str) -> list[Node]:
    return parse(html.partition("<body>")[2].partition("</body>")[0])


def elements(nodes: list[Node]) -> Iterator[tuple[str, dict[str, str], list[Node]]]:
    for node in nodes:
        if not isinstance(node, str):
            tag, attributes, children = cast(tuple[str, dict[str, str], list[Node]], tuple(node))
            yield tag, attributes, children
            yield from elements(children)


def text(nodes: list[Node] | Element) -> str:
    return "".join(
        node if isinstance(node, str) else text(cast(list[Node], node[2])) for node in cast(list[Node], nodes)
    )


def section(html: str, name: str) -> str:
    """Return the text of one section."""
    return next(text(children) for _, attributes, children in elements(body(html)) if attributes.get("id") == name)


@settings(max_examples=60, deadline=None)
@given(results, nasty, nasty)
def test_whatever_an_office_is_called_it_stays_text(told: RunResult, title: str, reason: str) -> None:
    story = stories(told, title, reason)
    html = to_html(story)
    found = list(elements(body(html)))
    assert {tag for tag, _, _ in found} <= {
        *("main", "header", "section", "article", "footer", "h1", "h2", "h3", "p", "ul", "ol", "li", "dl", "div", "dt"),
        *("dd", "span", "strong", "b", "code", "figure", "table", "thead", "tbody", "tr", "th", "td", "details"),
        *("summary", "svg", "defs", "g", "use", "path", "rect", "circle", "text", "title"),
    }
    for _, attributes, _ in found:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src")]
        assert attributes.get("href", "#").startswith("#")
    assert "\u202e" not in html
    assert "\x1b" not in html


def test_an_office_named_like_a_script_is_read_as_its_name() -> None:
    html = to_html(every_ending())
    assert HOSTILE in section(html, "next")
    assert "<script" not in html
    titles = [text(children) for tag, _, children in elements(body(html)) if tag == "title"]
    assert f"Surabaya: 1 unit, 1 quarantined ({HOSTILE})" in titles


@settings(max_examples=40, deadline=None)
@given(results, st.booleans())
def test_headings_go_down_one_level_at_a_time(told: RunResult, finished: bool) -> None:
    html = to_html(Story(result=told, finished=finished))
    levels = [int(tag[1]) for tag, _, _ in elements(body(html)) if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_policy_allows_the_style_that_is_there_and_nothing_else() -> None:
    html = to_html(every_ending())
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    fingerprint = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.replace("&#x27;", "'").split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{fingerprint}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert not re.search(r"https?:|@import|url\(", html)


def test_the_same_story_gives_the_same_bytes() -> None:
    assert to_html(every_ending()) == to_html(every_ending())


def test_the_first_screen_says_how_it_went_and_what_to_type() -> None:
    html = to_html(every_ending())
    head = text(body(html)).partition("Time to recover")[0]
    assert "2 of 5 units verified" in head
    assert "Partial: 3 units need you" in head
    assert "pdns-2 was given up, cloud-1 takes over. Took 16 s." in head
    assert "pulih resume 20261123T170000Z-recover-3f9a1c" in head


def test_failures_are_grouped_by_cause_with_what_to_do() -> None:
    told = section(to_html(every_ending()), "next")
    for expected in (
        "disk-full: 1 unit",
        "Free space on the disk of the unit's root folder.",
        "12 KiB free, <b>40</b> needed",
        "skipped: 1 unit",
        "its endpoint failed",
        "not started: 1 unit",
    ):
        assert expected in told


def test_a_long_list_of_failures_is_cut_and_says_so() -> None:
    units = (outcome(f"u{number:02d}", State.QUARANTINED) for number in range(25))
    told = section(to_html(Story(result=run(*units), finished=True)), "next")
    assert "u19" in told
    assert "u20" not in told
    assert "And 5 more; all are in report.json." in told


def test_a_service_is_set_against_its_objective() -> None:
    good = Story(result=run(outcome("a", end_s=11), outcome("b", service=BORDER)), finished=True)
    late = Story(result=run(outcome("a", end_s=13)), finished=True)
    assert "Passport✓met11 s12 s1 of 1" in section(to_html(good), "services")
    assert "Passport✕missed13 s12 s1 of 1" in section(to_html(late), "services")
    assert "Passport✕not met-12 s1 of 4" in section(to_html(every_ending()), "services")


def test_a_forecast_is_shown_where_there_is_one() -> None:
    story = forecast_of(every_ending(), {"border-crossing": 5.0, "passport": 8.0}, lost_s=1.0)
    without, with_it = to_html(every_ending()), to_html(story)
    assert "Forecast" not in text(body(without))
    assert "; it took 16 s, 100 % longer." in text(body(with_it))
    assert "Border crossing✓met4.0 s30 min6.0 s 33 % shorter2 of 2" in section(with_it, "services")
    assert "12 s9.0 s1 of 4" in section(with_it, "services")
    assert "3.0 s4.0 s5.0 s 20 % shorter" in section(with_it, "timeline")
    lines = [attributes["d"] for _, attributes, _ in elements(body(with_it)) if attributes.get("class") == "expected"]
    assert lines == ["M25.0 0v10", "M250.0 0v10", "M400.0 0v10"]


def test_while_it_runs_a_page_says_what_is_left_what_will_be_missed_and_with_what_it_would_hold() -> None:
    story = replace(every_ending(), finished=False)
    outlook = a_forecast(story, {"border-crossing": 4.0, "passport": 732.0}, holds_with=128)
    told = text(nodes(page_parts(story, at=at(12), is_live=True, outlook=outlook)))
    assert "Has taken 12 s; about 12 min to go." in told
    assert "passport will miss its RTO of 12 s by 12 min; with --parallel 128 it holds:" in told
    run_name = story.result.run
    assert f"pulih cancel {run_name} && pulih resume {run_name} --parallel 128" in told
    assert "border-crossing will" not in told
    assert "Passport✕not met-12 s12 min 12 s1 of 4" in told
    none = a_forecast(story, {"border-crossing": 4.0, "passport": 732.0})
    told = text(nodes(page_parts(story, at=at(12), is_live=True, outlook=none)))
    assert "passport will miss its RTO of 12 s by 12 min, with any number of connections." in told
    assert "--parallel" not in told


def test_waves_and_units_stand_on_the_timeline() -> None:
    told = section(to_html(every_ending()), "timeline")
    assert "passport 2 of 4 failed, 1 allowed✕1 quarantined, 1 skipped, 1 not started, 1 verified" in told
    assert "sick✕quarantined, disk-full, 2 tries5.0 s" in told
    assert "0.0 s5.0 s10 s15 s20 s" in told


def test_a_record_without_a_scene_still_has_its_report() -> None:
    html = to_html(replace(every_ending(), scene=NO_SCENE, waves=()))
    assert "No office of this run has a city that pulih knows the place of." in section(html, "map")
    assert "The record of this run does not tell its waves." in section(html, "timeline")
    assert "office-of" not in html
    assert "disk-full: 1 unit" in section(html, "next")


def test_a_city_that_is_not_known_is_listed_and_not_guessed() -> None:
    assert "Embassy under the sea (Atlantis): ○ not started." in section(to_html(every_ending()), "map")
    elsewhere = replace(OFFICES[0], time_zone="America/Lima")  # another Medan
    story = replace(every_ending(), scene=replace(every_ending().scene, offices=(elsewhere,)))
    assert "Office of Medan (Medan)" in section(to_html(story), "map")


@pytest.mark.parametrize("is_live", [True, False])
def test_a_run_without_an_end_says_so(is_live: bool) -> None:
    story = replace(every_ending(), finished=False, under_way={UnitName("late"): at(15)})
    parts = page_parts(story, at=at(17), is_live=is_live)
    told = text(nodes(parts))
    assert ("Under way" if is_live else "Broken off before its end") in told
    assert ("pulih cancel" in told, "pulih resume" in told) == (is_live, not is_live)
    assert "late◐under way2.0 s" in told
    assert "The run ended before their turn" not in told


def test_the_whole_estate_stays_readable_and_small() -> None:
    offices = tuple(replace(OFFICES[n % 4], name=OfficeName(f"o{n}")) for n in range(504))
    units = tuple(outcome(f"kantor-imigrasi-kelas-i-{n:03d}-passport", office=f"o{n % 504}") for n in range(582))
    scene = Scene(
        title="Everything", offices=offices, waves=(WaveSteps(name="passport", steps=tuple(u.name for u in units)),)
    )
    html = to_html(replace(every_ending(), result=run(*units), scene=scene))
    assert len(html.encode()) < 1_500_000
    timeline = section(html, "timeline")
    assert all(unit.name in timeline for unit in units)


def test_a_live_page_counts_to_the_moment_that_it_is_given() -> None:
    story = replace(every_ending(), finished=False)
    assert "Has taken 1 min 39 s" in text(nodes(page_parts(story, at=at(99), is_live=True)))
