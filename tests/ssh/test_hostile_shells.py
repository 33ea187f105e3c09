"""What reaches a unit's shell, made to hurt, in real dash and busybox; `make hostile` tries more."""

from __future__ import annotations

import pytest

from tests.hostile.property import Property, hold
from tests.hostile.shells import PROPERTIES
from tests.tools import need


@pytest.mark.parametrize("wanted", PROPERTIES, ids=lambda wanted: wanted.name)
def test_no_value_becomes_a_command_and_no_file_stands_outside(wanted: Property) -> None:
    need(*wanted.needs)
    assert hold(wanted, wanted.examples) > 0
