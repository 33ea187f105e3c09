"""The drill: the verbs' own functions in their order, its end, and a lab that always goes down."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from recovery import lab
from recovery.cli.picture import Picture
from recovery.cli.summary import Line
from recovery.errors import LabError, PulihError, UnreachableError
from recovery.lab.manage import LabStatus
from recovery.lab.start import LabInfo
from recovery.model.estate import UnitName
from tests.cli_world import Units, pulih, small_estate
from tests.unit.test_progress import a_plan, at, whole_run

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


class FakeLab:
    """The lab's functions, in memory: the small estate, and units that lose what they had."""

    def __init__(self, patch: Patch) -> None:
        self.calls: list[str] = []
        self.units: Units | None = None
        self.homes: list[Path] = []
        self.prepare: Callable[[Units], None] | None = None
        self._patch = patch
        for name in ("up", "lose", "down"):
            patch.setattr(lab, name, getattr(self, name))

    def up(self, units: int, folder: Path) -> LabInfo:
        self.calls.append("up")
        self.homes.append(folder)
        self.units = Units(small_estate(folder)).install(self._patch)
        if self.prepare is not None:
            self.prepare(self.units)
        return LabInfo(folder=folder, estate=folder / "estate", pid=1, units=units, regions=2, seconds=0.1)

    def lose(self, _folder: Path, data_centre: str) -> int:
        assert self.units is not None
        self.calls.append(f"lose {data_centre}")
        self.units.digests.clear()
        return 3

    def down(self, _folder: Path) -> None:
        self.calls.append("down")


@pytest.fixture
def fake(monkeypatch: Patch) -> FakeLab:
    monkeypatch.delenv("PULIH_STATE", raising=False)
    return FakeLab(monkeypatch)


def test_a_drill_applies_loses_recovers_verifies_and_goes_down(fake: FakeLab, tmp_path: Path, capsys: Capture) -> None:
    said = pulih(capsys, "drill", "--units", 3, "--report-dir", tmp_path / "r")
    assert said.code == 0, said
    assert fake.calls == ["up", "lose pdns-2", "down"]
    assert fake.units is not None
    modes = list(dict.fromkeys(mode for mode, _ in fake.units.visited))
    assert modes == ["apply", "probe"]
    stored = json.loads((tmp_path / "r" / "report.json").read_text())
    assert (stored["verb"], stored["to"], stored["totals"]["applied"]) == ("recover", "cloud-1", 3)
    assert said.out.splitlines()[0].startswith("3 of 3 units verified at cloud-1 in ")
    assert said.out.splitlines()[-2:] == [
        "Afterwards 3 of 3 units answered a test transaction",
        f"Report: {tmp_path / 'r' / 'report.html'}",
    ]
    assert not fake.homes[0].exists()


@pytest.mark.usefixtures("fake")
def test_a_drill_in_a_folder_keeps_it_and_its_runs(tmp_path: Path, capsys: Capture) -> None:
    words = ("drill", "--units", 3, "--report-dir", tmp_path / "r", "--dir", tmp_path / "lab", "--output", "json")
    said = pulih(capsys, *words)
    assert json.loads(said.out)["schema"] == "pulih/report/v1"
    assert len(list((tmp_path / "lab" / ".pulih" / "runs").iterdir())) == 2


def test_a_drill_never_writes_to_the_state_of_another_estate(
    fake: FakeLab, tmp_path: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    monkeypatch.setenv("PULIH_STATE", str(tmp_path / "real"))
    assert pulih(capsys, "drill", "--units", 3, "--report-dir", tmp_path / "r").code == 0
    assert fake.calls[-1] == "down"
    assert not (tmp_path / "real").exists()


def test_a_unit_that_fails_makes_a_drill_end_with_3(
    fake: FakeLab, tmp_path: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    name = UnitName("airport-passport")

    def fail_after_the_loss(_folder: Path, _data_centre: str) -> int:
        assert fake.units is not None
        fake.units.fails[name] = UnreachableError(name, "nobody there")
        return 3

    monkeypatch.setattr(lab, "lose", fail_after_the_loss)
    said = pulih(capsys, "drill", "--units", 3, "--report-dir", tmp_path / "r")
    assert said.code == 3
    assert "unreachable 1: airport-passport" in said.out
    assert fake.calls == ["up", "down"]


def test_when_the_practice_estate_does_not_come_up_nothing_is_lost(
    fake: FakeLab, tmp_path: Path, capsys: Capture
) -> None:
    name = UnitName("airport-passport")
    fake.prepare = lambda units: units.fails.update({name: UnreachableError(name, "nobody there")})
    said = pulih(capsys, "drill", "--units", 3, "--report-dir", tmp_path / "r")
    assert (said.code, fake.calls) == (3, ["up", "down"])
    assert "no loss was rehearsed" in said.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_drill_takes_its_lab_down(
    fake: FakeLab, tmp_path: Path, capsys: Capture, number: signal.Signals
) -> None:
    def prepare(units: Units) -> None:
        units.pause_s = 0.02
        units.hook = lambda name: os.kill(os.getpid(), number) if name == "airport-border-crossing" else None

    fake.prepare = prepare
    said = pulih(capsys, "drill", "--units", 3, "--report-dir", tmp_path / "r")
    assert (said.code, fake.calls) == (130, ["up", "down"])
    assert json.loads((tmp_path / "r" / "report.json").read_text())["exit_code"] == 130
    assert not fake.homes[0].exists()


def test_ctrl_c_while_the_lab_comes_up_takes_down_what_there_is(fake: FakeLab, tmp_path: Path, capsys: Capture) -> None:
    fake.prepare = lambda _: os.kill(os.getpid(), signal.SIGINT)
    assert pulih(capsys, "drill", "--units", 3, "--report-dir", tmp_path / "r").code == 130
    assert fake.calls == ["up", "down"]


def test_a_lab_that_does_not_start_is_an_error(fake: FakeLab, tmp_path: Path, capsys: Capture) -> None:
    def fail(_: Units) -> None:
        raise LabError("no ports are left")

    fake.prepare = fail
    said = pulih(capsys, "drill", "--units", 3, "--report-dir", tmp_path / "r")
    assert (said.code, fake.calls) == (1, ["up", "down"])
    assert "error: no ports are left" in said.err


def test_a_lab_that_runs_in_the_folder_already_is_left_alone(
    fake: FakeLab, tmp_path: Path, capsys: Capture, monkeypatch: Patch
) -> None:
    def alive(folder: Path) -> LabStatus:
        return LabStatus(
            folder=folder,
            pid=1,
            alive=True,
            units=3,
            data_centres=(),
            lost=(),
            with_release=0,
            serving=0,
            broken={},
            slow={},
        )

    monkeypatch.setattr(lab, "status", alive)
    said = pulih(capsys, "drill", "--units", 3, "--report-dir", tmp_path / "r", "--dir", tmp_path / "lab")
    assert (said.code, fake.calls) == (1, [])
    assert "a lab runs in" in said.err


def drawn(end: list[Line], path: Path) -> str:
    picture = Picture(lambda: at(9))
    for event in whole_run(a_plan()):
        picture.notice(event)
    picture.write(path, end)
    return path.read_text()


def test_the_picture_shows_the_run_part_of_the_way_and_its_end(tmp_path: Path) -> None:
    end = [("12 of 12 units verified", "bold green")]
    svg = drawn(end, tmp_path / "drill.svg").replace("&#160;", " ")
    steps = len(list(a_plan().steps()))
    assert f"{-(-steps * 6 // 10)} of {steps} done" in svg
    assert "12 of 12 units verified" in svg
    assert "region-0" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "").replace("https://www.textualize.io", "")


def test_the_same_run_gives_the_same_picture(tmp_path: Path) -> None:
    end = [("done", "")]
    assert drawn(end, tmp_path / "a.svg") == drawn(end, tmp_path / "b.svg")


@pytest.mark.parametrize("line", ["Report: /home/somebody/report.md", f"at {socket.gethostname()}"])
def test_a_picture_that_would_show_something_of_this_machine_is_not_written(tmp_path: Path, line: str) -> None:
    with pytest.raises(PulihError, match="the picture is not written"):
        drawn([(line, "")], tmp_path / "drill.svg")
    assert not (tmp_path / "drill.svg").exists()
