"""Answers of units: whatever one says is an error of that unit, in words that may be shown, after bounded reading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from recovery.apply import Visit, apply_unit, forget_unit
from recovery.cli import contents, driftview
from recovery.diff import differences
from recovery.errors import BadAnswerError, UnitError, UnreachableError
from recovery.model.bundle import Bundle, RenderedFile
from recovery.model.estate import DataCentreName, LinkName, OfficeName, RegionName, ServiceName, UnitName
from recovery.model.plan import Step
from recovery.model.visit import Epoch
from recovery.observe import MAX_CONTENTS_BYTES, read_unit
from recovery.protocol import MAX_LINES, STEPS
from recovery.report.masking import masked
from recovery.report.text import json_text, printable
from recovery.survey import Finding
from recovery.transport.base import MAX_LINE_BYTES, Session
from recovery.transport.connection import BROKEN, Connection
from recovery.transport.deadline import Deadline, ExpiredError
from recovery.transport.failures import outside
from recovery.transport.hostkeys import pinned
from recovery.transport.lines import Incoming, LineTooLongError
from recovery.verify import Question, probe_unit
from tests.estates import host_key
from tests.hostile.property import Property, shown
from tests.hostile.strategies import FRAGMENTS, junk, valid_text

BUNDLE = Bundle.of([RenderedFile(path="a.conf", mode=0o644, content=b"a\n")])
DIGEST = BUNDLE.digest.encode()
ANSWER = b"answer pulih-probe/1 data-centre=cloud-1 service=passport nonce=n"
UNIT = UnitName("airport-passport")
VISIT = Visit(
    unit=UNIT,
    root="/srv/pulih",
    service=ServiceName("passport"),
    data_centre=DataCentreName("cloud-1"),
    epoch=Epoch(number=1, holder="h"),
    run="run",
)
MOST_LINES_BYTES = MAX_LINES * (MAX_LINE_BYTES + 1)
ENDLESS_BYTES = 40_000_000
"""What stands for an answer without an end: more than is ever read of one."""


class Heard(Session):
    """A session in which the unit says what it was given to say, and takes whatever it is sent."""

    def __init__(self, said: Iterator[bytes], errors: bytes) -> None:
        self._said = said
        self._incoming = Incoming()
        self._incoming.feed_error(errors)
        self.taken_bytes = 0
        self.taken_lines = 0

    async def send(self, data: bytes) -> None:
        del data

    def _more(self) -> bool:
        for piece in self._said:
            self.taken_bytes += len(piece)
            self._incoming.feed(piece)
            return True
        return False

    async def read_line(self) -> str | None:
        self.taken_lines += 1
        while True:
            try:
                line = self._incoming.take_line()
            except LineTooLongError as error:
                raise BadAnswerError(UNIT, "answered a line that is too long") from error
            if line is not None or not self._more():
                return line

    async def read_exactly(self, size_bytes: int) -> bytes:
        while True:
            data = self._incoming.take_exactly(size_bytes)
            if data is not None:
                return data
            if not self._more():
                raise UnreachableError(UNIT, "ended early")

    async def error_text(self) -> str:
        return self._incoming.error_text()


lines = st.one_of(
    st.sampled_from([b"same", b"send", b"done " + DIGEST, b"done none", b"done -", ANSWER, b"current " + DIGEST]),
    st.sampled_from([*STEPS, "back", "nowhere"]).map(lambda step: f"at {step}".encode()),
    st.sampled_from(FRAGMENTS).map(lambda text: b"answer " + text.encode("utf-8", "replace")),
    st.tuples(
        st.sampled_from([b"epoch", b"receipt", b"missing", b"odd", b"mode", b"sum", b"content", b"refused", b"failed"]),
        st.one_of(
            st.sampled_from(
                [b"0", b"7 h", b"99999999999999999999 h", b"-rw-r--r-- a.conf", b"stage disk-full previous"]
            ),
            st.sampled_from(
                [b"4 a.conf\nabc\n", b"262144 x", b"262145 x", b"stale-epoch 9 \x1b[2J", b"\xd9\xa3 a", b"9" * 4000]
            ),
            junk,
        ),
    ).map(b" ".join),
    junk,
)
plain = st.lists(lines, max_size=25).map(lambda said: b"\n".join(said) + b"\n")
endless = st.tuples(plain, lines).map(lambda drawn: (drawn[0], drawn[1] + b"\n"))


def _conversation(drawn: tuple[str, tuple[bytes, bytes], int, bytes]) -> None:
    mode, (said, again), size, errors = drawn

    def pieces() -> Iterator[bytes]:
        yield from (said[at : at + size] for at in range(0, len(said), size))
        for _ in range(ENDLESS_BYTES // len(again) if again else 0):
            yield again

    session = Heard(pieces(), errors)
    try:
        result = asyncio.run(_HOLD[mode](session))
    except UnitError as error:
        _complaint(error)
    else:
        _as_told(result)
    most = MOST_LINES_BYTES + (MAX_CONTENTS_BYTES if mode == "read" else 0) + 2 * max(len(again), size)
    assert session.taken_bytes <= most, session.taken_bytes
    assert session.taken_lines <= MAX_LINES + 1, session.taken_lines


def _complaint(error: UnitError) -> None:
    shown(str(error), at_most=6000)
    assert error.unit == UNIT


async def _apply(session: Session) -> None:
    await apply_unit(session, VISIT, BUNDLE, on_send=lambda: None)


async def _probe(session: Session) -> None:
    question = Question(
        unit=UNIT,
        root="/srv/pulih",
        service=VISIT.service,
        data_centre=VISIT.data_centre,
        digest=BUNDLE.digest,
        nonce="n",
    )
    await probe_unit(session, question)


async def _forget(session: Session) -> None:
    await forget_unit(session, VISIT)


async def _read(session: Session) -> Finding:
    observed = await read_unit(session, UNIT, "/srv/pulih", contents=True)
    return Finding(
        step=Step(
            name=UNIT,
            kind="passport-counter",
            service=VISIT.service,
            region=RegionName("west"),
            office=OfficeName("airport"),
            title="Airport",
            data_centre=VISIT.data_centre,
            link=LinkName.FIBRE,
            bastion=None,
        ),
        bundle=BUNDLE,
        differences=differences(BUNDLE, observed),
        observed=observed,
        error=None,
        seconds=0.0,
    )


_HOLD: dict[str, Callable[[Session], Any]] = {"apply": _apply, "probe": _probe, "forget": _forget, "read": _read}


def _as_told(found: Finding | None) -> None:
    """What a look found is shown in every form."""
    if found is None:
        return
    for line in (*driftview.lines([found]), *contents.lines(found)):
        shown(line)
        assert "\n" not in line
    shown(json_text(driftview.document([found])))
    shown(json_text(contents.document(found)))


class Wire:
    """A stream to a server that says what it was given to say."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def recv(self, size_bytes: int, /) -> bytes:
        piece, self._said = self._said[:size_bytes], self._said[size_bytes:]
        return piece

    def send(self, data: bytes, /) -> int:
        return len(data)

    def settimeout(self, timeout_s: float | None, /) -> None:
        del timeout_s

    def close(self) -> None:
        self._said = b""


def _server(said: bytes) -> None:
    connection = Connection(Wire(said), pinned(host_key("unit")), Deadline(5))
    try:
        connection.handshake()
    except (ExpiredError, *BROKEN) as error:
        shown(outside(error), at_most=300)
    else:
        raise AssertionError("a server without the key was taken for the unit")
    finally:
        connection.end()


def _packet(body: bytes) -> bytes:
    padding = 8 - (len(body) + 5) % 8 + 8
    return (len(body) + padding + 1).to_bytes(4, "big") + bytes([padding]) + body + bytes(padding)


servers = st.tuples(
    st.sampled_from([b"SSH-2.0-x\r\n", b"SSH-2.0-x\r\n", b"SSH-1.5-x\n", b"", b"hello\n" * 20]),
    st.lists(st.binary(max_size=80).map(_packet) | junk, max_size=4).map(b"".join),
).map(b"".join)


def _masked(text: str) -> None:
    told = list(masked(text.split("\n")))
    assert len(told) == text.count("\n") + 1
    for line in told:
        shown(printable(line))


def _of(
    name: str, inputs: st.SearchStrategy[Any], check: Callable[[Any], None], weight: int, examples: int
) -> Property:
    return Property(name=name, inputs=inputs, check=check, weight=weight, examples=examples)


_WITHOUT_END = st.sampled_from(
    [b"at stage\n", b"mode -rw-r--r-- a\n", b"x" * 5000, b"content 262144 x\n" + bytes(262144)]
)
_SAYS = st.one_of(plain.map(lambda said: (said, b"")), endless, st.tuples(st.just(b""), _WITHOUT_END))
PROPERTIES = (
    _of(
        "conversation",
        st.tuples(st.sampled_from(sorted(_HOLD)), _SAYS, st.sampled_from([1, 7, 4096]), junk),
        _conversation,
        130,
        40,
    ),
    _of("SSH server", servers, _server, 30, 25),
    _of("masked lines", valid_text | st.text("pas word=:/@[]\"'\n-BEGINPRVTKY", max_size=300), _masked, 40, 25),
)
