"""The Markdown report: stable, readable, and nothing in it acts."""

from __future__ import annotations

import pytest

from recovery.model.outcome import Cause, State
from recovery.report import to_markdown
from recovery.report.text import duration, markdown, printable
from tests.stories import every_ending, forecast_of
from tests.unit.test_report import BORDER, outcome, page_of, result

PARTIAL = """\
# nusantara: 2 of 5 units verified

Data centre **pdns-2** was given up; **cloud-1** takes over. Time to recover counts from 2026-11-23 17:00:00 UTC.

Run 20261123-170000 (pulih recover) began 2026-11-23 17:00:00 UTC and took 41 s. \
Exit code 3: partial, some units are quarantined or not verified.

| Units | Verified | of them sent | unchanged | Quarantined | Skipped | Not started |
| --- | --- | --- | --- | --- | --- | --- |
| 5 | **2** | 1 | 1 | 1 | 1 | 1 |

Endpoints at the data centres: 1 of 1 verified.

## Time to recover, by service

| Service | Objective | Actual | Met |
| --- | --- | --- | --- |
| Border crossing | 30 min | 12 s | yes |
| Passport | 1 h | - | **no** |

## Not verified, and what to do next

Mend what is named below, then `pulih resume 20261123-170000`: units already in place cost a compare.

### disk-full (1)

The unit has no room for the new release; it was left as it was. Free space on the disk of the unit's root folder.

| Unit | Office | Region | Service | Reason |
| --- | --- | --- | --- | --- |
| sick | office-of-sick | bali | passport | 12 KiB free, 40 needed |

### Skipped (1)

What they depend on failed, so they were left as they were. Mend that first.

| Unit | Office | Region | Service | Reason |
| --- | --- | --- | --- | --- |
| left | office-of-left | aceh | passport | its endpoint failed |

### Not started (1)

The run ended before their turn.

## By region

| Region | Units | Verified | Quarantined | Skipped | Not started |
| --- | --- | --- | --- | --- | --- |
| aceh | 4 | 2 | 0 | 1 | 1 |
| bali | 1 | 0 | 1 | 0 | 0 |

## Slowest units

| Unit | Region | Service | Took | State |
| --- | --- | --- | --- | --- |
| gate | aceh | border-crossing | 10 s | unchanged |
| sick | bali | passport | 2.0 s | quarantined |
| counter | aceh | passport | 1.5 s | verified |
| left | aceh | passport | 1.5 s | skipped |
"""


def test_a_partial_recovery_reads_like_this() -> None:
    run = result(
        outcome("gate", State.UNCHANGED, service=BORDER, seconds=10),
        outcome("counter"),
        outcome(
            "sick",
            State.QUARANTINED,
            region="bali",
            seconds=2,
            cause=Cause.DISK_FULL,
            reason="12 KiB free, 40 needed",
        ),
        outcome("left", State.SKIPPED, reason="its endpoint failed"),
        outcome("late", State.NOT_STARTED, seconds=0),
        endpoints=(outcome("border-crossing-cloud-1", service=BORDER, region=None, seconds=12),),
        exit_code=3,
    )
    assert page_of(run) == PARTIAL


def test_a_full_recovery_names_no_failure() -> None:
    page = page_of(result(outcome("a"), outcome("b", service=BORDER)))
    assert page.startswith("# nusantara: 2 of 2 units verified\n")
    assert "Not verified" not in page


def test_a_long_list_of_failures_is_cut_and_says_so() -> None:
    page = page_of(result(*(outcome(f"u{number:02d}", State.QUARANTINED, seconds=0) for number in range(25))))
    assert "### timeout (25)" in page
    assert "| u19 |" in page
    assert "| u20 |" not in page
    assert "And 5 more, all in report.json." in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Kantor Kelas I", "Kantor Kelas I"),
        ("a|b", r"a\|b"),
        ("**x** `y` _z_", r"\*\*x\*\* \`y\` \_z\_"),
        ("<script>&", "&lt;script&gt;&amp;"),
        ("[x](http://evil)", r"\[x\](http\://evil)"),
        ("www.evil.example", r"www\.evil.example"),
        ("one\ntwo", r"one\\x0atwo"),
        ("Türkiye · 東京", "Türkiye · 東京"),
    ],
)
def test_markdown_in_a_name_is_shown_not_obeyed(text: str, shown: str) -> None:
    assert markdown(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("abc\u202edef", r"abc\u202edef"),
        ("a\u2028b\rc\x9b", r"a\u2028b\x0dc\x9b"),
        ("\U000e0041", r"\U000e0041"),
        ("\udc80", r"\udc80"),
        ("Pulau “Rote” é", "Pulau “Rote” é"),
        ("क्\u200dष", "क्\u200dष"),
    ],
)
def test_what_could_act_on_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (-3, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 01 s"),
        (3599.6, "1 h"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (172_800, "2 d"),
        (176_400, "2 d 1 h"),
    ],
)
def test_a_duration_is_written_in_its_two_largest_units(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_the_forecast_stands_beside_what_came_by_service_and_by_wave() -> None:
    story = forecast_of(every_ending(), {"border-crossing": 2.0, "passport": 8.0})
    page = to_markdown(story)
    assert (
        "Forecast before it began: 8.0 s with 64 at once, by earlier runs for 3 of 6 steps, by defaults for the "
        "others; it took 16 s, 100 % longer."
    ) in page
    assert "| Border crossing | 30 min | 4.0 s | yes | 2.0 s (100 % longer) |" in page
    assert "| Passport | 12 s | - | **no** | 8.0 s |" in page
    assert "| border-crossing | 1 | 4.0 s | 2.0 s (100 % longer) |" in page
    assert "Forecast" not in to_markdown(every_ending())
