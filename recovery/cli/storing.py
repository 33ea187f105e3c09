"""Where runs leave their reports, and how they are found again."""

from __future__ import annotations

import json
import os
from pathlib import Path

from recovery.cli.context import where
from recovery.cli.output import write_file
from recovery.errors import StoredReportError
from recovery.files import read_regular
from recovery.model.outcome import RunResult
from recovery.model.story import Story
from recovery.report import from_json, to_json, to_markdown
from recovery.report.as_html import to_html
from recovery.report.as_junit import to_junit
from recovery.report.text import json_text

MAX_REPORT_BYTES = 16 << 20
"""A report of 582 units has 200 KB."""


def check_writable(folder: Path) -> None:
    """Find out now, rather than after the run, whether a report can be left in `folder`.

    Raises:
        OSError: It can't.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} can't be written to")


def write_report(story: Story, folder: Path) -> None:
    """Write report.json, report.md, report.html and junit.xml, each whole or not at all.

    Raises:
        OSError: The folder or the disk does not let it.
    """
    result = story.result
    write_file(folder / "report.json", json_text(to_json(result), indent=1) + "\n")
    write_file(folder / "report.md", to_markdown(story))
    write_file(folder / "report.html", to_html(story))
    write_file(folder / "junit.xml", to_junit(result))


def read_report(path: Path) -> RunResult:
    """Read a stored report.

    Raises:
        StoredReportError: There is none, or it can't be read.
    """
    try:
        return from_json(json.loads(read_regular(path, MAX_REPORT_BYTES)))
    except OSError as error:
        raise StoredReportError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # StoredReportError is a ValueError
        raise StoredReportError(f"{path}: {error}") from error


def stored_story(state: Path, run: str | None) -> Story:
    """Return what is known of a stored run: the newest when none is named.

    It is told by the run's journal, whose chain is checked; by its report where only that was kept.

    Raises:
        PlanError: There is no such run, or none at all.
        BrokenRecordError: The journal was edited.
        StoredReportError: Neither journal nor report tells anything.
    """
    from recovery.processes import LinuxProcesses
    from recovery.runs import Runs

    runs = Runs(state, LinuxProcesses(where()))
    name = runs.find(run)
    told = runs.story(name)
    return told if told is not None else Story(result=read_report(runs.folder / name / "report.json"), finished=True)
