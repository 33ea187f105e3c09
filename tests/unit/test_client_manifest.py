"""What a client takes for a manifest, and what it refuses whoever has signed it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulih_client.manifest import is_allowed, read
from pulih_client.reasons import Reason, RefusedError

from tests.vectors.repository import a_manifest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted(json.loads(a_manifest()))


def refused(content: bytes) -> str:
    with pytest.raises(RefusedError) as caught:
        read(content)
    assert (caught.value.reason, caught.value.file) == (Reason.BAD_MANIFEST, "manifest")
    return caught.value.text


@settings(max_examples=300, deadline=None)
@given(field=st.sampled_from(FIELDS), value=VALUES)
def test_whatever_stands_in_a_field_it_is_read_or_refused(field: str, value: object) -> None:
    content = json.dumps({**json.loads(a_manifest()), field: value}).encode()
    try:
        told = read(content)
    except RefusedError:
        return
    assert told.raw.encode() == content
    assert all(isinstance(name, str) for name in (*told.reset, *told.keep))
    assert all(is_allowed(place.url) for places in told.services.values() for place in places)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_manifest_are_refused(content: bytes) -> None:
    refused(content)


def test_a_document_without_a_bottom_is_refused() -> None:
    assert "not JSON" in refused(b"[" * 60_000)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://app.example/", True),
        ("https://[2001:db8::1]:443/", True),
        ("https://10.0.0.1:8443/path", True),
        ("http://127.0.0.1:8080/", True),
        ("http://[::1]/", True),
        ("http://localhost/", True),
        ("http://app.example/", False),
        ("http://127.0.0.1.evil.example/", False),
        ("https://somebody@app.example/", False),
        ("https://app.example:0/", False),
        ("https://app.example:99999/", False),
        ("https:///path", False),
        ("https://app.example/ or", False),
        ("https://аpp.example/", False),  # noqa: RUF001 # a Cyrillic letter
        ("https://app.example/\n", False),
        ("ftp://app.example/", False),
        ("//app.example/", False),
        ("https://[::1", False),
        ("https://app.example/" + "a" * 2000, False),
    ],
)
def test_a_place_is_reached_by_https_or_on_this_machine(url: str, allowed: bool) -> None:
    assert is_allowed(url) is allowed


@pytest.mark.parametrize(
    ("version", "minimum", "asks"),
    [
        ("4.2.0", "4.2.0", False),
        ("4.2", "4.2.0", False),
        ("4.10.0", "4.9.9", False),
        ("4.1.9", "4.2.0", True),
        ("3", "4.2.0", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, minimum: str, asks: bool) -> None:
    assert read(a_manifest(minimum_version=minimum)).asks_for_update_of(version) is asks
