"""Reading units that lie or are damaged: nothing of it is believed without its files, and it costs little."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from recovery.apply import Visit, apply_unit
from recovery.diff import differences
from recovery.errors import BadAnswerError, UnreachableError
from recovery.model.estate import DataCentreName, ServiceName, UnitName
from recovery.model.visit import Epoch, Observed
from recovery.observe import MAX_CONTENT_BYTES, MAX_CONTENTS_BYTES, read_unit
from recovery.protocol import applier_command
from recovery.transport.base import Session
from recovery.transport.lines import Incoming
from recovery.transport.ssh import SshTransport
from tests.shells import LocalUnit, Shell, bundle
from tests.ssh.faulty import ends_as_declared, program
from tests.ssh.sshd import Host, SshServers
from tests.tools import need

A, B = bundle("a"), bundle("b")
UNIT = UnitName("unit")


class Recited(Session):
    """A unit that answers the same whatever it is asked."""

    def __init__(self, answer: bytes) -> None:
        self._incoming = Incoming()
        self._incoming.feed(answer)

    async def send(self, data: bytes) -> None:
        del data

    async def read_line(self) -> str | None:
        return self._incoming.take_line()

    async def read_exactly(self, size_bytes: int) -> bytes:
        data = self._incoming.take_exactly(size_bytes)
        if data is None:
            raise UnreachableError(UNIT, "it ended early")
        return data

    async def error_text(self) -> str:
        return ""


def read(answer: str | bytes, *, contents: bool = False) -> Observed:
    session = Recited(answer if isinstance(answer, bytes) else answer.encode())
    return asyncio.run(read_unit(session, UNIT, "/srv/pulih", contents=contents))


def test_a_digest_without_the_files_of_it_is_a_difference() -> None:
    lying = read(f"epoch 1 h\nreceipt {json.dumps(receipt(A.digest))}\ncurrent {A.digest}\ndone {A.digest}\n")
    assert {difference.path for difference in differences(A, lying)} >= {"a.conf", "b.conf", "unit/probe", "MANIFEST"}


def receipt(digest: str) -> dict[str, object]:
    return {"digest": digest, "epoch": 1, "holder": "h", "run": "r", "applied_at": "2026-11-23T17:00:00Z"}


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("", id="empty"),
        pytest.param("[" * 4000, id="nested too deep"),
        pytest.param('{"digest":"x","epoch":1e999,"holder":"h","run":"r","applied_at":""}', id="endless epoch"),
        pytest.param('{"digest":"x","epoch":NaN,"holder":"h","run":"r","applied_at":""}', id="no epoch"),
        pytest.param('{"digest":"x","epoch":[],"holder":"h","run":"r","applied_at":""}', id="a list for an epoch"),
        pytest.param('{"digest":"sha256:', id="torn"),
        pytest.param("null", id="null"),
        pytest.param("\\udc00\x1b[2J", id="escapes"),
    ],
)
def test_a_receipt_that_makes_no_sense_is_no_receipt(written: str) -> None:
    seen = read(b"epoch 1 h\nreceipt " + written.encode() + f"\ndone {A.digest}\n".encode())
    assert seen.receipt is None


@pytest.mark.parametrize("number", ["9" * 16, "9" * 4000, "-1", "1e3", "", "\u0663"])
def test_an_epoch_that_no_run_can_have_drawn_is_a_bad_answer(number: str) -> None:
    """Break-glass goes one above the largest that is read: a unit gone mad must not take the others with it."""
    with pytest.raises(BadAnswerError, match=r"^unit: .*not of protocol v1"):
        read(f"epoch {number} h\ndone none\n")


def test_files_without_end_are_a_bad_answer_before_they_fill_our_memory() -> None:
    one = b"content %d a\n" % MAX_CONTENT_BYTES + bytes(MAX_CONTENT_BYTES)
    count = MAX_CONTENTS_BYTES // MAX_CONTENT_BYTES
    assert read(one * count + b"done none\n", contents=True).digest is None
    with pytest.raises(BadAnswerError, match="more than 16777216 bytes of its files"):
        read(one * (count + 1) + b"done none\n", contents=True)
    with pytest.raises(BadAnswerError, match="more than 16777216 bytes of its files"):
        read(b"content 1 a\nx" + b"done none\n")


@pytest.fixture(params=["dash", "busybox"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> LocalUnit:
    need(request.param, "flock")
    unit = LocalUnit(Shell(request.param, tmp_path / "shell"), tmp_path / "root")
    unit.apply(A)
    return unit


def test_a_release_with_more_than_is_read_is_read_as_far_as_that_goes(unit: LocalUnit) -> None:
    for number in range(MAX_CONTENTS_BYTES // MAX_CONTENT_BYTES + 5):
        (unit.root / "current" / f"more-{number:02}").write_bytes(bytes(2 * MAX_CONTENT_BYTES))
    seen = unit.read()
    assert 50 < len(seen.contents) < len(seen.files)
    assert sum(map(len, seen.contents.values())) <= MAX_CONTENTS_BYTES
    assert all(file.sha256 for file in seen.files.values())
    ends_as_declared(unit, A, "a")


@pytest.mark.parametrize("name", ["with a space", "f\u00fcnf", "\x1b[2J", "two\nlines", "two\n.lines", "two\n"])
def test_a_file_whose_name_can_not_be_written_is_a_difference(unit: LocalUnit, name: str) -> None:
    (unit.root / "current" / name).touch()
    assert [difference.path for difference in differences(A, unit.read())] == ["(names that can't be written)"]
    ends_as_declared(unit, A, "a")


@pytest.mark.parametrize("written", [b"\x00\xff\x1b[2J" * 50, b"[" * 1400, b"x" * 90_000, b"x\n" * 9_000])
def test_a_receipt_that_was_overwritten_with_anything_is_made_anew(unit: LocalUnit, written: bytes) -> None:
    (unit.root / "receipt.json").write_bytes(written)
    assert [difference.path for difference in differences(A, unit.read())] == ["receipt.json"]
    ends_as_declared(unit, A, "a")


class Liar:
    """A unit that claims, whenever it is asked to take a bundle, that it has it already; read, it tells the truth."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "unit"
        lie = "echo same; echo at probe; echo answer pulih-probe/1 data-centre=cloud-1 service=passport nonce=n"
        script = (
            "IFS= read -r line; set -- $line\n"
            f'case $2 in apply) {lie}; echo "done $5" ;;\n'
            '*) { printf "%s\\n" "$line"; cat; } | eval "${SSH_ORIGINAL_COMMAND#exec }" ;; esac'
        )
        forced = program(folder / "forced", "liar", script)
        hosts = [Host(name="liar", options=(f"ForceCommand {forced}",)), Host(name="honest")]
        self.servers = SshServers(folder / "servers", hosts, log_level="INFO")

    async def visit(self, transport: SshTransport, host: str, tag: str) -> None:
        trip = Visit(
            unit=UNIT,
            root=str(self.root),
            service=ServiceName("passport"),
            data_centre=DataCentreName("cloud-1"),
            epoch=Epoch(number=1, holder="h"),
            run="run",
        )

        async def conversation(session: Session) -> None:
            await apply_unit(session, trip, bundle(tag), on_send=lambda: None)

        await transport.run(self.servers.target(host), applier_command(), conversation, within_s=20)

    async def read(self, transport: SshTransport) -> Observed:
        async def conversation(session: Session) -> Observed:
            return await read_unit(session, UNIT, str(self.root))

        return await transport.run(self.servers.target("liar"), applier_command(), conversation, within_s=20)


@pytest.fixture
def liar(tmp_path: Path) -> Iterator[Liar]:
    need("sshd")
    liar = Liar(tmp_path)
    with liar.servers:
        yield liar


def test_a_unit_that_says_same_when_it_is_not_is_found_by_the_next_reading(liar: Liar) -> None:
    """A visit can't see through a lie that is told in full; what the unit runs is known by reading it."""

    async def main() -> tuple[str, ...]:
        transport = SshTransport(ssh_key=liar.servers.key_file)
        try:
            await liar.visit(transport, "honest", "a")
            await liar.visit(transport, "liar", "b")
            found = differences(B, await liar.read(transport))
            await liar.visit(transport, "honest", "b")
            assert differences(B, await liar.read(transport)) == ()
            return tuple(difference.path for difference in found)
        finally:
            await transport.close()

    assert {"a.conf", "b.conf"} <= set(asyncio.run(main()))
