"""Puts something else in the place of names of the production code, for a while."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

StandIn = tuple[object, str, object]
"""A module or class, a name in it, and what stands there instead."""


@contextmanager
def put(stand_ins: Sequence[StandIn]) -> Generator[None]:
    """Put each in its place, and everything back in the end."""
    before = [(where, name, vars(where)[name]) for where, name, _ in stand_ins]
    try:
        for where, name, stand_in in stand_ins:
            setattr(where, name, stand_in)
        yield
    finally:
        for where, name, was in reversed(before):
            setattr(where, name, was)
