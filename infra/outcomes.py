"""What became of each stack, told by the engine's events; as a table, JSON and Markdown. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from recovery.model.outcome import Cause

INTERRUPTED = 130
"""Exit code. Source: the convention of POSIX shells, 128 + SIGINT."""

_OURS = ("pulih:index:Unit", "pulih:index:Endpoint")
_CHANGED = ("create", "update", "replace", "create-replacement")


class State(StrEnum):
    """How a stack ended."""

    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    NOT_STARTED = "not_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a unit, or a whole stack, failed.

    Attributes:
        unit: None when it is the stack's own.
        cause: One that a report may name, or `held`, `refused` or `engine`.
    """

    unit: str | None
    cause: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Story:
    """What a stack's events tell, as they come.

    Attributes:
        units: How many of its units and endpoints ended how: changed, unchanged, deleted, failed.
        failures: In the order in which they were told.
    """

    units: Counter[str] = field(default_factory=Counter[str])
    failures: list[Failure] = field(default_factory=list[Failure])

    def notice(self, event: Mapping[str, Any]) -> None:
        """Take in one event of the engine's log.

        Source: pulumi/pulumi v3.259.0, sdk/go/common/apitype/events.go.
        """
        if "resOutputsEvent" in event:
            self._ended(event["resOutputsEvent"]["metadata"], failed=False)
        elif "resOpFailedEvent" in event:
            self._ended(event["resOpFailedEvent"]["metadata"], failed=True)
        elif "diagnosticEvent" in event and event["diagnosticEvent"].get("severity") == "error":
            self._told(event["diagnosticEvent"])

    def _ended(self, metadata: Mapping[str, Any], *, failed: bool) -> None:
        if metadata.get("type") not in _OURS:
            return
        op = str(metadata.get("op"))
        if failed:
            self.units["failed"] += 1
        elif op in _CHANGED:
            self.units["changed"] += 1
        elif op == "same":
            self.units["unchanged"] += 1
        elif op in ("delete", "delete-replaced"):
            self.units["deleted"] += 1

    def _told(self, diagnostic: Mapping[str, Any]) -> None:
        text = _plain(str(diagnostic.get("message", ""))).removeprefix("error: ")
        urn = str(diagnostic.get("urn", ""))
        is_ours = any(f"{kind}::" in urn for kind in _OURS)
        if not is_ours and text in ("update failed", "preview failed", ""):
            return
        self.failures.append(failure(text, urn.rpartition("::")[2] if is_ours else None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one stack.

    Attributes:
        seconds: From its engine's start to its end.
        memory_bytes: Most that its engine, program and provider held together.
    """

    stack: str
    state: State
    seconds: float
    memory_bytes: int
    units: Mapping[str, int]
    failures: tuple[Failure, ...]


def failure(text: str, unit: str | None) -> Failure:
    """Return what an error of the engine says: the provider begins its own with the cause."""
    for word in ("held", "refused"):
        if text.startswith(f"{word}: "):
            return Failure(unit=unit, cause=word, reason=text.removeprefix(f"{word}: "))
    if "the stack is currently locked" in text:
        return Failure(unit=unit, cause="held", reason=text)
    name, _, rest = text.partition(": ")
    cause, _, reason = rest.partition(": ")
    if unit is not None and name == unit and cause in {known.value for known in Cause}:
        return Failure(unit=unit, cause=cause, reason=reason)
    return Failure(unit=unit, cause="engine", reason=text)


def exit_code(outcomes: Sequence[Outcome], *, interrupted: bool) -> int:
    """Return the exit code: 0 done, 3 partial, 4 held by another, 5 refused, 1 nothing came about, 130 interrupted."""
    if interrupted:
        return INTERRUPTED
    failed = [outcome for outcome in outcomes if outcome.state is not State.DONE]
    if not failed:
        return 0
    causes = {fault.cause for outcome in failed for fault in outcome.failures}
    if len(failed) < len(outcomes) or any(_progress(outcome) for outcome in failed):
        return 3
    return 4 if causes == {"held"} else 5 if causes == {"refused"} else 1


def to_json(
    outcomes: Sequence[Outcome], *, preview: bool, code: int, seconds: float, engines: int
) -> dict[str, object]:
    """Return the result as `pulih/up/v1`."""
    units: Counter[str] = Counter()
    for outcome in outcomes:
        units.update(outcome.units)
    states = Counter(outcome.state for outcome in outcomes)
    return {
        "schema": "pulih/up/v1",
        "preview": preview,
        "exit_code": code,
        "seconds": round(seconds, 3),
        "engines_at_once": engines,
        "memory_bytes_of_largest": max((outcome.memory_bytes for outcome in outcomes), default=0),
        "totals": {
            "stacks": len(outcomes),
            **{state.value: states[state] for state in State},
            **{f"units_{word}": units[word] for word in ("changed", "unchanged", "deleted", "failed")},
        },
        "stacks": [
            {
                "name": outcome.stack,
                "state": outcome.state.value,
                "seconds": round(outcome.seconds, 3),
                "memory_bytes": outcome.memory_bytes,
                **{word: outcome.units.get(word, 0) for word in ("changed", "unchanged", "deleted", "failed")},
                "failures": [
                    {"unit": fault.unit, "cause": fault.cause, "reason": fault.reason} for fault in outcome.failures
                ],
            }
            for outcome in outcomes
        ],
    }


def rows(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, ...]]:
    """Yield the summary's rows, the heads first."""
    yield ("Stack", "State", "Changed", "Unchanged", "Deleted", "Failed", "Seconds")
    for outcome in outcomes:
        counts = (str(outcome.units.get(word, 0)) for word in ("changed", "unchanged", "deleted", "failed"))
        yield (outcome.stack, outcome.state.value.replace("_", " "), *counts, f"{outcome.seconds:.1f}")


def to_markdown(outcomes: Sequence[Outcome], *, preview: bool, code: int, seconds: float) -> str:
    """Return the result as a page for people."""
    what = "Preview of all stacks" if preview else "Deployment of all stacks"
    done = sum(outcome.state is State.DONE for outcome in outcomes)
    lines = [f"# {what}", "", f"{done} of {len(outcomes)} stacks done in {seconds:.1f} s, exit code {code}.", ""]
    head, *body = rows(outcomes)
    lines += [_row(head), _row(("---",) * len(head)), *map(_row, body)]
    failures = [(outcome.stack, fault) for outcome in outcomes for fault in outcome.failures]
    if failures:
        lines += ["", "## What failed", ""]
        lines += [f"- {stack}, {fault.unit or 'the stack'}: {fault.cause}: {fault.reason}" for stack, fault in failures]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _progress(outcome: Outcome) -> bool:
    return any(outcome.units.get(word, 0) for word in ("changed", "unchanged", "deleted"))


def _plain(text: str) -> str:
    """Return an event's text without the engine's colour marks, such as `<{%reset%}>`, in one line."""
    parts = text.split("<{%")
    bare = parts[0] + "".join(part.partition("%}>")[2] for part in parts[1:])
    return " ".join(bare.split())
