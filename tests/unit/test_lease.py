from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recovery.cli.begun import Recording
from recovery.cli.watch import Watch
from recovery.errors import HeldError, LeaseLostError
from recovery.journal import Journal
from recovery.lease import Leases
from recovery.model.events import UnitFinished, WaveStarted
from recovery.model.outcome import Cause, State
from recovery.processes import LinuxProcesses, Process
from recovery.record import Recorder
from recovery.store import ConflictError, FileStore
from tests.stories import outcome


class Hands:
    """A clock and processes that a test moves by hand."""

    def __init__(self) -> None:
        self.time = datetime(2024, 6, 20, 0, 54, tzinfo=UTC)
        self.pid = 1
        self.dead: set[int] = set()

    def now(self) -> datetime:
        return self.time

    def me(self) -> Process:
        return Process(machine="m", boot="boot", namespace="n", pid=self.pid, started="1", where="duty@ops-1")

    def is_dead(self, process: Process) -> bool:
        return process.pid in self.dead


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def leases(tmp_path: Path, hands: Hands) -> Leases:
    return Leases(FileStore(tmp_path), hands, hands, random.Random(1))


def test_a_second_operator_is_told_who_since_when_and_which_run(leases: Leases) -> None:
    leases.take(["jakarta", "cloud-1"], "run-1")
    with pytest.raises(HeldError, match=r"cloud-1 is held by duty@ops-1 \(process 1\) since 2024-06-20 00:54:00 UTC"):
        leases.take(["bali", "cloud-1"], "run-2")


def test_nothing_is_kept_of_a_lease_that_could_not_be_taken_whole(leases: Leases) -> None:
    leases.take(["cloud-1"], "run-1")
    with pytest.raises(HeldError):
        leases.take(["bali", "cloud-1"], "run-2")
    leases.take(["bali"], "run-3")


def test_whoever_loses_a_race_for_one_scope_gives_the_others_back(tmp_path: Path, hands: Hands) -> None:
    class Raced(FileStore):
        def put(self, name: str, content: bytes, *, over: str | None) -> str:
            if name == "leases/jakarta.json":
                raise ConflictError(f"{name} was written by somebody else meanwhile")
            return super().put(name, content, over=over)

    leases = Leases(Raced(tmp_path), hands, hands, random.Random(1))
    with pytest.raises(HeldError, match="jakarta was taken by somebody else at this very moment"):
        leases.take(["bali", "jakarta"], "run-1")
    assert [(holder.scope, holder.released) for holder in leases.holders()] == [("bali", True)]


def test_other_scopes_are_free(leases: Leases) -> None:
    leases.take(["jakarta"], "run-1")
    leases.take(["bali"], "run-2")


def test_the_epoch_only_grows_whoever_takes_what(leases: Leases) -> None:
    first = leases.take(["jakarta"], "run-1")
    second = leases.take(["bali"], "run-2")
    first.release()
    third = leases.take(["jakarta"], "run-3")
    assert first.epoch.number < second.epoch.number < third.epoch.number
    assert len({first.epoch.holder, second.epoch.holder, third.epoch.holder}) == 3


def test_a_dead_holder_frees_at_once(leases: Leases, hands: Hands) -> None:
    leases.take(["jakarta"], "run-1")
    hands.pid, hands.dead = 2, {1}
    assert leases.take(["jakarta"], "run-2").taken_over == {}, "nobody was silent"


def test_a_silent_holder_is_taken_over_only_with_its_runs_name(leases: Leases, hands: Hands) -> None:
    leases.take(["jakarta"], "run-1")
    hands.time += timedelta(seconds=29)
    with pytest.raises(HeldError, match="Wait for it"):
        leases.take(["jakarta"], "run-2", over="run-1")
    hands.time += timedelta(seconds=2)
    with pytest.raises(HeldError, match="take over with `pulih resume run-1`"):
        leases.take(["jakarta"], "run-2")
    with pytest.raises(HeldError):
        leases.take(["jakarta"], "run-2", over="run-0")
    leases.take(["jakarta"], "run-1", over="run-1")


def test_a_silent_run_whose_machine_is_lost_is_taken_over_with_break_glass_only(leases: Leases, hands: Hands) -> None:
    leases.take(["jakarta"], "run-1")
    hands.time += timedelta(seconds=30)
    with pytest.raises(HeldError, match="Wait for it"):
        leases.take(["jakarta"], "run-2", above=1, is_here=lambda _run: False)
    hands.time += timedelta(seconds=1)
    with pytest.raises(HeldError, match=r"resume run-1` where that run is kept; .* --break-glass"):
        leases.take(["jakarta"], "run-2", is_here=lambda _run: False)
    with pytest.raises(HeldError, match=r"take over with `pulih resume run-1`\.$"):
        leases.take(["jakarta"], "run-2", above=1, is_here=lambda run: run == "run-1")
    taken = leases.take(["jakarta"], "run-2", above=7, is_here=lambda _run: False)
    assert taken.epoch.number == 8
    assert taken.taken_over == {"run-1": "duty@ops-1"}


def test_break_glass_goes_above_the_units_though_none_has_ever_accepted_an_epoch(leases: Leases) -> None:
    assert leases.take(["jakarta"], "run-1", above=0).epoch.number == 1
    assert leases.take(["bali"], "run-2", above=0).epoch.number == 2
    assert leases.take(["papua"], "run-3", above=9).epoch.number == 10


def test_a_writer_that_was_taken_over_learns_it_at_its_next_unit(leases: Leases, hands: Hands) -> None:
    stopped = leases.take(["jakarta", "bali"], "run-1")
    hands.time += timedelta(seconds=31)
    leases.take(["jakarta"], "run-1", over="run-1")
    with pytest.raises(LeaseLostError, match=r"jakarta has been taken over by duty@ops-1, run run-1, epoch 2"):
        stopped.renew()


def test_whoever_asks_whether_to_stop_before_a_unit_looks_after_the_lease(leases: Leases, hands: Hands) -> None:
    watch = Watch(leases.take(["jakarta"], "run-1"), lambda: False)
    assert watch.halted() is None
    hands.time += timedelta(seconds=31)
    hands.pid = 2
    leases.take(["jakarta"], "run-2", over="run-1")
    halt = watch.halted()
    assert halt is not None
    assert (halt.exit_code, halt.cause) == (4, Cause.STALE_EPOCH)


def test_a_unit_that_has_seen_a_newer_epoch_lets_the_run_ask_the_store_at_once(leases: Leases, hands: Hands) -> None:
    watch = Watch(leases.take(["jakarta"], "run-1"), lambda: False)
    hands.dead.add(1)
    hands.pid = 2
    leases.take(["jakarta"], "run-2")
    assert watch.halted() is None  # it was renewed just now
    refused = outcome("medan-passport", State.QUARANTINED, cause=Cause.STALE_EPOCH, reason="it has accepted epoch 2")
    watch.notice(UnitFinished(outcome=refused, at=hands.now()))
    halt = watch.halted()
    assert halt is not None
    assert (halt.exit_code, halt.cause) == (4, Cause.STALE_EPOCH)


def test_a_run_stops_whose_journal_another_goes_on_with_though_its_lease_seems_fine(
    leases: Leases, tmp_path: Path
) -> None:
    watch = Watch(leases.take(["jakarta"], "run-1"), lambda: False)
    ours, theirs = Journal(tmp_path / "journal.jsonl"), Journal(tmp_path / "journal.jsonl")
    began = WaveStarted(wave="passport", at=datetime(2024, 6, 20, tzinfo=UTC))
    Recording(Recorder(theirs), watch).notice(began)
    assert watch.halted() is None
    Recording(Recorder(ours), watch).notice(began)
    halt = watch.halted()
    assert halt is not None
    assert (halt.exit_code, halt.cause) == (4, Cause.STALE_EPOCH)
    assert "journal.jsonl" in halt.reason
    assert watch.is_overtaken()
    assert (tmp_path / "journal.jsonl").read_text().count("\n") == 1


def test_whoever_was_interrupted_and_then_lost_its_journal_was_overtaken(leases: Leases) -> None:
    watch = Watch(leases.take(["jakarta"], "run-1"), lambda: False)
    assert watch.interrupt()
    assert not watch.is_overtaken()
    watch.lose("journal.jsonl is conducted by another process now")
    assert watch.is_overtaken()


def test_a_holder_that_renews_is_not_silent(leases: Leases, hands: Hands) -> None:
    held = leases.take(["jakarta"], "run-1")
    for _ in range(6):
        hands.time += timedelta(seconds=11)
        held.renew()
    with pytest.raises(HeldError, match="last heard 0 s ago"):
        leases.take(["jakarta"], "run-2", over="run-1")


def test_a_lease_is_fresh_for_a_while_from_each_time_that_the_store_was_told(leases: Leases, hands: Hands) -> None:
    held = leases.take(["jakarta"], "run-1")
    hands.time += timedelta(seconds=19)
    held.renew()
    _, told = held.held["jakarta"]
    hands.time += timedelta(seconds=9)
    held.renew()
    assert held.held["jakarta"][1] == told, "it was told a moment ago"
    hands.time += timedelta(seconds=10)
    assert held.is_fresh()
    hands.time += timedelta(seconds=1)
    assert not held.is_fresh()


def test_giving_back_does_not_take_from_the_new_holder(leases: Leases, hands: Hands) -> None:
    old = leases.take(["jakarta"], "run-1")
    hands.time += timedelta(seconds=31)
    leases.take(["jakarta"], "run-1", over="run-1")
    old.release()
    with pytest.raises(HeldError):
        leases.take(["jakarta"], "run-3")


def test_a_document_is_written_only_over_the_version_that_was_read(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    first = store.put("leases/a.json", b"1", over=None)
    with pytest.raises(ConflictError):
        store.put("leases/a.json", b"2", over=None)
    second = store.put("leases/a.json", b"2", over=first)
    with pytest.raises(ConflictError):
        store.put("leases/a.json", b"3", over=first)
    found = store.get("leases/a.json")
    assert found is not None
    assert (found.content, found.version) == (b"2", second)
    assert store.names("leases/") == ["leases/a.json"]


def test_this_process_lives_and_one_that_ended_does_not() -> None:
    import subprocess

    processes = LinuxProcesses("duty@ops-1")
    me = processes.me()
    child = subprocess.Popen(["true"])
    child.wait()
    assert not processes.is_dead(me)
    assert processes.is_dead(replace(me, pid=child.pid))
    assert not processes.is_dead(replace(me, namespace="another", pid=child.pid))
    assert processes.is_dead(replace(me, boot="an earlier one")) is bool(me.machine)
    assert not processes.is_dead(replace(me, machine="another", boot="another", pid=child.pid))
