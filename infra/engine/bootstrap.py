"""The ways to the engine in their order; the first that works wins, and each says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from infra.engine import build, cache, on_path, pin, release
from infra.engine.errors import EngineError, StepError


def get(environment: Mapping[str, str], say: Callable[[str], None], sources: Sequence[str] = release.SOURCES) -> Path:
    """Return the folder of a `pulumi` at the pinned version or newer, with a Python language host beside it.

    Args:
        environment: `PATH`, `PULIH_ENGINE_CACHE`, `XDG_CACHE_HOME`, and what Go and downloads look at.
        say: Told each step, one line each.
        sources: Where the official release is looked for.

    Raises:
        EngineError: No way leads to one.
    """
    version, tried = pin.version(), list[tuple[str, str]]()
    engine = cache.folder(environment) / pin.name()

    def failed(way: str, error: StepError) -> None:
        tried.append((way, str(error)))
        say(f"{way}: {error}")

    try:
        found = on_path.find(environment, engine.parent)
        say(f"pulumi on PATH: {found}")
        return found
    except StepError as error:
        failed("pulumi on PATH", error)
    if how := cache.origin(engine):
        say(f"got before: {how}")
        return engine
    with cache.alone(engine, lambda: say("somebody else is getting it; waiting for them")):
        if how := cache.origin(engine):
            say(f"got meanwhile: {how}")
            return engine
        ways: dict[str, Callable[[Path], str]] = {
            "official release": lambda work: release.download(work, sources),
            "build from the Go module": lambda work: build.build(work, environment, say),
        }
        for way, make in ways.items():
            try:
                with cache.making(engine) as work:
                    how = make(work)
                    if on_path.running_version(work / "pulumi") != pin.numbers(version):
                        raise StepError(f"what came is not v{version}")
                    (work / cache.ORIGIN).write_text(how + "\n", encoding="utf-8")
            except StepError as error:
                failed(way, error)
            else:
                say(f"{way}: {how}")
                return engine
    raise EngineError(version, tried)


def present(environment: Mapping[str, str]) -> Path:
    """Return the folder of an engine that needs no getting.

    Raises:
        EngineError: There is none yet.
    """
    engine = cache.folder(environment) / pin.name()
    try:
        return on_path.find(environment, engine.parent)
    except StepError as error:
        if cache.origin(engine):
            return engine
        tried = (("pulumi on PATH", str(error)), ("got before", f"there is no {engine}; make engine gets it"))
        raise EngineError(pin.version(), tried) from error
