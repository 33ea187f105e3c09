"""Writing an estate: reading it back gives the same one, and any YAML reader takes the texts for texts."""

from __future__ import annotations

import dataclasses
import tempfile
import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recovery.declared import load, write
from recovery.declared.emit import scalar
from recovery.declared.fields import BIDI_CONTROLS
from recovery.model.estate import DataCentreName, Estate, Placement, RegionName, ServiceName
from tests.citizens import PUBLISH, publishing_estate
from tests.estates import sound_estate

AWKWARD = (
    "NO", "no", "null", "~", "true", "on", "1", "1.10", "0x1f", "1e3", "12:30:00", "2025-01-01", "=", "<<", ".inf",
    "- dash", "# hash", "a # b", "a: b", "a:", ": a", "? a", "[a]", "{a}", "&a", "*a", "!a", "|", ">", "%a", "@a",
    "`a`", "'", '"', "''", 'say "hi"', "it's", "back\\slash", 'both "\\"', " lead", "trail ", "a  b", "-", "---", "...",
    "a, b", "a,b", "Tři řeky", "大使館", "🏥 clinic", "👨‍👩‍👧", "nbsp\u00a0here", "\ufeffbom", "\u200bzero", "ß",
    "x" * 200,
)  # fmt: skip


def is_text(text: str) -> bool:
    """Say whether the declaration takes a text as a title."""
    refused = ("Cc", "Cs", "Zl", "Zp")
    return bool(text.strip()) and not any(unicodedata.category(c) in refused or c in BIDI_CONTROLS for c in text)


titles = st.text(min_size=1, max_size=200).filter(is_text)


def titled(folder: Path, title: str, city: str) -> Estate:
    estate = sound_estate(folder)
    first, *others = estate.regions
    office = dataclasses.replace(first.offices[0], title=title, city=city)
    first = dataclasses.replace(first, title=city, offices=(office, *first.offices[1:]))
    return dataclasses.replace(estate, title=title, version=city, regions=(first, *others))


def again(estate: Estate) -> Estate:
    """Write an estate, load it, and take off what belongs to the place where it was written."""
    with tempfile.TemporaryDirectory() as name:
        write(estate, Path(name))
        return dataclasses.replace(load(Path(name)), folder=estate.folder, files_digest=estate.files_digest)


@settings(max_examples=30, deadline=None)
@given(title=titles, city=titles)
@example(title="NO", city="- # 'x': \"y\"")
def test_an_estate_of_any_titles_is_read_back_as_it_was_written(title: str, city: str) -> None:
    estate = titled(Path("/nowhere"), title, city)
    assert again(estate) == estate


@pytest.mark.parametrize("text", AWKWARD)
def test_an_awkward_title_is_a_text_to_any_reader_of_yaml(text: str) -> None:
    assert yaml.safe_load(f"a: {scalar(text)}\nb: 1\n") == {"a": text, "b": 1}
    assert yaml.safe_load(f"- {scalar(text)}\n") == [text]
    assert yaml.safe_load(f"{scalar(text)}: 1\n") == {text: 1}


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_at_all_is_written_as_one_line_and_read_back(text: str) -> None:
    written = scalar(text)
    assert "\n" not in written
    assert yaml.safe_load(f"a: {written}\n") == {"a": text}


def test_ordinary_values_need_no_quotes() -> None:
    for text in (
        "/srv/pulih",
        "2001:db8::1",
        "10.8.1.1",
        "ssh-ed25519 AAAA+/x=",
        "KBRI São Tomé — 大使館",
        "Asia/Jakarta",
    ):
        assert scalar(text) == text
    assert scalar("1:2:3:4:5:6:7:8") == '"1:2:3:4:5:6:7:8"'  # a number of base 60 in YAML 1.1


def test_everything_optional_is_read_back_too(tmp_path: Path) -> None:
    estate = sound_estate(tmp_path)
    west, east = RegionName("west"), RegionName("east")
    passport, cloud = ServiceName("passport"), DataCentreName("cloud-1")
    centre = dataclasses.replace(estate.data_centres[0], bastion=next(iter(estate.bastions)))
    office = dataclasses.replace(estate.regions[0].offices[0], bastion=None, units=())
    first = dataclasses.replace(estate.regions[0], offices=(office,))
    full = dataclasses.replace(
        estate,
        version="2025.10",
        data_centres=(centre, *estate.data_centres[1:]),
        placement=Placement(
            default=estate.placement.default, regional={(west, passport): cloud, (east, passport): cloud}
        ),
        timeouts=dataclasses.replace(estate.timeouts, connect_s=2.5),
        services=(dataclasses.replace(estate.services[0], rpo_s=20), *estate.services[1:]),
        regions=(first, *estate.regions[1:]),
    )
    assert again(full) == full


def test_what_apps_are_told_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    declared = publishing_estate(tmp_path, PUBLISH + "  offline: /media/keys\n  reset: []\n")
    estate = load(declared)
    assert estate.publish is not None
    assert (estate.publish.services, estate.publish.keep) == (
        (ServiceName("border-crossing"), ServiceName("passport")),
        ("drafts", "bookings", "documents"),
    )
    write(estate, declared)
    assert load(declared).publish == estate.publish
    elsewhere = tmp_path / "elsewhere" / "estate"
    write(estate, elsewhere)
    moved = load(elsewhere).publish
    assert moved is not None
    assert [place.directory for place in moved.mirrors] == [place.directory for place in estate.publish.mirrors]


def test_a_practice_estate_is_read_back_with_staging_and_key(tmp_path: Path) -> None:
    estate = sound_estate(tmp_path / "estate")
    write(estate, tmp_path / "estate")
    text = (tmp_path / "estate" / "estate.yaml").read_text()
    (tmp_path / "estate" / "estate.yaml").write_text(text + "practice: true\nstaging: [10.0.0.0/8]\nssh_key: ../id\n")
    practice = load(tmp_path / "estate")
    write(practice, tmp_path / "estate")
    assert load(tmp_path / "estate") == dataclasses.replace(
        practice, files_digest=load(tmp_path / "estate").files_digest
    )
    assert "ssh_key: ../id\n" in (tmp_path / "estate" / "estate.yaml").read_text()


def test_templates_beside_the_estate_are_written_as_a_path_that_moves_with_both(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    for kind in ("border-gate", "passport-counter", "endpoint-host"):
        (mine / kind).mkdir(parents=True)
        (mine / kind / "unit.yaml").touch()
    write(sound_estate(tmp_path / "estate", templates=mine), tmp_path / "estate")
    assert "templates: ../mine\n" in (tmp_path / "estate" / "estate.yaml").read_text()
    assert load(tmp_path / "estate").templates == mine.resolve()


def test_the_same_estate_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(sound_estate(tmp_path), tmp_path / name)
    one, two = (sorted(path.read_bytes() for path in (tmp_path / name).rglob("*.*")) for name in ("one", "two"))
    assert one == two


def test_writing_takes_regions_away_that_are_no_longer_declared_and_nothing_else(tmp_path: Path) -> None:
    estate = sound_estate(tmp_path)
    write(estate, tmp_path)
    (tmp_path / "README.md").touch()
    write(dataclasses.replace(estate, regions=estate.regions[:1]), tmp_path)
    assert [path.name for path in (tmp_path / "regions").iterdir()] == ["east.yaml"]
    assert (tmp_path / "README.md").exists()


def test_offices_stand_apart_and_every_service_on_a_line_of_its_own(tmp_path: Path) -> None:
    estate = sound_estate(tmp_path)
    region = dataclasses.replace(
        estate.regions[1], offices=(estate.regions[0].offices[0], estate.regions[1].offices[0])
    )
    write(dataclasses.replace(estate, regions=(region,)), tmp_path)
    lines = (tmp_path / "regions" / "west.yaml").read_text().split("\n")
    assert lines[:5] == ["region: west", "title: The west", "", "offices:", "  - name: embassy"]
    assert lines[lines.index("  - name: airport") - 1] == ""
    assert lines.count("        service: passport") == 3
