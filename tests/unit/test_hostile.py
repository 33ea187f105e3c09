"""Readers of untrusted files and answers, on input made to hurt; `make hostile` tries many more."""

from __future__ import annotations

import pytest

from tests.hostile import answers, readers, stored
from tests.hostile.property import Property, hold


@pytest.mark.parametrize(
    "wanted", [*readers.PROPERTIES, *stored.PROPERTIES, *answers.PROPERTIES], ids=lambda wanted: wanted.name
)
def test_input_made_to_hurt_is_refused_in_words_or_read(wanted: Property) -> None:
    assert hold(wanted, wanted.examples) > 0
