"""What is pure is worked out once, and what only people read is not worked out at all: a seed must cost little.

The functions are the production ones; only their results are kept, by everything that they follow from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import infra.declaration
import recovery.apply
import recovery.journal
import recovery.lease
import recovery.plan
import recovery.retold
import recovery.runs
from recovery.cli import begun, planned, storing
from recovery.journal import Line
from recovery.model.bundle import Bundle
from recovery.model.estate import Estate
from recovery.model.outcome import ServiceTarget
from recovery.model.plan import Selection
from recovery.processes import Process
from recovery.render import Templates
from recovery.report import as_json
from tests.sim import declared, operators
from tests.sim.declared import OnceRenderer
from tests.sim.standing import StandIn, put


def _kept(function: Callable[..., Any], key: Callable[..., Hashable]) -> Callable[..., Any]:
    found: dict[Hashable, Any] = {}

    def kept(*arguments: Any, **options: Any) -> Any:
        what = key(*arguments, **options)
        if what not in found:
            found[what] = function(*arguments, **options)
        return found[what]

    return kept


def _itself(frozen: Process | ServiceTarget) -> Hashable:
    return frozen


def _digest(bundle: Bundle) -> Hashable:
    return bundle.digest


_asdict = _kept(asdict, _itself)
_tar = _kept(recovery.apply.tar, _digest)


def _asked(estate: Estate, prints: str, selection: Selection, **options: Any) -> Hashable:
    return declared.written(estate), prints, selection, options.get("lost"), options.get("to")


_plans = {name: _kept(getattr(recovery.plan, name), _asked) for name in ("routine", "recovery")}


def _raw(_path: object, _number: int, raw: bytes, before: str) -> Hashable:
    return before, raw


def _last(lines: tuple[Line, ...]) -> Hashable:
    """Name a journal by its end: the chain makes it that of one journal only."""
    return lines[-1].hash if lines else None


def _dumps(value: object, **layout: Any) -> str:
    """Write JSON on one line: for people it is set out in many, at ten times the cost."""
    layout.pop("indent", None)
    return json.dumps(value, **layout)


def _unread(_run: object) -> str:
    """Render nothing: report.json is judged, and what people are shown of it has tests of its own."""
    return ""


@contextmanager
def shared(content: Callable[[], bytes]) -> Generator[None]:
    """Let the production code share what is pure, and read the declaration that `content` returns."""

    def load(_folder: object) -> Estate:
        return declared.read(content()).estate

    def files(_folder: object) -> str:
        return hashlib.sha256(content()).hexdigest()

    def sound(*_anything: object) -> tuple[()]:
        return ()

    def nothing(_folder: object) -> None:
        return None

    def templates(_folder: object) -> Templates:
        return declared.templates()

    compact = SimpleNamespace(dumps=_dumps, loads=json.loads)
    told = _kept(recovery.retold.story, _last)
    parsed = _kept(recovery.journal._parse, _raw)  # pyright: ignore[reportPrivateUsage] - a line by line of it
    stand_ins: tuple[StandIn, ...] = (
        (recovery.apply, "tar", _tar),
        (recovery.plan, "routine", _plans["routine"]),
        (recovery.plan, "recovery", _plans["recovery"]),
        (infra.declaration, "routine", _plans["routine"]),
        (begun, "Renderer", OnceRenderer),
        (planned, "commit", nothing),
        (infra.declaration, "load", load),
        (infra.declaration, "Renderer", OnceRenderer),
        (infra.declaration, "_fingerprint", files),
        (infra.declaration.policy, "check", sound),
        (Templates, "load", staticmethod(templates)),
        (recovery.journal, "_parse", parsed),
        *((module, "story", told) for module in (recovery.runs, operators)),
        *((module, "json", compact) for module in (recovery.lease, recovery.runs, storing)),
        *((module, "asdict", _asdict) for module in (recovery.lease, as_json)),
        (storing, "json_text", _dumps),
        *((storing, name, _unread) for name in ("to_markdown", "to_html", "to_junit")),
    )
    with put(stand_ins):
        yield
