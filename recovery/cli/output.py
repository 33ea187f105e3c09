"""The result of a command on stdout, as a table for people or as JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TextIO, cast

from recovery.report.text import json_text, printable


class Format(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


def emit(document: Mapping[str, object], form: Format, table: Callable[[], Iterable[str]]) -> None:
    """Write a command's result to stdout.

    Args:
        document: The result as plain values, with its `schema`.
        form: `json` writes the document; `jsonl` first everything in it but the lists of objects, then a line for
            each object, with the schema and the name of its list in `record`.
        table: Makes the lines for people; asked only when they are wanted.
    """
    if form is Format.TABLE:
        for line in table():
            say(line)
    elif form is Format.JSON:
        say_json(document, indent=2)
    else:
        for record in records(document):
            say_json(record)


def records(document: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Split a document into a summary and one record for each object of its lists."""
    lists = {key: members for key, value in document.items() if (members := _objects(value)) is not None}
    yield {"schema": document["schema"], "record": "summary"} | {
        key: value for key, value in document.items() if key not in lists
    }
    for key, members in lists.items():
        for member in members:
            yield {"schema": document["schema"], "record": key, **member}


def _objects(value: object) -> list[dict[str, object]] | None:
    if not isinstance(value, list):
        return None
    members = cast(list[object], value)
    if not all(isinstance(member, dict) for member in members):
        return None
    return cast(list[dict[str, object]], members)


def say(line: str) -> None:
    """Write a line of the result to stdout, printable whatever has come into it.

    Raises:
        BrokenPipeError: Whoever read it has gone.
    """
    _write(printable(line))


def say_json(value: object, indent: int | None = None) -> None:
    """Write a value as JSON to stdout.

    Raises:
        BrokenPipeError: Whoever read it has gone.
    """
    _write(json_text(value, indent))


def _write(line: str) -> None:
    stdout: TextIO | None = sys.stdout  # None when it was closed before we began
    if stdout is not None:
        stdout.write(line + "\n")


def note(line: str) -> None:
    """Write a line about the work, not the result, to stderr; when nobody reads there, the work goes on."""
    with suppress(OSError, ValueError, AttributeError):  # gone, closed, or closed before we began
        sys.stderr.write(printable(line) + "\n")
        sys.stderr.flush()


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> Iterator[str]:
    """Set rows under each other, two spaces between columns; never wrapped, never cut.

    Args:
        rows: Cells, the heads first; each is made printable.
        right: Columns that are set flush right.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(_width(cell) for cell in column) for column in zip(*cells, strict=True)]
    for row in cells:
        parts = [
            " " * (width - _width(cell)) + cell if place in right else cell + " " * (width - _width(cell))
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(parts).rstrip()


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def write_file(path: Path, text: str) -> None:
    """Write a file whole or not at all; whoever reads meanwhile sees the old one.

    Raises:
        OSError: The folder or the disk does not let it.
    """
    from recovery.writing import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    # A lone surrogate becomes \udcNN, which JSON reads back as the same character.
    write_atomically(path, text.encode("utf-8", "backslashreplace"))
