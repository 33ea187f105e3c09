"""A cached engine is whole or not there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from infra.engine import cache


def _fill(folder: Path) -> None:
    for name in ("pulumi", "pulumi-language-python"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    (folder / cache.ORIGIN).write_text("made by a test\n")


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return tmp_path / "engines" / "3.259.0-abc"


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"PULIH_ENGINE_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/pulih/engine"),
        ({"XDG_CACHE_HOME": "not/absolute"}, "/home/a/.cache/pulih/engine"),
        ({}, "/home/a/.cache/pulih/engine"),
    ],
)
def test_the_cache_is_where_the_environment_says(
    environment: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/a")
    assert cache.folder(environment) == Path(folder)


def test_a_made_engine_is_there_with_its_origin(engine: Path) -> None:
    with cache.alone(engine, pytest.fail), cache.making(engine) as work:
        assert cache.origin(engine) is None
        _fill(work)
        assert cache.origin(engine) is None
    assert cache.origin(engine) == "made by a test"


@pytest.mark.parametrize("missing", ["pulumi", "pulumi-language-python", cache.ORIGIN])
def test_an_engine_that_misses_a_part_is_not_there(engine: Path, missing: str) -> None:
    engine.mkdir(parents=True)
    _fill(engine)
    (engine / missing).unlink()
    assert cache.origin(engine) is None


def test_an_engine_that_could_not_be_made_leaves_nothing(engine: Path) -> None:
    def fail() -> None:
        with cache.alone(engine, pytest.fail), cache.making(engine) as work:
            _fill(work)
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        fail()
    assert [path.name for path in engine.parent.iterdir()] == [f".{engine.name}.lock"]


def test_what_a_killed_maker_left_is_cleared_and_a_damaged_engine_replaced(engine: Path) -> None:
    engine.mkdir(parents=True)
    (engine / "pulumi").write_text("half")
    (engine.parent / f".{engine.name}.making-killed").mkdir()
    with cache.alone(engine, pytest.fail), cache.making(engine) as work:
        _fill(work)
    assert cache.origin(engine) == "made by a test"
    assert {path.name for path in engine.parent.iterdir()} == {engine.name, f".{engine.name}.lock"}


def test_one_makes_while_the_other_waits(engine: Path) -> None:
    waits, seen = threading.Event(), list[str | None]()

    def other() -> None:
        with cache.alone(engine, waits.set):
            seen.append(cache.origin(engine))

    waiting = threading.Thread(target=other)
    with cache.alone(engine, pytest.fail), cache.making(engine) as work:
        waiting.start()
        assert waits.wait(10)
        assert seen == []
        _fill(work)
    waiting.join(10)
    assert seen == ["made by a test"]
