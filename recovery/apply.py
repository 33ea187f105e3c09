"""Brings one unit to its bundle, over one connection."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass

from recovery.errors import BadAnswerError, CommandTimeoutError, UnreachableError, VerifyError
from recovery.model.bundle import Bundle, RenderedFile
from recovery.model.estate import DataCentreName, ServiceName, UnitName
from recovery.model.visit import Epoch, Mode, Receipt
from recovery.protocol import STEPS, Answers, Header, parse_receipt
from recovery.transport.base import Session

_BLOCK = 512
_STAGE = ".stage/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One visit that may write.

    Attributes:
        unit: Unit or endpoint.
        root: Its folder on the host.
        service: What its test transaction must be answered for.
        data_centre: By which data centre it must be answered.
        epoch: The right to write; the unit refuses a smaller one.
        run: Name of the run, for the receipt.
    """

    unit: UnitName
    root: str
    service: ServiceName
    data_centre: DataCentreName
    epoch: Epoch
    run: str


def tar_size(bundle: Bundle) -> int:
    """Return the size of the bundle's tar, in bytes, without making it."""
    sizes = [len(file.content) for file in bundle.files] + [len(bundle.manifest)]
    return sum(_BLOCK + -(-size // _BLOCK) * _BLOCK for size in sizes) + 2 * _BLOCK


def tar(bundle: Bundle) -> bytes:
    """Return the bundle and its MANIFEST as a ustar archive: plain files, no owner, no time, the same everywhere."""
    manifest = RenderedFile(path="MANIFEST", mode=0o644, content=bundle.manifest)
    parts: list[bytes] = []
    for file in (*bundle.files, manifest):
        member = tarfile.TarInfo(_STAGE + file.path)
        member.size, member.mode = len(file.content), file.mode
        parts.append(member.tobuf(tarfile.USTAR_FORMAT))
        parts.append(file.content)
        parts.append(bytes(-len(file.content) % _BLOCK))
    parts.append(bytes(2 * _BLOCK))
    return b"".join(parts)


async def apply_unit(session: Session, visit: Visit, bundle: Bundle, *, on_send: Callable[[], None]) -> Receipt | None:
    """Bring a unit to its bundle and see it serve.

    Args:
        session: To the unit's host.
        visit: Who comes, and what for.
        bundle: Rendered from the declaration.
        on_send: Called when the unit asks for the bundle: from then on it may run it, whatever becomes of this visit.

    Returns:
        The receipt that the unit has now: of this visit, or of the earlier one that brought it the same bundle.

    Raises:
        CommandFailedError: The unit refused, or a step failed and was taken back.
        BadAnswerError: It answered outside the protocol; what it runs is unknown.
        VerifyError: It serves, but for another data centre or service than declared.
        TransportError: The way to it failed; what it runs is unknown.
    """
    answers = Answers(session, visit.unit)
    header = Header(
        mode=Mode.APPLY,
        unit=visit.unit,
        root=visit.root,
        digest=bundle.digest,
        epoch=visit.epoch.number,
        holder=visit.epoch.holder,
        run=visit.run,
        size_bytes=tar_size(bundle),
    )
    await session.send(header.line())
    word, rest = await answers.next()
    if word not in ("same", "send"):
        raise await answers.unexpected(word, rest)
    was_sent = word == "send"
    if was_sent:
        on_send()
        try:
            await session.send(tar(bundle))
        except (UnreachableError, CommandTimeoutError) as error:
            raise type(error)(visit.unit, f"{error.reason}, while its bundle was being sent") from error
    wanted = f"pulih-probe/1 data-centre={visit.data_centre} service={visit.service} nonce="
    answered: str | None = None
    receipt: Receipt | None = None
    while True:
        word, rest = await answers.next()
        if word == "answer":
            answered = rest
        elif word == "receipt":
            receipt = parse_receipt(rest)
        elif word == "done" and rest == bundle.digest:
            break
        else:
            raise await answers.unexpected(word, rest)
    answers.check_done(STEPS if was_sent else ["probe"])
    if answered is None:
        raise BadAnswerError(visit.unit, "it says that it is done, but not what its test transaction was answered")
    if not answered.startswith(wanted):
        raise VerifyError(visit.unit, f"its test transaction was answered `{answered[:120]}`, expected `{wanted}…`")
    return receipt


async def forget_unit(session: Session, visit: Visit) -> None:
    """Make a unit forget its receipt; it goes on serving, and the next visit proves it afresh.

    Raises:
        CommandFailedError: The unit refused.
        BadAnswerError: It answered outside the protocol.
        TransportError: The way to it failed.
    """
    answers = Answers(session, visit.unit)
    header = Header(
        mode=Mode.FORGET,
        unit=visit.unit,
        root=visit.root,
        digest="-",
        epoch=visit.epoch.number,
        holder=visit.epoch.holder,
        run=visit.run,
        size_bytes=0,
    )
    await session.send(header.line())
    word, rest = await answers.next()
    if (word, rest) != ("done", "-"):
        raise await answers.unexpected(word, rest)
