"""What went wrong while a template was filled in, as a mistake of the declaration with the template's line."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path

import jinja2

from recovery.errors import DeclarationError, Mistake
from recovery.render.syntax import UnsafeValueError

_NO_FIELD = re.compile(r"'(?:\w+\.)*(\w+) object' has no attribute '(\w+)'")
"""Jinja's words for it."""


def fault(error: Exception, host: str, context: Mapping[str, object], file: Path, line: int) -> DeclarationError:
    """Return the mistake behind an exception of a template.

    Args:
        error: What the template raised.
        host: Name of the unit or endpoint that was rendered.
        context: What it was rendered from.
        file: The template's file, or the `unit.yaml` that a command stands in.
        line: One-based; used where the exception doesn't tell a better one.
    """
    found = _place(error, file.parent.parent)
    if found is not None:
        file, line = found
    path = "(template)"
    if isinstance(error, UnsafeValueError):
        path = next(_paths_of(error.value, context), path)
        words = f"the value for {host} {error.problem}"
    elif isinstance(error, jinja2.UndefinedError):
        missing = _NO_FIELD.sub(r"\1 has no field \2", error.message or "")
        words = f"needs for {host} what the estate does not declare: {missing}"
    else:
        words = f"cannot be filled in for {host}: {type(error).__name__}: {error}"
    return DeclarationError([Mistake(file=file, line=line, path=path, message=words)])


def _place(error: Exception, folder: Path) -> tuple[Path, int] | None:
    """Return file and line of the innermost template in a traceback, which Jinja has put there in place of its own."""
    place = None
    traceback = error.__traceback__
    while traceback is not None:
        file = Path(traceback.tb_frame.f_code.co_filename)
        if file.suffix == ".j2" and file.parent.parent == folder:
            place = file, traceback.tb_lineno
        traceback = traceback.tb_next
    return place


def _paths_of(value: object, context: Mapping[str, object]) -> Iterator[str]:
    """Yield where a value stands in what templates see, such as `office.title`."""
    for name, thing in context.items():
        if thing is value:
            yield name
        elif name != "estate":
            yield from _inside(value, thing, name)
    yield from _inside(value, context["estate"], "estate")


def _inside(value: object, thing: object, path: str) -> Iterator[str]:
    if not dataclasses.is_dataclass(thing):
        return
    for field in dataclasses.fields(thing):
        inner: object = getattr(thing, field.name)
        if inner is value or (isinstance(inner, str) and not isinstance(inner, Enum) and inner == value):
            yield f"{path}.{field.name}"
        else:
            yield from _inside(value, inner, f"{path}.{field.name}")
