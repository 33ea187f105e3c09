"""Every planted bug still has its place in the code, and its tests are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.__main__ import MUTANTS
from tests.mutants.planting import ROOT, Mutant, StalePatchError


def copy_of_file(mutant: Mutant, folder: Path) -> Path:
    path = folder / mutant.file
    path.parent.mkdir(parents=True)
    path.write_text((ROOT / mutant.file).read_text())
    return path


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_bug_can_be_planted_and_is_another_program(mutant: Mutant, tmp_path: Path) -> None:
    path = copy_of_file(mutant, tmp_path)
    mutant.plant(tmp_path)
    assert path.read_text() != (ROOT / mutant.file).read_text()
    for test in mutant.tests:
        file, _, name = test.partition("::")
        sources = [ROOT / file, ROOT / "tests" / "contract" / "applier.py"]
        assert any(f"def {name}(" in source.read_text() for source in sources)


def test_the_bugs_are_many_and_different() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 18


def test_a_bug_whose_place_is_gone_is_an_error(tmp_path: Path) -> None:
    stale = Mutant(name="stale", file=MUTANTS[0].file, old="nobody wrote this", new="")
    copy_of_file(stale, tmp_path)
    with pytest.raises(StalePatchError, match="found 0 times"):
        stale.plant(tmp_path)
