"""No declared value can say anything in a configuration file but itself."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.errors import DeclarationError
from recovery.model.bundle import Bundle
from recovery.model.estate import Estate, RegionName, UnitName
from recovery.render import Renderer, Templates
from recovery.render.syntax import (
    UnsafeValueError,
    Written,
    as_address,
    as_certificates,
    as_host,
    as_json,
    as_saddr,
    finalize,
)
from tests.places import ANCHOR, TEMPLATES, an_estate

LOADED = Templates.load(TEMPLATES)

NASTY = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            [
                '"',
                "'",
                "\n",
                "\r",
                "\\",
                ";",
                "{",
                "}",
                "{{",
                "}}",
                "{%",
                "#",
                "$1",
                "`id`",
                " ",
                "\t",
                "\0",
                "é",
                "🛂",
                "a",
            ]
        ),
        min_size=1,
        max_size=12,
    ).map("".join),
)


def passport(estate: Estate) -> Bundle:
    place = next(place for place in estate.places() if place[2].service == "passport")
    return Renderer(estate, LOADED).unit(*place)


def contents(bundle: Bundle) -> dict[str, bytes]:
    return {file.path: file.content for file in bundle.files}


@settings(max_examples=150, deadline=None)
@given(title=NASTY, city=NASTY)
def test_any_title_arrives_in_the_settings_and_changes_no_other_file(title: str, city: str) -> None:
    plain = contents(passport(an_estate()))
    odd = contents(passport(an_estate(title=title, city=city)))
    office = json.loads(odd.pop("counter/settings.json"))["office"]
    del plain["counter/settings.json"]
    assert (office["title"], office["city"]) == (title, city)
    assert odd == plain


@settings(max_examples=100, deadline=None)
@given(name=NASTY)
def test_a_name_is_written_as_it_is_or_refused_by_its_path(name: str) -> None:
    estate = an_estate(unit=lambda unit: dataclasses.replace(unit, name=UnitName(name)))
    if re.fullmatch(r"[A-Za-z0-9._:/-]+", name):
        assert f"# Gateway of {name}: ".encode() in contents(passport(estate))["gateway/nginx.conf"]
        return
    with pytest.raises(DeclarationError) as caught:
        passport(estate)
    assert caught.value.mistakes[0].path == "unit.name"


@pytest.mark.parametrize("root", ["/srv/pulih;", "/srv/pu lih", "/srv/$(id)", "/srv/pulih\n"])
def test_a_folder_that_could_end_a_directive_is_refused(root: str) -> None:
    estate = an_estate(unit=lambda unit: dataclasses.replace(unit, root=root))
    with pytest.raises(DeclarationError, match="is not a plain word") as caught:
        passport(estate)
    (mistake,) = caught.value.mistakes
    assert mistake.path == "unit.root"
    assert mistake.file.name == "nginx-process.conf.j2"
    assert "pid {{ root }}" in mistake.file.read_text().splitlines()[mistake.line - 1]


@pytest.mark.parametrize("address", ["::1; deny all", "10.0.0.0/8", "fe80::1%eth0", "example.net", "", "1.2.3"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    estate = an_estate(endpoint=lambda endpoint: dataclasses.replace(endpoint, address=address))
    with pytest.raises(DeclarationError) as caught:
        passport(estate)
    assert caught.value.mistakes[0].path == "endpoint.address"


def test_a_region_title_may_hold_what_ends_strings() -> None:
    estate = an_estate()
    region = dataclasses.replace(estate.regions[0], name=RegionName("x"), title='"}\u2028"]')
    estate = dataclasses.replace(estate, regions=(region,))
    assert json.loads(contents(passport(estate))["counter/settings.json"])["office"]["region"] == '"}\u2028"]'


@given(st.text(max_size=30))
def test_only_plain_words_pass_without_a_filter(text: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9._:/-]+", text):
        assert finalize(text) == text
    else:
        with pytest.raises(UnsafeValueError):
            finalize(text)


@pytest.mark.parametrize("value", [None, True, 1.5, ("a",), {"a": 1}, object()])
def test_what_is_neither_text_nor_number_is_not_written(value: object) -> None:
    with pytest.raises(UnsafeValueError, match="can't be written"):
        finalize(value)


def test_text_put_together_from_filtered_text_is_looked_at_again() -> None:
    assert finalize(Written("a b")) == "a b"
    with pytest.raises(UnsafeValueError):
        finalize(Written("a b") + ";")


def test_a_text_that_utf8_cannot_carry_is_refused() -> None:
    with pytest.raises(UnsafeValueError, match="can't be written as JSON"):
        as_json("\ud800")


@pytest.mark.parametrize(
    ("address", "host", "source", "plain"),
    [
        ("192.0.2.1", "192.0.2.1", "ip saddr 192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "[2001:db8::1]", "ip6 saddr 2001:db8::1", "2001:db8::1"),
    ],
)
def test_addresses_of_both_families_are_written_for_each_syntax(
    address: str, host: str, source: str, plain: str
) -> None:
    assert (as_host(address), as_saddr(address), as_address(address)) == (host, source, plain)


def test_certificates_are_copied_without_what_stands_around_them() -> None:
    assert as_certificates(f"Subject: CN=x\r\n{ANCHOR}; bad\n{ANCHOR}") == ANCHOR * 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no certificate",
        ANCHOR.replace("CERTIFICATE", "PUBLIC KEY"),
        ANCHOR + ANCHOR.replace("CERTIFICATE", "EC PRIVATE KEY"),
        ANCHOR.replace("MII", "M;I"),
        ANCHOR + "-----BEGIN CERTIFICATE-----\n",
    ],
)
def test_trust_anchors_that_are_not_certificates_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        passport(an_estate(trust_anchors=text))
    assert "trust-anchors.pem.j2:1:" in str(caught.value)
    assert "MII" not in str(caught.value)
    assert ("holds a private key" in str(caught.value)) == ("PRIVATE KEY" in text)
