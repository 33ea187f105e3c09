"""When what is put on an office's line leaves it."""

from __future__ import annotations

import pytest

from recovery.lab.line import Line


def test_a_line_that_is_not_slow_takes_no_time() -> None:
    line = Line()
    assert not line.is_slow
    assert line.departure_s(line.up, 1_000_000, now_s=5.0) == 5.0


def test_what_is_put_on_a_lane_leaves_at_its_rate_and_behind_what_is_there() -> None:
    line = Line(latency_ms=300, kbit_s=256)
    assert line.is_slow
    assert line.departure_s(line.up, 32_000, now_s=10.0) == pytest.approx(11.0)
    assert line.departure_s(line.up, 16_000, now_s=10.2) == pytest.approx(11.5)
    assert line.departure_s(line.up, 32_000, now_s=20.0) == pytest.approx(21.0), "an idle lane saves nothing up"


def test_the_two_directions_do_not_wait_for_each_other() -> None:
    line = Line(kbit_s=8)
    line.departure_s(line.up, 10_000, now_s=0.0)
    assert line.departure_s(line.down, 1000, now_s=0.0) == pytest.approx(1.0)


def test_a_line_that_is_changed_forgets_what_waited() -> None:
    line = Line(kbit_s=1)
    line.departure_s(line.up, 100_000, now_s=0.0)
    line.change(0, 1000)
    assert line.departure_s(line.up, 125_000, now_s=1.0) == pytest.approx(2.0)


@pytest.mark.parametrize(("kbit_s", "chunk_bytes"), [(0, 4096), (1, 128), (256, 1600), (1_000_000, 4096)])
def test_those_who_share_a_slow_line_take_turns_in_small_chunks(kbit_s: int, chunk_bytes: int) -> None:
    assert Line(kbit_s=kbit_s).chunk_bytes == chunk_bytes
