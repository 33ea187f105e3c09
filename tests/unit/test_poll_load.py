"""The load of polls: the calculation and the simulation agree, and nobody comes twice as often as is meant."""

from __future__ import annotations

from random import Random

import pytest

from bench.poll_load import HOUR_S, SLOT_S, calculated, handshake_bytes, main, measured, simulated


@pytest.mark.parametrize("noticed", [1.0, 0.3, 0.0])
def test_the_calculation_is_what_waiting_clients_do(noticed: float) -> None:
    clients = 20_000
    hour = zip(calculated(clients, noticed), simulated(clients, noticed, Random(1)), strict=True)
    for number, (told, played) in enumerate(hour):
        for one, other in ((told.changed, played.changed), (told.unchanged, played.unchanged)):
            expected = one * SLOT_S
            assert other * SLOT_S == pytest.approx(expected, abs=5 * expected**0.5 + 1), f"slot {number}"


def test_everybody_who_misses_the_service_has_the_manifest_within_15_minutes() -> None:
    slots = calculated(1000, 1.0)
    assert sum(slot.changed for slot in slots) * SLOT_S == pytest.approx(1000, rel=0.001)
    assert sum(slot.changed for slot in slots[:3]) * SLOT_S == pytest.approx(1000, rel=0.001)
    assert len(slots) * SLOT_S == HOUR_S


def test_the_bytes_are_measured() -> None:
    plain, cost = measured()
    assert 200 < plain.unchanged < 500
    assert 2_000 < plain.changed < 10_000
    assert cost.unchanged - plain.unchanged == cost.changed - plain.changed
    assert 1_000 < handshake_bytes() < 3_000


def test_the_command_prints_the_hour(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--clients", "6000000", "--sample", "2000"])
    said = capsys.readouterr().out
    assert "Before it is published: 10,000 polls/s" in said
    assert len([line for line in said.splitlines() if "-" in line.split(" polls")[0][:10]]) == HOUR_S // SLOT_S
