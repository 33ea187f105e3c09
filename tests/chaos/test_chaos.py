"""Faults of units, bastions and lines, on real sshd, dash and busybox: nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial

import pytest

from recovery.model.estate import UnitName
from tests.chaos import looking
from tests.chaos.ground import BEHIND, DIRECT, Ground, settled
from tests.chaos.kinds import DAILY, KINDS, OF_HOSTS
from tests.chaos.looking import Before, Losses
from tests.chaos.trial import Kind, Told, Trial, play
from tests.ssh.talking import once

GATE = UnitName("harbour-border-crossing")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Generator[Ground]:
    with settled(tmp_path_factory.mktemp("chaos") / "ground") as ground:
        yield ground


@pytest.mark.parametrize("kind", OF_HOSTS)
def test_nothing_is_lost(ground: Ground, kind: Kind) -> None:
    assert play(ground, kind) == Told(units=6, lost={})


@pytest.mark.parametrize(("name", "shell"), [(BEHIND, "dash"), (DIRECT, "busybox")])
def test_the_shell_behind_sshd_is_the_one_that_is_meant(ground: Ground, name: UnitName, shell: str) -> None:
    answer = once(ground.servers.key_file, ground.servers.target(name), "exec /bin/sh -c 'readlink /proc/$$/exe'")
    assert answer
    assert answer.endswith(f"/{shell}")


def test_what_is_lost_is_seen(ground: Ground) -> None:
    """A gateway with another configuration, a damaged release, a receipt that is gone."""
    undo: list[Callable[[], object]] = []

    def spoil(trial: Trial) -> None:
        done = trial.command()
        assert done.returncode == 0, done
        gateway = trial.machines[DIRECT].folder / "loaded"
        undo.append(partial(gateway.write_text, gateway.read_text()))
        gateway.write_text(f"{64 * '0'} main passport\n")
        settings = trial.machines[BEHIND].root / "current" / "counter" / "settings.json"
        undo.append(partial(settings.write_text, settings.read_text()))
        settings.write_text("{}")
        receipt = trial.machines[GATE].root / "receipt.json"
        undo.append(partial(receipt.write_bytes, receipt.read_bytes()))
        receipt.unlink()

    told = play(ground, Kind(name="spoilt", strike=spoil))
    for mend in undo:
        mend()
    assert set(told.lost) == {DIRECT, BEHIND, GATE}
    assert any("neither its old configuration nor its new one" in what for what in told.lost[DIRECT])
    assert any(what.startswith("serves sha256:000") for what in told.lost[DIRECT])
    assert "what lay under `current` was not one bundle" in told.lost[BEHIND]
    assert any("`pulih drift` says different" in what for what in told.lost[BEHIND])
    assert any("`pulih drift` says different" in what for what in told.lost[GATE])


def test_a_unit_that_a_report_or_a_journal_leaves_out_is_lost() -> None:
    names = [UnitName(name) for name in ("a", "b", "c")]
    before = Before(
        old=dict.fromkeys(names, "old"),
        new=dict.fromkeys(names, "new"),
        epochs=dict.fromkeys(names, b""),
        unvalidated={name: [] for name in names},
    )
    units = [
        {"name": "a", "state": "verified", "cause": None},
        {"name": "b", "state": "quarantined", "cause": None},
    ]
    losses, told = Losses(), Losses()
    looking.look_at_the_report(losses, {"units": units, "endpoints": []}, before)
    assert losses.found == {
        "b": ["the report says quarantined and no cause"],
        "c": ["the report does not have it"],
    }
    records = [
        {"kind": "unit-started", "data": {"name": "a"}},
        {"kind": "unit-finished", "data": {"name": "a", "state": "verified"}},
        {"kind": "unit-finished", "data": {"name": "b", "state": "verified"}},
        {"kind": "unit-finished", "data": {"name": "d", "state": "skipped"}},
    ]
    looking.look_at_the_journals(told, [records], ["a", "c"])
    assert told.found == {
        "b": ["its result stands in the journal without an intent before it"],
        "c": ["it was touched, and no journal says that anybody meant to"],
    }


def test_kinds_have_names_of_their_own() -> None:
    names = {kind.name for kind in KINDS}
    assert len(names) == len(KINDS)
    assert names > DAILY
