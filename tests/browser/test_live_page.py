"""A drill with sick units, watched in a real browser and in a terminal: at the end all tell the same as the units."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recovery import lab
from recovery.model.estate import UnitName
from recovery.report.text import duration
from tests.browser.chromium import Browser, browser
from tests.drill.watching import PULIH, begin, pulih, the_lab, wait_for

UNITS = 100
SICK = {"border-crossing": lab.How.HANG, "passport": lab.How.DISK_FULL, "stay-permit": lab.How.WRONG_HOST_KEY}
"""What is wrong with one unit of each service: 3 % of all are sick."""

CAUSES = {"timeout", "disk-full", "host-key"}
HOSTILE = "<script>document.title='taken'</script>"
PICTURES = Path(__file__).parents[2] / "screenshots"
"""Git-ignored; see `screenshots.py` for the picture in the README."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A lab in which pdns-2 is lost, three units are sick and one office has a hostile name."""
    home = tmp_path / "lab"
    try:
        lab.up(UNITS, home)
        units = the_lab(home)["units"]
        sick = {service: next(name for name, unit in units.items() if unit["service"] == service) for service in SICK}
        _rename(home, units[sick["passport"]], HOSTILE)
        assert pulih("apply", "--estate", str(home / "estate")).returncode == 0
        for service, how in SICK.items():  # one hangs: the waves behind it wait, and somebody can watch
            lab.break_unit(home, UnitName(sick[service]), how)
        lab.lose(home, "pdns-2")
        yield home
    finally:
        lab.down(home)


def _rename(home: Path, unit: dict[str, Any], title: str) -> None:
    path = home / "estate" / "regions" / f"{unit['region']}.yaml"
    pattern = rf"(- name: {re.escape(unit['office'])}\n(?:    .*\n)*?    title: ).*"
    text, times = re.subn(pattern, lambda match: match[1] + json.dumps(title), path.read_text())
    assert times == 1
    path.write_text(text)


def _count(tab: Browser, mark: str) -> int:
    return tab.ask(f"document.querySelectorAll('#map g[transform] use[href=\"#mark-{mark}\"]').length")


def test_what_the_page_shows_at_the_end_is_the_report_the_journal_and_the_units(folder: Path, tmp_path: Path) -> None:
    estate = str(folder / "estate")
    before = {path.name for path in (folder / ".pulih" / "runs").iterdir()}
    conducting = begin(
        "recover", "--lost", "pdns-2", "--yes", "--report-dir", str(tmp_path / "report"), "--estate", estate
    )
    run = wait_for(folder, before, 1, conducting)
    in_terminal = begin("watch", run, "--estate", estate)
    serving = subprocess.Popen(
        [*PULIH, "watch", run, "--serve", "127.0.0.1:0", "--estate", estate],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert serving.stdout is not None
        url = serving.stdout.readline().strip()
        with browser() as tab:
            tab.open(url)
            tab.ask("window.neverReloaded = true")
            assert tab.ask("document.querySelector('header').className") == "under-way"
            done = _count(tab, "done")
            tab.wait_for("document.querySelector('#next article.failed') && true")  # a failure shows while it runs
            PICTURES.mkdir(exist_ok=True)
            assert " to go. Forecast before it began: " in tab.ask("document.querySelector('header').textContent")
            assert "Now expected" in tab.ask("document.querySelector('#timeline').textContent")
            tab.screenshot(PICTURES / "live-during.png", height=1400)
            tab.wait_for("document.querySelector('header').className === 'failed'")
            assert conducting.wait(60) == 3
            tab.screenshot(PICTURES / "live-end.png", height=1400)
            assert _count(tab, "done") > done
            assert tab.ask("window.neverReloaded")
            _agrees(tab, folder, run, tmp_path / "report")
            shown = tab.ask("document.querySelector('main').innerHTML")
            assert tab.console == []
            assert {request.split("?")[0] for request in tab.requests} == {url, f"{url}events"}
            tab.open((tmp_path / "report" / "report.html").as_uri())
            assert tab.ask("document.querySelector('main').innerHTML") == shown
        said, _ = in_terminal.communicate(timeout=120)
        assert in_terminal.returncode == 0
        assert f"{UNITS - len(SICK)} of {UNITS} units verified at cloud-1" in said
        assert "disk-full 1: " in said
    finally:
        serving.send_signal(signal.SIGINT)
        _, complaints = serving.communicate(timeout=120)
        for process in (conducting, in_terminal):
            process.kill()
            process.wait()
    assert serving.returncode == 0
    assert complaints == "whoever has this address can watch; Ctrl-C ends it\n"


SHOWN = """[...document.querySelectorAll('#timeline table.units tbody tr')].map((row) => {
    const state = row.querySelector('td');
    return [row.querySelector('th').textContent, state.className, state.textContent];
})"""


def _agrees(tab: Browser, folder: Path, run: str, where: Path) -> None:
    """The page, the report, the journal and the units' own receipts say the same of every unit."""
    report = json.loads((where / "report.json").read_text())
    outcomes = {one["name"]: one for one in (*report["units"], *report["endpoints"])}
    units = the_lab(folder)["units"]
    assert {one["name"] for one in report["units"]} == set(units)

    failed = {name: one["cause"] for name, one in outcomes.items() if one["state"] == "quarantined"}
    assert set(failed.values()) == CAUSES
    assert len(failed) == len(SICK)
    verified = {name for name, one in outcomes.items() if one["state"] in ("verified", "unchanged")}
    assert set(outcomes) == verified | set(failed)

    shown = {name: (mark, text) for name, mark, text in tab.ask(SHOWN)}
    assert set(shown) == set(outcomes)
    assert {name for name, (mark, _) in shown.items() if mark == "done"} == verified
    assert {name: text for name, (mark, text) in shown.items() if mark == "failed"} == {
        name: f"✕quarantined, {cause}{', 2 tries' if cause == 'timeout' else ''}" for name, cause in failed.items()
    }
    total = report["totals"]
    assert tab.ask("document.querySelector('h1').textContent") == (
        f"{total['verified']} of {total['units']} units verified"
    )
    tiles = tab.ask("[...document.querySelectorAll('.tiles li')].map(tile => tile.textContent.slice(1))")
    assert {f"{total['verified']}verified", f"{total['quarantined']}quarantined"} <= set(tiles)
    groups = tab.ask(
        "[...document.querySelectorAll('#next article.failed')].map(group => [group.querySelector('h3').textContent, "
        "[...group.querySelectorAll('tbody th')].map(cell => cell.textContent)])"
    )
    assert dict(groups) == {f"✕{cause}: 1 unit": [name] for name, cause in failed.items()}
    assert tab.ask("document.querySelector('header').textContent").count("Forecast before it began: ") == 1
    ends = tab.ask(
        "[...document.querySelectorAll('#timeline .gantt:not(.units) tbody tr')].map(row => "
        "[...row.querySelectorAll('[data-label=\"forecast\"]')].map(cell => cell.firstChild.textContent.trim()).join())"
    )
    assert ends == [duration(wave["ends_s"]) for wave in report["forecast"]["waves"]]

    lines = (folder / ".pulih" / "runs" / run / "journal.jsonl").read_text().splitlines()
    ended = {
        data["name"]: (data["state"], data["cause"], data["digest"])
        for data in (line["data"] for line in map(json.loads, lines) if line["kind"] == "unit-finished")
    }
    assert ended == {name: (one["state"], one["cause"], one["digest"]) for name, one in outcomes.items()}
    receipts = {name: Path(unit["dir"]) / "receipt.json" for name, unit in units.items()}
    own = {name: json.loads(path.read_text()) for name, path in receipts.items() if path.exists()}
    assert {name: receipt["digest"] for name, receipt in own.items() if receipt["run"] == run} == {
        name: outcomes[name]["digest"] for name in verified & set(units)
    }
    assert HOSTILE in tab.ask("document.querySelector('#next').textContent")
    assert tab.ask("document.title").startswith("recover · ")
    assert tab.ask("document.scripts.length") == 1
