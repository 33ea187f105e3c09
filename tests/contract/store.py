"""What every `recovery.store.Store` must do: the file store, the one in S3 and the simulation's.

Collected where a test module imports these functions beside a fixture `stores`:

    from tests.contract.store import *  # noqa: F403

    @pytest.fixture
    def stores() -> Stores: ...
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import pytest

from recovery.store import ConflictError, Store

WRITERS = 8
NAME = "leases/jakarta.json"


class Stores(Protocol):
    """One set of documents."""

    def open(self) -> Store:
        """Return another operator's way to the documents."""
        ...

    def race(self, tries: list[Callable[[], bool]]) -> list[bool]:
        """Make all the tries at once, or in any order where the store has one user at a time."""
        ...


def at_once(tries: list[Callable[[], bool]]) -> list[bool]:
    """Make each try in a thread of its own."""
    with ThreadPoolExecutor(len(tries)) as pool:
        return [future.result() for future in [pool.submit(attempt) for attempt in tries]]


def wins(store: Store, content: bytes, over: str | None) -> bool:
    try:
        store.put(NAME, content, over=over)
    except ConflictError:
        return False
    return True


def test_what_was_never_written_is_not_there(stores: Stores) -> None:
    store = stores.open()
    assert store.get(NAME) is None
    assert store.names("leases/") == []


@pytest.mark.parametrize("content", [b"", b"{}", bytes(range(256)), b"x" * 50_000], ids=["none", "two", "any", "many"])
def test_what_was_written_is_read_by_everybody_with_the_version_that_writing_gave(
    stores: Stores, content: bytes
) -> None:
    version = stores.open().put(NAME, content, over=None)
    found = stores.open().get(NAME)
    assert found
    assert (found.content, found.version) == (content, version)


def test_it_is_written_over_the_version_that_was_read_and_over_no_other(stores: Stores) -> None:
    first, second = stores.open(), stores.open()
    version = first.put(NAME, b"one", over=None)
    newer = second.put(NAME, b"two", over=version)
    assert newer != version
    for over in (version, None, "never written"):
        with pytest.raises(ConflictError, match=NAME):
            first.put(NAME, b"three", over=over)
    assert second.put(NAME, b"four", over=newer) not in (version, newer)


def test_what_is_not_there_is_not_written_over(stores: Stores) -> None:
    version = stores.open().put("leases/other.json", b"one", over=None)
    with pytest.raises(ConflictError):
        stores.open().put(NAME, b"two", over=version)
    assert stores.open().get(NAME) is None


def test_a_refused_write_leaves_what_stands_there(stores: Stores) -> None:
    store = stores.open()
    version = store.put(NAME, b"one", over=None)
    with pytest.raises(ConflictError):
        store.put(NAME, b"two", over=None)
    found = stores.open().get(NAME)
    assert found
    assert (found.content, found.version) == (b"one", version)


def test_names_are_those_of_the_prefix_in_order(stores: Stores) -> None:
    store = stores.open()
    for name in ("leases/surabaya.json", "leases/jakarta.json", "leases/jakarta-2.json", "records/jakarta.json"):
        store.put(name, name.encode(), over=None)
    assert store.names("leases/") == ["leases/jakarta-2.json", "leases/jakarta.json", "leases/surabaya.json"]
    assert store.names("leases/jakarta") == ["leases/jakarta-2.json", "leases/jakarta.json"]
    assert store.names("none/") == []


def test_of_eight_who_make_a_document_at_once_one_wins(stores: Stores) -> None:
    won = stores.race([partial(wins, stores.open(), f"writer {number}".encode(), None) for number in range(WRITERS)])
    assert won.count(True) == 1
    found = stores.open().get(NAME)
    assert found
    assert found.content == f"writer {won.index(True)}".encode()


def test_of_eight_who_write_over_a_version_at_once_one_wins(stores: Stores) -> None:
    over = stores.open().put(NAME, b"nobody", over=None)
    won = stores.race([partial(wins, stores.open(), f"writer {number}".encode(), over) for number in range(WRITERS)])
    assert won.count(True) == 1
    found = stores.open().get(NAME)
    assert found
    assert found.content == f"writer {won.index(True)}".encode()
