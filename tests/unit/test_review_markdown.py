"""A review as a comment: within its limit, totals whole, and nothing that a change brings acts in it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from recovery.model.estate import Estate, Office, Region, UnitName
from recovery.render import Templates
from recovery.report.text import inert
from recovery.review.as_markdown import to_markdown
from recovery.review.as_table import lines
from recovery.review.compare import Review, compare
from recovery.review.fitting import LIMIT_BYTES, Block, fitted
from recovery.review.sides import Rendered, Side
from tests.many import an_estate_of
from tests.places import TEMPLATES

EVIL = "`@all` #1 |\n</details><script>alert(1)</script> [x](http://e.example) ```\n**b** \u202e é 大"


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates.load(TEMPLATES)


def side(estate: Estate, templates: Templates, revision: str = "r") -> Side:
    return Side.of(revision, "c0ffee" * 6 + "beef", Rendered(estate, templates))


def titled(estate: Estate, title: str) -> Estate:
    """Give every office a title of its own."""

    def office(one: Office) -> Office:
        return replace(one, title=f"{title} {one.name}")

    def region(one: Region) -> Region:
        return replace(one, offices=tuple(map(office, one.offices)))

    return replace(estate, regions=tuple(map(region, estate.regions)))


def a_review(templates: Templates, before: Estate, after: Estate, revision: str = "r") -> Review:
    return compare(side(before, templates), side(after, templates, revision), parallel=64)


def outside_code(page: str) -> str:
    """Return what a forge would read as text: without fenced blocks, code, its own details and its mark."""
    page = re.sub(r"^(`{3,})diff\n.*?^\1$", "", page, flags=re.DOTALL | re.MULTILINE)
    page = re.sub(r"<code>[^<]*</code>|`[^`\n]*`", "", page)
    return re.sub(r"</?details>|</?summary>|<!-- pulih-review -->", "", page)


def test_nothing_that_a_change_brings_acts_on_the_page(templates: Templates) -> None:
    estate = an_estate_of(3, regions=1)
    page = to_markdown(a_review(templates, estate, replace(titled(estate, EVIL), title=EVIL), revision=EVIL))
    text = outside_code(page)
    assert not re.search(r"@|#\d|<(?!/?details|/?summary)|http:", text.replace("# ", "")), text
    assert "\u202e" not in page
    assert "&#64;all" in page
    assert "大" in page
    fences = re.findall(r"^(`{3,})(diff)?$", page, re.MULTILINE)
    assert len(fences) % 2 == 0
    assert any(len(fence) > 3 for fence, _ in fences), "the title's own fence ends no block"
    for row in (line for line in page.splitlines() if line.startswith("| ")):
        assert not re.search(r"[^ ]\|[^ ]", row)


def test_text_made_inert_shows_what_it_was_and_holds_no_sign_that_could_act() -> None:
    shown = inert(EVIL)
    assert re.fullmatch(r"<code>(?:[A-Za-z0-9 ,-]|[^\x00-\x7f]|&#\d+;)*</code>", shown)
    assert re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), shown[6:-7]).startswith("`@all` #1 |\\x0a</details>")


def test_identical_differences_are_shown_once_with_everybody_who_has_them(templates: Templates) -> None:
    estate = an_estate_of(60, regions=3)
    review = a_review(templates, estate, replace(estate, trust_anchors=estate.trust_anchors * 2))
    assert len(review.units) == 60
    anchors = [one for one in review.differences if one.path == "gateway/trust-anchors.pem"]
    assert {len(one.hosts) for one in anchors} == {60 + len(review.endpoints)}
    page = to_markdown(review)
    assert page.count("D1") == 1 + sum(page.count(f"<summary>region-{n}") for n in range(3)) + 1
    assert all(page.count(unit.host.name) == 1 for unit in review.units)


def test_a_unit_whose_own_values_alone_change_shows_them(templates: Templates) -> None:
    estate = an_estate_of(2, regions=1)
    review = a_review(templates, estate, titled(estate, "Renamed"))
    page = to_markdown(review)
    assert '-    "title": "Office 0",' in page
    assert '+    "title": "Renamed office-000",' in page


def test_a_long_review_keeps_its_totals_and_says_what_it_left_out(templates: Templates) -> None:
    estate = an_estate_of(582, regions=16)
    whole = a_review(templates, estate, replace(estate, trust_anchors=estate.trust_anchors * 2))
    assert "Truncated" not in to_markdown(whole), "a change of all units in one way is shown whole"
    review = a_review(templates, estate, titled(estate, "@" + "大" * 100))
    page = to_markdown(review)
    assert LIMIT_BYTES - 4_000 < len(page.encode()) <= LIMIT_BYTES
    assert "| 582 | 0 | 0 | 0 | 0 |" in page
    told = re.search(r"> \*\*Truncated\*\*: (.*) are left out", page)
    assert told is not None
    left = re.search(r"([\d,]+) of 582 differences of files", told[1])
    assert left is not None
    shown = len(re.findall(r"^\*\*D\d+\*\*", page, re.MULTILINE))
    assert int(left[1].replace(",", "")) == 582 - shown
    assert page.count("<details>") == page.count("</details>")
    assert len(re.findall(r"^`{3,}", page, re.MULTILINE)) == 2 * shown
    assert page.endswith("All of it: `pulih review BASE..HEAD --output json`.\n")


def test_blocks_that_do_not_fit_give_way_to_smaller_ones_of_every_section() -> None:
    big, small = Block(kind="big ones", text="x" * LIMIT_BYTES), Block(kind="small ones", text="s\n")
    page = fitted([("a\n", [big, small]), ("b\n", [small, big])], rest="rest\n")
    assert page.startswith("a\ns\nb\ns\n> **Truncated**: 2 of 2 big ones are left out")
    assert fitted([("a\n", [small])], rest="rest\n") == "a\ns\n"


def test_a_secret_in_a_template_is_hidden(templates: Templates, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "templates"
    shutil.copytree(TEMPLATES, folder)
    nginx = folder / "passport-counter" / "nginx.conf.j2"
    nginx.write_text(nginx.read_text() + "# password = hunter2\n")
    estate = an_estate_of(3, regions=1)
    review = compare(side(estate, templates), side(estate, Templates.load(folder)), parallel=64)
    assert "+# password = [hidden]" in to_markdown(review)
    assert "hunter2" not in to_markdown(review) + "\n".join(lines(review))


def test_a_removed_and_an_added_unit_are_named(templates: Templates) -> None:
    estate = an_estate_of(6, regions=2)
    gone = estate.regions[0].offices[0].units[0].name
    first = replace(estate.regions[0], offices=estate.regions[0].offices[1:])
    review = a_review(templates, estate, replace(estate, regions=(first, *estate.regions[1:])))
    assert [(unit.host.name, unit.change.value) for unit in review.units] == [(UnitName(gone), "removed")]
    assert f"- removed: {gone}\n" in to_markdown(review)
    assert to_markdown(review).startswith("<!-- pulih-review -->\n# pulih: 0 of 6 units change, 1 removed\n")
