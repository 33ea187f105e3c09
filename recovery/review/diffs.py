"""How the files of many hosts differ, with each difference told once for all hosts that have it. Pure.

Two hundred units whose gateway moves differ in the same lines, but for their own names and addresses. Those are written
as words such as `«unit»`, so that the difference is one, and is read once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from recovery.model.bundle import RenderedFile
from recovery.model.estate import UnitName
from recovery.report.linediff import MAX_LINES, text_lines, unified
from recovery.review.sides import Host

_Known = dict[tuple[str, str], tuple[str, ...]]
"""The lines that differ, by the two texts: most hosts have the same."""


class FileChange(StrEnum):
    """How a file differs."""

    ADDED = "added"
    REMOVED = "removed"
    CONTENT = "content"
    MODE = "mode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference of one file, with everybody who has it.

    Attributes:
        key: Short and unique in the review: `D1` is the one that most have.
        lines: As a unified diff; the lines around a change are those of the first host.
        hosts: In the order of the estate.
    """

    key: str
    path: str
    change: FileChange
    lines: tuple[str, ...]
    hosts: tuple[UnitName, ...]


def differences(pairs: Iterable[tuple[Host, Host]]) -> tuple[Difference, ...]:
    """Compare the files of hosts before and after.

    Returns:
        Every difference, the one of most hosts first.
    """
    groups: dict[tuple[str, FileChange, tuple[str, ...]], tuple[tuple[str, ...], list[UnitName]]] = {}
    known: _Known = {}
    for before, after in pairs:
        if before.bundle is None or after.bundle is None or before.bundle.digest == after.bundle.digest:
            continue
        old = {file.path: file for file in before.bundle.files}
        new = {file.path: file for file in after.bundle.files}
        for path in sorted(old.keys() | new.keys()):
            change = _change(old.get(path), new.get(path))
            if change is None:
                continue
            lines = _lines(before, after, old.get(path), new.get(path), known)
            key = (path, change, tuple(line for line in lines if line[0] in "-+"))
            groups.setdefault(key, (lines, []))[1].append(after.name)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1][1]), group[0]))
    return tuple(
        Difference(key=f"D{number}", path=path, change=change, lines=lines, hosts=tuple(hosts))
        for number, ((path, change, _), (lines, hosts)) in enumerate(ordered, start=1)
    )


def _change(old: RenderedFile | None, new: RenderedFile | None) -> FileChange | None:
    if old is None:
        return FileChange.ADDED
    if new is None:
        return FileChange.REMOVED
    if old.sha256 != new.sha256:
        return FileChange.CONTENT
    return FileChange.MODE if old.mode != new.mode else None


def _lines(
    before: Host, after: Host, old: RenderedFile | None, new: RenderedFile | None, known: _Known
) -> tuple[str, ...]:
    modes = [f"{file.mode:04o}" for file in (old, new) if file is not None]
    lines = [f"-mode {modes[0]}", f"+mode {modes[1]}"] if len(set(modes)) == 2 else []
    if old is not None and new is not None and old.sha256 == new.sha256:
        return tuple(lines)
    was, is_now = _content(old), _content(new)
    if max(len(was), len(is_now)) > MAX_LINES:
        return (*lines, f"-({len(was):,} lines, too long to compare)", f"+({len(is_now):,} lines)")
    shown = _without_own(was, before), _without_own(is_now, after)
    if shown[0] == shown[1]:  # nothing but what is its own has changed
        shown = "\n".join(was), "\n".join(is_now)
    if shown not in known:
        known[shown] = tuple(unified(*(text.split("\n") if text else [] for text in shown)))
    return (*lines, *known[shown])


def _content(file: RenderedFile | None) -> list[str]:
    return [] if file is None else text_lines(file.content)


def _without_own(lines: Sequence[str], host: Host) -> str:
    text = "\n".join(lines)
    for value, word in host.own:
        if value in text:
            text = re.sub(rf"(?<![\w.:-]){re.escape(value)}(?![\w.-])", word, text)
    return text
