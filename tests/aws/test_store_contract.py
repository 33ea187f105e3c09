"""The store in S3 keeps the contract of stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from recovery.store_s3 import S3Store
from tests.aws.server import Server, credentials, new_bucket
from tests.contract.store import *  # noqa: F403  the suite's tests, collected here
from tests.contract.store import at_once


class Documents:
    """Documents in a bucket of their own."""

    def __init__(self, server: Server) -> None:
        self._address = f"s3://{new_bucket(server)}/practice/pulih?region=us-east-1&endpoint={server.endpoint}"

    def open(self) -> S3Store:
        return S3Store(self._address)

    def race(self, tries: list[Callable[[], bool]]) -> list[bool]:
        return at_once(tries)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def stores(server: Server, monkeypatch: pytest.MonkeyPatch) -> Documents:
    credentials(monkeypatch)
    return Documents(server)
