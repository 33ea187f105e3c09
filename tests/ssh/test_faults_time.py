"""What does not end on a unit is ended, and its cause told; what its clock says does not matter."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from recovery.apply import tar
from recovery.diff import differences
from recovery.errors import CommandFailedError
from recovery.model.outcome import Cause
from recovery.protocol import applier_text
from tests.shells import LocalUnit, Shell, ShellSession, bundle
from tests.ssh.faulty import LIMIT_S, ends_as_declared, impatient, preferring
from tests.tools import need

A, B = bundle("a"), bundle("b")
SOON_S = LIMIT_S + 3.5
"""A visit with one thing in it that does not end is over by then, on a busy machine too."""
IGNORES = "trap '' TERM HUP INT; while :; do sleep 0.2; done"
WAITS_FOR_A_CHILD = "sleep 9; true"
TALKS = "while :; do echo never ends; done"
TALKS_ON_ONE_LINE = "while :; do printf 0123456789; done"
LEAVES_A_CHILD = 'echo "pulih-probe/1 data-centre=cloud-1 service=passport nonce=$1"; sleep 9 & exit 0'


@pytest.fixture(params=["dash", "busybox"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> LocalUnit:
    need(request.param, "flock")
    unit = LocalUnit(Shell(request.param, tmp_path / "shell"), tmp_path / "root")
    unit.apply(A)
    return unit


def header(unit: LocalUnit, digest: str, size: int, number: int = 1) -> bytes:
    return f"pulih/1 apply unit {unit.root} {digest} {number} h run {size}\n".encode()


def reading(unit: LocalUnit) -> bytes:
    return f"pulih/1 read unit {unit.root} - 0 - - 0\n".encode()


def visit(unit: LocalUnit, *sent: bytes, environment: dict[str, str], close: bool = True) -> tuple[list[str], float]:
    """Hold a visit; return what the applier answered and how long it lived, seconds."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*unit.shell.command, "-c", applier_text()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(b"".join(sent))
        process.stdin.flush()
        if close:
            process.stdin.close()
        answers = process.stdout.read().decode().splitlines()
        process.wait(timeout=20)
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
    return answers, time.monotonic() - began


@pytest.mark.parametrize(
    ("step", "hang", "told"),
    [
        pytest.param("validate", IGNORES, "timeout untouched", id="validate ignores TERM"),
        pytest.param("validate", TALKS, "timeout untouched", id="validate talks"),
        pytest.param("reload", WAITS_FOR_A_CHILD, "timeout previous", id="reload waits for a child"),
        pytest.param("probe", WAITS_FOR_A_CHILD, "probe-failed previous", id="probe waits for a child"),
        pytest.param("probe", IGNORES, "probe-failed previous", id="probe ignores TERM"),
    ],
)
def test_a_step_that_does_not_end_is_ended(unit: LocalUnit, step: str, hang: str, told: str) -> None:
    wanted = bundle("b", **{step: hang})
    content = tar(wanted)
    answers, seconds = visit(
        unit, header(unit, wanted.digest, len(content)), content, environment=impatient(unit.shell, f"unit/{step}")
    )
    assert answers[-1] == f"failed {step} {told}"
    assert LIMIT_S <= seconds < SOON_S
    assert unit.served() == "a"
    ends_as_declared(unit, B, "b")


def test_it_is_said_which_step_did_not_end(unit: LocalUnit) -> None:
    with pytest.raises(CommandFailedError) as caught:
        unit.apply(bundle("b", validate=IGNORES), environment=impatient(unit.shell, "unit/validate"))
    assert caught.value.cause == Cause.TIMEOUT
    assert "unit/validate did not end within 25 s" in caught.value.reason


def test_a_probe_whose_child_outlives_it_has_answered_all_the_same(unit: LocalUnit) -> None:
    """The child keeps the pipe of the answer open; busybox timeout would leave it there even after a kill."""
    wanted = bundle("b", probe=LEAVES_A_CHILD)
    content = tar(wanted)
    sent = header(unit, wanted.digest, len(content)), content
    answers, seconds = visit(unit, *sent, environment=unit.shell.environment)
    assert answers[-1] == f"done {wanted.digest}"
    assert seconds < 5


@pytest.mark.parametrize("talk", [TALKS, TALKS_ON_ONE_LINE], ids=["lines", "one line"])
def test_a_probe_that_talks_without_end_costs_the_unit_little_memory(unit: LocalUnit, talk: str) -> None:
    """A shell that collects what `$(…)` prints would grow until the unit has no memory left."""
    wanted = bundle("b", probe=talk)
    content = tar(wanted)
    limited = ("/bin/sh", "-c", 'ulimit -v 60000; exec "$@"', "sh", *unit.shell.command)
    unit.shell.command = limited
    sent = header(unit, wanted.digest, len(content)), content
    answers, seconds = visit(unit, *sent, environment=impatient(unit.shell, "unit/probe"))
    assert answers[-1] == "failed probe probe-failed previous"
    assert seconds < SOON_S
    assert not [line for line in answers if len(line) > 200]


def test_a_line_that_goes_silent_leaves_the_unit_free_again(unit: LocalUnit) -> None:
    """Before the header, and in the middle of the bundle: the connection stays open and nothing more comes."""
    content = tar(B)
    environment = impatient(unit.shell, "head", "'read -r l'")
    for sent in ((), (header(unit, B.digest, len(content)), content[: len(content) // 2])):
        answers, seconds = visit(unit, *sent, environment=environment, close=False)
        assert answers[-1].startswith(("refused bad-header", "failed stage"))
        assert LIMIT_S <= seconds < SOON_S
        assert unit.served() == "a"
    ends_as_declared(unit, B, "b")


@pytest.mark.parametrize(
    "path", ["current/a.conf", "current/MANIFEST", "current/extra", "receipt.json", "epoch", "lock"]
)
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(unit: LocalUnit, path: str) -> None:
    """Reading it would hang for ever, and with the lock in hand no visit could ever write to the unit again."""
    (unit.root / path).unlink(missing_ok=True)
    os.mkfifo(unit.root / path)
    content = tar(A)
    sent = header(unit, A.digest, len(content), 2), content
    answers, seconds = visit(unit, reading(unit), environment=unit.shell.environment)
    assert answers[-1] == f"done {A.digest}"
    assert seconds < SOON_S
    answers, seconds = visit(unit, *sent, environment=unit.shell.environment)
    assert seconds < SOON_S
    if path.startswith("current"):
        assert answers[-1] == f"done {A.digest}"
        assert differences(A, unit.read()) == ()
    else:
        refusal = f"refused internal {unit.root}/{path} is not a plain file: look at it and move it away"
        assert answers == [refusal]
        (unit.root / path).unlink()
        ends_as_declared(unit, B, "b", 3)


def test_a_file_of_a_terabyte_does_not_keep_a_unit_reading(unit: LocalUnit) -> None:
    with (unit.root / "current" / "a.conf").open("r+b") as file:
        file.truncate(1 << 40)
    for sent in ((reading(unit),), (header(unit, A.digest, len(tar(A))), tar(A))):
        answers, seconds = visit(unit, *sent, environment=impatient(unit.shell, "sha256sum"))
        assert answers[-1] == f"done {A.digest}"
        assert seconds < SOON_S
    assert differences(A, unit.read()) == ()


@pytest.mark.parametrize(
    ("clock", "shown"),
    [
        ("exec $real -u -d @0 +%Y-%m-%dT%H:%M:%SZ", "1970-01-01T00:00:00Z"),
        ("exec $real -u -d @2147483648 +%Y-%m-%dT%H:%M:%SZ", "2038-01-19T03:14:08Z"),
        ("exec $real -u -d @253402300800 +%Y-%m-%dT%H:%M:%SZ", "10000-01-01T00:00:00Z"),
        ("exit 1", ""),
        ("echo 'no\", \"clock'", ""),
    ],
    ids=["1970", "2038", "10000", "none", "nonsense"],
)
def test_whatever_a_unit_s_clock_says_its_receipt_is_fine(unit: LocalUnit, clock: str, shown: str) -> None:
    wrong = preferring(unit.shell, date=clock)
    unit.apply(B, 5, environment=wrong)
    receipt = json.loads((unit.root / "receipt.json").read_text())
    assert receipt["applied_at"] == shown
    seen = unit.read()
    assert differences(B, seen) == ()
    assert seen.receipt
    assert seen.receipt.applied_at == shown
    assert not unit.apply(B, 6)
    with pytest.raises(CommandFailedError, match="newer than ours"):
        unit.apply(A, 4, environment=wrong)


def test_of_two_appliers_at_once_the_second_waits_for_the_first(unit: LocalUnit) -> None:
    diary = unit.root.parent / "diary"
    marks = f"echo begins >>{diary}; sleep 0.2; echo ends >>{diary}"
    wanted = [bundle(tag, validate=marks) for tag in "bcd"]
    failures: list[BaseException] = []

    def apply(number: int) -> None:
        try:
            unit.apply(wanted[number])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=apply, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert diary.read_text().split() == ["begins", "ends"] * 3
    assert unit.served() in ("b", "c", "d")


def test_the_lock_is_held_from_the_first_write_to_the_last_line(unit: LocalUnit) -> None:
    free = unit.root.parent / "free"
    asks = {step: f"flock -n {unit.root}/lock touch {free}.{step}" for step in ("validate", "reload", "probe")}
    answer = 'echo "pulih-probe/1 data-centre=cloud-1 service=passport nonce=$1"'
    unit.apply(bundle("b", **{step: f"{ask}; {answer if step == 'probe' else 'true'}" for step, ask in asks.items()}))
    assert unit.served() == "b"
    assert not list(free.parent.glob("free.*"))


def test_a_second_applier_that_waits_for_too_long_is_refused_and_writes_nothing(unit: LocalUnit) -> None:
    at_work, go_on = unit.root.parent / "at-work", unit.root.parent / "go-on"
    os.mkfifo(go_on)
    first = threading.Thread(target=unit.apply, args=[bundle("b", validate=f": >{at_work}; read -r line <{go_on}")])
    first.start()
    while not at_work.exists():
        time.sleep(0.02)
    content = tar(bundle("c"))
    before = sorted((unit.root / "releases").rglob("*"))
    answers, seconds = visit(
        unit, header(unit, bundle("c").digest, len(content)), content, environment=impatient(unit.shell, "flock")
    )
    assert answers == ["refused timeout another applier is still at work on this unit"]
    assert LIMIT_S <= seconds < SOON_S
    assert sorted((unit.root / "releases").rglob("*")) == before
    go_on.write_text("on\n")
    first.join()
    assert unit.served() == "b"
    ends_as_declared(unit, B, "b")


def test_an_overtaken_writer_that_waited_for_the_lock_is_refused_under_it(unit: LocalUnit) -> None:
    """It read the epoch before the other one came; what counts is what stands there once it has the lock."""
    with (unit.root / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        session = ShellSession(unit.shell.command, unit.shell.environment)
        session.stdin.write(header(unit, A.digest, len(tar(A)), 8))
        session.close_input()
        waits = re.compile(rf"-> FLOCK .*:{os.fstat(lock.fileno()).st_ino} ")
        while not waits.search(Path("/proc/locks").read_text()):
            time.sleep(0.02)
        (unit.root / "epoch").write_text("9 new\n")
    assert session.stdout.read().decode().splitlines() == ["refused stale-epoch 9 new"]
    session.end()
    assert unit.served() == "a"


@pytest.mark.parametrize("number", [10**18, 2**64 + 1])
def test_an_epoch_beyond_what_a_shell_can_compare_is_refused_not_let_pass(unit: LocalUnit, number: int) -> None:
    """To `[` such a number is an error, and an error is not `true`: the refusal would never have come."""
    unit.apply(A, 10**18 - 1)
    assert unit.say(header(unit, B.digest, 0, number)) == ["refused bad-header epoch and size have at most 18 digits"]
    (unit.root / "epoch").write_text(f"{number} somebody\n")
    assert unit.say(header(unit, B.digest, 0, 7))[0].startswith("refused internal")
    assert unit.served() == "a"
