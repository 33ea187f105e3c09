"""Citizens' apps in a drill: each finds the recovered services by itself, or the drill says which did not."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from recovery.lab.app import Kind
from tests.drill.watching import pulih
from tests.labs import processes


def drilled(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Hold a drill; return what it said, and its report."""
    said = pulih("drill", "--report-dir", str(folder / "report"), "--dir", str(folder / "lab"), *arguments)
    return said, json.loads((folder / "report" / "report.json").read_text())


def test_200_apps_of_five_kinds_reconnect_without_a_reinstall_and_lose_no_draft(tmp_path: Path) -> None:
    said, report = drilled(tmp_path, "--units", "40", "--clients", "200")
    assert said.returncode == 0, said.stderr
    told = report["clients"]
    assert (told["clients"], told["reconnected"], told["drafts_lost"], told["before_the_wave"]) == (200, 200, 0, 0)
    assert {kind["kind"]: kind["reconnected"] for kind in told["kinds"]} == dict.fromkeys(map(str, Kind), 40)
    assert "citizen-app" in told["wave"]
    assert all(told["wave_passed_at"] < app["reconnected_at"] for app in told["each"])
    assert "200 of 200 apps found the services again without a reinstall" in said.stdout
    _looked_after(tmp_path / "lab" / "citizens" / "apps")
    run = report["run"]
    shown = pulih("report", run, "--estate", str(tmp_path / "lab" / "estate"), "--report-dir", str(tmp_path / "again"))
    assert "**200 of 200 apps** found the services again" in shown.stdout
    for name in ("report.json", "report.md", "report.html"):
        assert (tmp_path / "again" / name).read_text() == (tmp_path / "report" / name).read_text(), name
    assert not processes(tmp_path)


def _looked_after(folder: Path) -> None:
    """What lies on the disk of each app: the new configuration, no session, every draft, the newest root."""
    apps = [path for path in folder.iterdir() if path.is_dir()]
    assert len(apps) == 200
    for app in apps:
        config = json.loads((app / "config.json").read_text())
        places = json.loads(config["manifest"])["services"]["citizen-app"]
        assert [place["data_centre"] for place in places] == ["cloud-1"], app
        assert [path.name for path in (app / "data").iterdir()] == ["drafts"], app
        assert {path.name for path in (app / "data" / "drafts").iterdir()} == {f"draft-{n}.txt" for n in range(3)}
        assert (app / "trusted" / "root_history" / "3.root.json").exists(), app


def test_apps_that_nobody_could_tell_are_named_and_the_drill_ends_with_3(tmp_path: Path) -> None:
    keys = tmp_path / "lab" / "citizens" / "offline"

    def lose_the_keys() -> None:
        """Take people's keys away once the recovery is under way: nobody can sign where the services are now."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not list((tmp_path / "lab").glob(".pulih/runs/*-recover-*")):
            time.sleep(0.01)
        for key in keys.glob("targets-*.pem"):
            key.unlink()

    thief = threading.Thread(target=lose_the_keys)
    thief.start()
    said, report = drilled(tmp_path, "--units", "5", "--clients", "5")
    thief.join()
    assert said.returncode == 3, said.stderr
    told = report["clients"]
    assert (report["exit_code"], told["clients"], told["reconnected"], told["drafts_lost"]) == (0, 5, 0, 0)
    assert "people must sign first" in said.stdout
    assert "0 of 5 apps found the services again without a reinstall" in said.stdout
    assert "app-1 (last month's configuration): [Errno 111] Connection refused" in said.stdout
    page = (tmp_path / "report" / "report.html").read_text()
    assert "app-2 (offline during the recovery): it has not tried" in page
