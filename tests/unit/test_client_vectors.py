"""The conformance vectors: stored as they are made, and the reference client passes each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vectors import case, library
from tests.vectors.conformance import play


def test_the_stored_vectors_are_those_that_are_made() -> None:
    made = case.write(library.every_case())
    assert library.stored() == sorted(made), "python -m tests.vectors writes them anew"
    changed = [path for path in made if (library.FOLDER / path).read_bytes() != made[path]]
    assert not changed, "python -m tests.vectors writes them anew"


def test_no_two_vectors_have_one_name_and_all_are_small() -> None:
    names = [each.name for each in library.every_case()]
    assert len(names) == len(set(names))
    assert sum((library.FOLDER / path).stat().st_size for path in library.stored()) < 600_000


@pytest.mark.parametrize("name", library.stored_names())
def test_the_reference_client_passes(name: str, tmp_path: Path) -> None:
    play(case.read(library.FOLDER, name), tmp_path)


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_the_mirrors_does_not_matter(seed: int, tmp_path: Path) -> None:
    play(case.read(library.FOLDER, "one-honest-mirror"), tmp_path, seed)
