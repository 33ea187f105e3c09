"""The parts of the transport that touch nothing: lines, printable text, host keys, deadlines, the words of failures."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.errors import HostKeyError, UnreachableError
from recovery.model.estate import Bastion, BastionName, HostKey, Login, Timeouts, UnitName
from recovery.transport import failures
from recovery.transport.base import MAX_LINE_BYTES, Target
from recovery.transport.deadline import Deadline, ExpiredError
from recovery.transport.hostkeys import fingerprint, pinned
from recovery.transport.interrupt import Interrupt, InterruptedVisitError
from recovery.transport.lines import Incoming, LineTooLongError, printable

# Made for these lines with ssh-keygen; the fingerprints are what `ssh-keygen -lf` printed. The private halves are gone.
ED25519 = HostKey("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl")
ED25519_PRINT = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
LOGIN = Login(address="2001:db8::1", port=2222, user="pulih", host_key=ED25519)
TIMEOUTS = Timeouts(connect_s=1, step_s=2, unit_s=3, retries=0)
TARGET = Target(name=UnitName("unit"), login=LOGIN, bastion=None, timeouts=TIMEOUTS)
BASTION = Bastion(name=BastionName("gate"), title="Gate", login=LOGIN)


def lines_of(parts: list[bytes]) -> list[str]:
    incoming, lines = Incoming(), list[str]()
    for part in parts:
        incoming.feed(part)
        while (line := incoming.take_line()) is not None:
            lines.append(line)
    return lines


@given(st.lists(st.binary(max_size=50)))
def test_lines_are_the_same_however_the_bytes_are_cut(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    assert lines_of(parts) == lines_of([whole]) == [printable(line) for line in whole.split(b"\n")[:-1]]


@given(st.binary())
def test_printable_text_is_ascii_that_moves_no_cursor_and_tells_every_byte(data: bytes) -> None:
    text = printable(data)
    assert text.replace("\t", "").isprintable()
    assert text.isascii()
    if b"\\" not in data:
        assert text.encode().decode("unicode_escape").encode("latin-1") == data


def test_a_line_may_have_the_greatest_length_and_not_one_byte_more() -> None:
    incoming = Incoming()
    incoming.feed(b"x" * MAX_LINE_BYTES)
    assert incoming.take_line() is None
    incoming.feed(b"\n")
    assert incoming.take_line() == "x" * MAX_LINE_BYTES
    incoming.feed(b"y" * (MAX_LINE_BYTES + 1))
    with pytest.raises(LineTooLongError):
        incoming.take_line()


def test_a_line_that_is_too_long_is_so_even_when_its_end_is_there() -> None:
    incoming = Incoming()
    incoming.feed(b"y" * (MAX_LINE_BYTES + 1) + b"\n")
    with pytest.raises(LineTooLongError):
        incoming.take_line()


def test_counted_bytes_are_taken_from_the_front_and_lines_go_on_after_them() -> None:
    incoming = Incoming()
    incoming.feed(b"ab\ncd\n")
    assert incoming.take_exactly(7) is None
    assert incoming.take_exactly(3) == b"ab\n"
    assert incoming.take_line() == "cd"
    assert len(incoming) == 0


def test_of_stderr_the_last_two_thousand_characters_are_kept_and_its_lines_stay_lines() -> None:
    incoming = Incoming()
    for number in range(1000):
        incoming.feed_error(f"{number:09}\n".encode())
    assert incoming.error_text() == "".join(f"{number:09}\n" for number in range(800, 1000))
    incoming.feed_error(b"\x1b" * 2000)
    assert incoming.error_text() == "\\x1b" * 500


def test_a_fingerprint_is_the_one_that_ssh_keygen_prints() -> None:
    assert pinned(ED25519).fingerprint == ED25519_PRINT
    assert fingerprint(pinned(ED25519).blob) == ED25519_PRINT


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ssh-dss AAAA", "of kind 'ssh-dss'"),
        ("", "of kind ''"),
        ("ssh-ed25519 %%%", "not base64"),
        ("ssh-rsa " + ED25519.split(" ")[1], "says 'ssh-rsa' but holds a key of another kind"),
    ],
)
def test_a_host_key_that_cannot_be_used_says_why(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pinned(HostKey(line))


def test_an_rsa_host_key_is_never_asked_for_with_sha_1() -> None:
    blob = "AAAAB3NzaC1yc2EAAAADAQABAAAAAQE="
    assert pinned(HostKey(f"ssh-rsa {blob}")).algorithms == ("rsa-sha2-512", "rsa-sha2-256")


def test_a_deadline_tells_the_step_from_the_whole() -> None:
    deadline = Deadline(60)
    assert 59 < deadline.remaining_s() <= 60
    deadline.step(0.005)
    assert deadline.remaining_s() <= 0.005
    time.sleep(0.01)
    with pytest.raises(ExpiredError) as caught:
        deadline.remaining_s()
    assert (caught.value.limit_s, caught.value.is_whole) == (0.005, False)
    deadline.step(5)
    assert deadline.remaining_s() > 4
    assert not deadline.expired().is_whole
    deadline.step(90)
    assert deadline.expired().is_whole
    assert deadline.remaining_s() <= 60


def test_an_interrupt_wakes_whoever_waits_and_stops_whoever_is_about_to() -> None:
    woken: list[str] = []
    interrupt = Interrupt()
    interrupt.check()
    interrupt.guard(lambda: woken.append("first"))
    interrupt.guard(lambda: woken.append("second"))
    interrupt.set()
    assert woken == ["second"]
    with pytest.raises(InterruptedVisitError):
        interrupt.check()
    with pytest.raises(InterruptedVisitError):
        interrupt.guard(lambda: None)


def test_a_failure_says_the_unit_the_place_the_way_and_what_to_do() -> None:
    behind = Target(name=UnitName("unit"), login=LOGIN, bastion=BASTION, timeouts=TIMEOUTS)
    text = str(failures.unreachable(behind, "connecting", "Connection refused"))
    assert text.startswith(
        "unit: Connection refused while connecting at [2001:db8::1]:2222 through bastion gate (expected "
    )
    assert "check that it is up" in text


def test_what_went_wrong_at_a_bastion_stays_the_same_kind_of_error_and_names_it() -> None:
    trust = failures.wrong_host_key(TARGET, "SHA256:a", "SHA256:b")
    assert isinstance(failures.bastion_failed(TARGET, BASTION, trust, trust.reason), HostKeyError)
    slow = failures.took_too_long(TARGET, "connecting", 3)
    failed = failures.bastion_failed(TARGET, BASTION, slow, slow.reason)
    assert isinstance(failed, UnreachableError)
    assert str(failed).startswith("unit: through bastion gate: not done within 3 s")


def test_what_a_server_says_of_itself_is_cut_and_made_printable() -> None:
    assert failures.outside("\x1b[2J" + "é" * 10 + "x" * 999).startswith("\\x1b[2J\\xc3\\xa9")
    assert len(failures.outside("x" * 999)) == 300
