"""Faults of orchestrators, operators and the engine, on real sshd, dash and busybox: nothing is lost."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.chaos.ground import Ground, settled
from tests.chaos.kinds import OF_OPERATORS
from tests.chaos.trial import Kind, Told, play


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Generator[Ground]:
    with settled(tmp_path_factory.mktemp("chaos") / "ground") as ground:
        yield ground


@pytest.mark.parametrize("kind", OF_OPERATORS)
def test_nothing_is_lost(ground: Ground, kind: Kind) -> None:
    assert play(ground, kind) == Told(units=6, lost={})
