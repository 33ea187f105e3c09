"""The file store keeps the contract of stores, between threads and between processes; the simulation's keeps it too."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recovery.store import FileStore
from recovery.store_s3 import S3Store
from tests.contract.store import *  # noqa: F403  the suite's tests, collected here
from tests.contract.store import NAME, WRITERS, Stores, at_once
from tests.sim.bucket import ADDRESS, SimBucket, reachable


class Files:
    """Documents in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> FileStore:
        return FileStore(self.folder)

    def race(self, tries: list[Callable[[], bool]]) -> list[bool]:
        return at_once(tries)


class Simulated:
    """Documents in a simulated bucket, whose clients come one after the other."""

    def __init__(self, bucket: SimBucket) -> None:
        self.bucket = bucket

    def open(self) -> S3Store:
        with reachable(self.bucket):
            return S3Store(ADDRESS)

    def race(self, tries: list[Callable[[], bool]]) -> list[bool]:
        order = list(range(len(tries)))
        random.Random(1).shuffle(order)
        won = {number: tries[number]() for number in order}
        return [won[number] for number in range(len(tries))]


@pytest.fixture(params=["files", "simulation"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    return Files(tmp_path / "state") if request.param == "files" else Simulated(SimBucket())


def test_of_several_processes_that_make_a_file_at_once_one_wins(tmp_path: Path) -> None:
    writer = """
import sys
from pathlib import Path
from recovery.store import ConflictError, FileStore
sys.stdin.readline()
try:
    FileStore(Path(sys.argv[1])).put(sys.argv[2], sys.argv[3].encode(), over=None)
except ConflictError:
    sys.exit(1)
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", writer, str(tmp_path / "state"), NAME, str(number)], stdin=subprocess.PIPE
        )
        for number in range(WRITERS // 4)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.close()
    codes = [process.wait(timeout=30) for process in processes]
    assert sorted(codes) == [0] + [1] * (len(codes) - 1)
    found = FileStore(tmp_path / "state").get(NAME)
    assert found
    assert found.content == str(codes.index(0)).encode()
