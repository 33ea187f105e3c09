"""Reads what a unit runs. Writes nothing, and believes nothing that it cannot parse."""

from __future__ import annotations

import re

from recovery.errors import BadAnswerError
from recovery.model.estate import UnitName
from recovery.model.visit import MAX_EPOCH, WORD, Epoch, Mode, Observed, ObservedFile, Receipt
from recovery.protocol import Answers, Header, parse_receipt
from recovery.transport.base import Session

MAX_CONTENT_BYTES = 256 * 1024
"""Most of one file's content that is read for a comparison."""
MAX_CONTENTS_BYTES = 16 * 1024 * 1024
"""Most of all files' contents that is read; the applier leaves out what goes beyond."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


async def read_unit(session: Session, unit: UnitName, root: str, *, contents: bool = False) -> Observed:
    """Read a unit: its receipt, its epoch and every file of the release it runs.

    Args:
        session: To the unit's host.
        unit: Unit or endpoint.
        root: Its folder on the host.
        contents: Whether to bring the files' contents too.

    Raises:
        CommandFailedError: The unit refused.
        BadAnswerError: It answered outside the protocol.
        TransportError: The way to it failed.
    """
    answers = Answers(session, unit)
    header = Header(
        mode=Mode.READ,
        unit=unit,
        root=root,
        digest="-",
        epoch=0,
        holder="-",
        run="-",
        size_bytes=MAX_CONTENT_BYTES if contents else 0,
    )
    await session.send(header.line())
    epoch: Epoch | None = None
    receipt: Receipt | None = None
    missing: tuple[str, ...] = ()
    odd = 0
    modes: dict[str, str] = {}
    sums: dict[str, str] = {}
    bodies: dict[str, bytes] = {}
    left_bytes = MAX_CONTENTS_BYTES if contents else 0
    while True:
        word, rest = await answers.next()
        first, _, path = rest.partition(" ")
        if word == "epoch" and _is_number(first) and WORD.fullmatch(path):
            epoch = Epoch(number=int(first), holder=path) if int(first) else None
        elif word == "receipt":
            receipt = parse_receipt(rest)
        elif word == "missing":
            missing = tuple(rest.split())
        elif word == "odd" and _is_number(first):
            odd = int(first)
        elif word == "mode":
            modes[path] = first
        elif word == "sum" and _SHA256.fullmatch(first):
            sums[path.strip()] = first
        elif word == "content" and _is_number(first) and int(first) <= MAX_CONTENT_BYTES:
            left_bytes -= int(first)
            if left_bytes < 0:
                raise BadAnswerError(unit, f"it sent more than {MAX_CONTENTS_BYTES} bytes of its files")
            bodies[path] = await session.read_exactly(int(first))
        elif word == "done":
            digest = rest if _DIGEST.fullmatch(rest) else None
            break
        elif word != "current":
            raise await answers.unexpected(word, rest)
    return Observed(
        digest=digest,
        receipt=receipt,
        epoch=epoch,
        files={path: ObservedFile(sha256=sums.get(path), mode=mode) for path, mode in modes.items()},
        odd=odd,
        missing=missing,
        contents=bodies,
    )


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= len(str(MAX_EPOCH))
