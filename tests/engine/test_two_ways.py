"""One declaration, two ways in, one result: what the engine finds after a recovery, and pulih after the engine."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from recovery import declared, lab
from recovery.model.estate import RegionName
from tests.drill.watching import Witness
from tests.engine.practice import REGIONS, Practice


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Generator[Practice]:
    """A lab with everything deployed by the engine; tests share it and leave it as declared."""
    made = Practice.begin(tmp_path_factory.mktemp("two-ways"))
    try:
        made.deploy("pdns-2", *REGIONS)
        yield made
    finally:
        made.end()


class AlwaysServing(threading.Thread):
    """Asks the lab over and over how many units serve, and remembers the fewest."""

    def __init__(self, home: Path) -> None:
        super().__init__(daemon=True)
        self.home = home
        self.fewest = lab.status(home).serving
        self.looks = 0
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.wait(0.02):
            self.fewest = min(self.fewest, lab.status(self.home).serving)
            self.looks += 1

    def __enter__(self) -> AlwaysServing:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()


def test_a_unit_moved_to_another_regions_stack_never_stops_serving(practice: Practice) -> None:
    here, there = REGIONS
    estate = practice.estate()
    regions = {region.name: region for region in estate.regions}
    office, *others = regions[RegionName(here)].offices
    moved = [unit.name for unit in office.units]
    changed = (
        replace(regions[RegionName(here)], offices=tuple(others)),
        replace(regions[RegionName(there)], offices=(*regions[RegionName(there)].offices, office)),
    )
    with AlwaysServing(practice.home) as serving, Witness(practice.units()) as witness:
        declared.write(replace(estate, regions=changed), practice.home / "estate")
        for stack in (there, here):
            done = practice.up(stack)
            assert done.code == 0, done.out
    assert serving.looks > 10
    assert serving.fewest == len(practice.units())
    assert witness.mixtures == []
    assert set(moved) <= {resource["id"] for resource in practice.resources(there)}
    assert not set(moved) & {resource["id"] for resource in practice.resources(here)}
    assert practice.pulih("drift").returncode == 0, "the stack it left has not touched it"
    nothing = practice.preview(there, "--refresh", "--expect-no-changes")
    assert nothing.code == 0, nothing.out


def test_recovery_and_engine_leave_the_same_and_a_lost_state_is_adopted(practice: Practice) -> None:
    assert practice.pulih("drift").returncode == 0, "after `up` everything is as declared"

    lab.lose(practice.home, "pdns-2")
    recovered = practice.pulih("recover", "--lost", "pdns-2", "--to", "cloud-1", "--yes")
    assert recovered.returncode == 0, recovered.stderr
    before = practice.receipts(), practice.releases()
    units = Counter(str(region.name) for region, _, _ in practice.estate().places())
    for region in REGIONS:
        nothing = practice.preview(region, "--refresh", "--expect-no-changes")
        assert nothing.code == 0, nothing.out
        done = practice.up(region)
        assert (done.code, done.summary["updated"]) == (0, units[region]), done.out
    assert (practice.receipts(), practice.releases()) == before, "the engine sent no bundle"
    for region in REGIONS:
        nothing = practice.preview(region, "--refresh", "--expect-no-changes")
        assert nothing.code == 0, nothing.out

    left = practice.up("pdns-2")
    assert (left.code, left.summary["deleted"]) == (0, 7), left.out
    practice.deploy("cloud-1")

    shutil.rmtree(practice.home.parent / "state")
    (practice.home.parent / "state").mkdir()
    practice.init(*REGIONS)
    for region in REGIONS:
        adopted = practice.up(region)
        assert adopted.code == 0, adopted.out

    torn = practice.home.parent / "state" / ".pulumi" / "stacks" / "pulih" / f"{REGIONS[0]}.json"
    torn.write_bytes(torn.read_bytes()[:1000])  # its engine was killed as it wrote it
    assert "failed to load checkpoint" in practice.up(REGIONS[0]).out
    torn.unlink()
    shutil.rmtree(practice.home.parent / "state" / ".pulumi" / "locks", ignore_errors=True)
    practice.deploy(REGIONS[0])
    assert (practice.receipts(), practice.releases()) == before, "every unit was adopted, none was touched"
    assert practice.pulih("drift").returncode == 0
