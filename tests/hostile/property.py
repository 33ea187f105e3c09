"""A property that every input must have, and how many inputs it is tried on."""

from __future__ import annotations

import signal
import unicodedata
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

WITHIN_S = 20
"""Longest that one input may keep its reader busy, seconds; a fiftieth of it is usual."""


class HangError(AssertionError):
    """An input kept its reader busy without an end."""


class OutsideError(AssertionError):
    """A file appeared outside of where it may stand."""


class CommandRunError(AssertionError):
    """A value became a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """What must hold for every input of a strategy.

    Attributes:
        check: Raises when it does not hold; whatever else it raises is a crash too.
        examples: Tried on each run of the tests.
        weight: Of 1,000 inputs of a campaign, how many are of this kind.
        needs: Programs without which it can't be tried.
    """

    name: str
    inputs: st.SearchStrategy[Any]
    check: Callable[[Any], None]
    examples: int
    weight: int
    needs: tuple[str, ...] = ()


def hold(wanted: Property, examples: int, number: int | None = None) -> int:
    """Try a property on inputs and return on how many.

    Args:
        wanted: The property.
        examples: At most so many; a strategy may have fewer.
        number: Of the seed; None for the same inputs each time.
    """
    tried = 0

    def check(value: Any) -> None:
        nonlocal tried
        tried += 1
        with _bounded():
            wanted.check(value)

    tried_on = given(wanted.inputs)(check)
    if number is not None:
        tried_on = seed(number)(tried_on)
    settings(
        max_examples=examples,
        derandomize=number is None,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large),
        print_blob=False,
    )(tried_on)()
    return tried


@contextmanager
def _bounded() -> Generator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise HangError(f"busy for {WITHIN_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(WITHIN_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def shown(text: str, *, at_most: int = 1_000_000) -> None:
    """Insist that a text may be written to a terminal: its lines end it, and nothing else in it acts."""
    assert len(text) <= at_most, len(text)
    acting = {
        letter
        for letter in set(text)
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") and letter not in "\t\n\u200c\u200d"
    }
    assert not acting, (acting, text[:300])


def no_stranger(folder: Path, known: frozenset[str]) -> None:
    """Insist that nothing stands in a folder beside what is known."""
    strangers = {path.name for path in folder.iterdir()} - known
    if strangers:
        raise OutsideError(f"{sorted(strangers)} in {folder}")
