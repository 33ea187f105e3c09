"""An S3 store that loses answers, refuses, hangs or keeps no conditions: never two winners, never a false conflict."""

from __future__ import annotations

import random
import socket
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from recovery import store_s3
from recovery.errors import PulihError
from recovery.lease import Leases
from recovery.processes import LinuxProcesses
from recovery.store import ConflictError
from recovery.store_s3 import MAX_DOCUMENT_BYTES, S3Store, StoreError
from tests.aws.server import KEY_ID, SECRET, Server, credentials, new_bucket

NAME = "leases/jakarta.json"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    credentials(monkeypatch)
    with Server() as server:
        yield server


@pytest.fixture
def address(server: Server) -> str:
    return f"s3://{new_bucket(server)}/pulih?region=us-east-1&endpoint={server.endpoint}"


@pytest.fixture
def store(address: str) -> S3Store:
    store = S3Store(address)
    store.put("leases/first.json", b"{}", over=None)
    return store


@pytest.mark.parametrize("how", ["lose", "fail"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_write_whose_answer_is_lost_is_known_as_our_own(
    server: Server, store: S3Store, how: str, times: int, is_new: bool
) -> None:
    """Lost once, the next try finds it done; lost twice, there is no answer at all."""
    over = None if is_new else store.put(NAME, b"before", over=None)
    setattr(server, how, times)
    version = store.put(NAME, b"ours", over=over)
    found = store.get(NAME)
    assert found
    assert (found.content, found.version) == (b"ours", version)
    assert store.put(NAME, b"ours again", over=version)


@pytest.mark.parametrize("times", [1, 2])
def test_somebody_else_s_write_is_not_taken_for_ours_when_the_answer_is_lost(
    server: Server, store: S3Store, address: str, times: int
) -> None:
    S3Store(address).put(NAME, b"theirs", over=None)
    server.lose = times
    with pytest.raises(ConflictError):
        store.put(NAME, b"ours", over=None)
    found = store.get(NAME)
    assert found
    assert found.content == b"theirs"


def test_a_write_refused_for_another_that_came_to_nothing_is_done_again_once(server: Server, store: S3Store) -> None:
    server.refuse = 1
    version = store.put(NAME, b"ours", over=None)
    server.refuse = 1
    version = store.put(NAME, b"ours again", over=version)
    server.refuse = 2
    with pytest.raises(ConflictError):
        store.put(NAME, b"and again", over=version)


def test_a_store_that_keeps_no_conditions_is_found_out_before_the_first_lease(server: Server, address: str) -> None:
    """Two runs could hold one lease in it, without either of them knowing."""
    server.keeps_conditions = False
    for _ in range(2):
        with pytest.raises(StoreError, match=r"told to leave alone \(If-None-Match, If-Match\)"):
            S3Store(address).put(NAME, b"ours", over=None)
    assert server.writes() == 0


def test_a_store_is_tried_once_and_not_at_every_write(server: Server, store: S3Store) -> None:
    before = len(server.requests)
    version = store.put(NAME, b"one", over=None)
    store.put(NAME, b"two", over=version)
    assert len(server.requests) == before + 2


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("AccessDenied", 403, "s3:GetObject, s3:PutObject and s3:ListBucket"),
        ("InvalidAccessKeyId", 403, "Renew those that AWS_PROFILE"),
        ("SignatureDoesNotMatch", 403, "Renew those that AWS_PROFILE"),
        ("ExpiredToken", 400, "Renew those that AWS_PROFILE"),
        ("RequestTimeTooSkewed", 403, "clock is more than 15 minutes off"),
        ("NoSuchBucket", 404, "there is no such bucket"),
        ("AuthorizationHeaderMalformed", 400, "in another region"),
        ("SlowDown", 503, "it answered SlowDown"),
        ("NotImplemented", 501, "it answered NotImplemented"),
    ],
)
def test_a_refusal_says_what_to_do_and_how_to_go_on_without(
    server: Server, address: str, code: str, status: int, said: str
) -> None:
    server.error = (code, status)
    store = S3Store(address)
    for attempt in (
        lambda: store.get(NAME),
        lambda: store.put(NAME, b"ours", over=None),
        lambda: store.names("leases/"),
    ):
        with pytest.raises(StoreError) as caught:
            attempt()
        text = str(caught.value)
        assert said in text
        assert code in text
        assert store.bucket.name in text
        assert "PULIH_LEASES=file" in text
        assert "--break-glass" in text
        shown = "".join(traceback.format_exception_only(caught.value))
        assert KEY_ID not in shown
        assert SECRET not in shown


def test_a_store_that_takes_connections_and_never_answers_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch)
    monkeypatch.setattr(store_s3, "READ_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = S3Store(f"s3://leases/p?endpoint=http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"can't be reached \(ReadTimeoutError\)"):
            store.names("leases/")
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("names", [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY",)])
def test_missing_credentials_are_named(address: str, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    for name in names:
        monkeypatch.delenv(name)
    with pytest.raises(StoreError, match="no usable credentials"):
        S3Store(address).get(NAME)


def test_a_profile_that_is_not_there_is_named(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StoreError, match=r"no usable credentials \(ProfileNotFound\)"):
        S3Store(address).get(NAME)


def test_what_is_too_long_for_a_document_is_not_read_to_its_end(store: S3Store, address: str) -> None:
    store.put(NAME, bytes(MAX_DOCUMENT_BYTES), over=None)
    assert store.get(NAME)
    store.put("leases/long.json", bytes(MAX_DOCUMENT_BYTES + 1), over=None)
    with pytest.raises(StoreError, match="none of pulih's"):
        S3Store(address).get("leases/long.json")


def test_names_that_come_in_several_answers_are_put_together(server: Server, store: S3Store) -> None:
    for number in range(5):
        store.put(f"leases/more-{number}.json", b"{}", over=None)
    server.page = 2
    before = len(server.requests)
    assert store.names("leases/") == ["leases/first.json", *(f"leases/more-{number}.json" for number in range(5))]
    assert len(server.requests) - before == 3


class Clock:
    def now(self) -> datetime:
        return datetime(2024, 6, 20, 0, 54, tzinfo=UTC)


def leases(address: str, seed: int) -> Leases:
    return Leases(S3Store(address), Clock(), LinuxProcesses(f"operator-{seed}@here"), random.Random(seed))


@pytest.mark.parametrize("scope", [0, 1, 2])
def test_leases_are_taken_and_renewed_whatever_answer_is_lost(server: Server, address: str, scope: int) -> None:
    ours = leases(address, 1)
    taken = ours.take(["jakarta", "papua", "surabaya"][: scope + 1], "run-1")
    server.lose = 2
    taken.renew(at_once=True)
    server.lose = 2
    taken.release()
    server.lose = 2
    again = leases(address, 2).take(["jakarta", "papua", "surabaya"], "run-2")
    assert again.epoch.number == taken.epoch.number + 1


def test_a_store_that_fails_half_way_gives_back_what_was_taken(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise everybody else would find those scopes held by a run that never was."""
    ours = leases(address, 1)
    put = S3Store.put

    def fails(store: S3Store, name: str, content: bytes, *, over: str | None) -> str:
        if name == "leases/papua.json":
            raise StoreError("gone")
        return put(store, name, content, over=over)

    monkeypatch.setattr(S3Store, "put", fails)
    with pytest.raises(PulihError, match="gone"):
        ours.take(["jakarta", "papua"], "run-1")
    monkeypatch.setattr(S3Store, "put", put)
    (holder,) = ours.holders()
    assert (holder.scope, holder.released) == ("jakarta", True)
