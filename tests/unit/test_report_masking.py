"""A comparison with a unit's files shows what differs and no secret."""

from __future__ import annotations

import time

import pytest

from recovery.report.masking import HIDDEN, masked

KEY = ["before", "-----BEGIN OPENSSH PRIVATE KEY-----", "b3BlbnNzaC1r", "-----END OPENSSH PRIVATE KEY-----", "after"]


def test_a_private_key_is_hidden_from_its_first_line_to_its_last() -> None:
    assert list(masked(KEY)) == ["before", HIDDEN, HIDDEN, HIDDEN, "after"]


def test_a_private_key_that_never_ends_hides_the_rest() -> None:
    assert list(masked(KEY[:3])) == ["before", HIDDEN, HIDDEN]


def test_a_private_key_on_one_line_hides_no_other_line() -> None:
    line = r"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
    assert list(masked([line, "after"])) == [HIDDEN, "after"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("password = hunter2", "password = [hidden]"),
        ('"db_password": "hunter2",', '"db_password": [hidden]'),
        ("DB_PASSWD=hunter2", "DB_PASSWD=[hidden]"),
        ("api-key: abc", "api-key: [hidden]"),
        ("client_secret_v2 = a b c", "client_secret_v2 = [hidden]"),
        ("requirepass hunter2", "requirepass [hidden]"),
        ("proxy = http://user:hunter2@proxy:8080/", "proxy = http://user:[hidden]@proxy:8080/"),
        ("proxy_set_header Authorization Bearer abc;", "proxy_set_header Authorization [hidden]"),
        ("Cookie: session=abc", "Cookie: [hidden]"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(line: str, shown: str) -> None:
    assert list(masked([line])) == [shown]


@pytest.mark.parametrize(
    "line",
    [
        "proxy_ssl_certificate_key ../../private/gateway.key;",
        "server_tokens off;",
        "-----BEGIN CERTIFICATE-----",
        "# keys live in private/, a secret's version enters the digest",
        "proxy_pass https://[2001:db8::1]:8443;",
        "tcp dport 22 ip saddr 192.0.2.1 accept",
    ],
)
def test_an_ordinary_line_stays_as_it_is(line: str) -> None:
    assert list(masked([line])) == [line]


@pytest.mark.parametrize(
    "line", ["a" * 262_144, "pass" * 65_536, "a." * 131_072, "x://" * 65_536, "-----BEGIN " * 20_000]
)
def test_a_hostile_line_costs_no_more_than_its_length(line: str) -> None:
    began = time.process_time()
    list(masked([line]))
    assert time.process_time() - began < 2.0
