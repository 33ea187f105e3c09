"""Asks a unit whether it serves, by a test transaction from the office's side. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from recovery.errors import VerifyError
from recovery.model.estate import DataCentreName, ServiceName, UnitName
from recovery.model.visit import Mode
from recovery.protocol import Answers, Header
from recovery.transport.base import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One test transaction.

    Attributes:
        unit: Unit or endpoint.
        root: Its folder on the host.
        service: The service that must answer.
        data_centre: The data centre it must answer from.
        digest: Of the bundle the unit is declared to run.
        nonce: Must come back in the answer; random, so that no stored answer will do.
    """

    unit: UnitName
    root: str
    service: ServiceName
    data_centre: DataCentreName
    digest: str
    nonce: str


async def probe_unit(session: Session, question: Question) -> None:
    """Hold one test transaction through the unit's gateway to the endpoint.

    Raises:
        VerifyError: It runs another bundle than declared, or the answer is not the expected one.
        CommandFailedError: The transaction failed.
        BadAnswerError: It answered outside the protocol.
        TransportError: The way to it failed.
    """
    answers = Answers(session, question.unit)
    header = Header(
        mode=Mode.PROBE,
        unit=question.unit,
        root=question.root,
        digest=question.digest,
        epoch=0,
        holder=question.nonce,
        run="-",
        size_bytes=0,
    )
    await session.send(header.line())
    expected = f"pulih-probe/1 data-centre={question.data_centre} service={question.service} nonce={question.nonce}"
    digest = answered = ""
    while True:
        word, rest = await answers.next()
        if word == "current":
            digest = rest
        elif word == "answer":
            answered = rest
            if answered and answered != expected:
                raise VerifyError(question.unit, f"it was answered `{answered[:160]}`, expected `{expected}`")
        elif word == "done" and rest == digest:
            break
        else:
            raise await answers.unexpected(word, rest)
    if answered != expected:
        raise VerifyError(question.unit, f"it was answered nothing, expected `{expected}`")
    if digest != question.digest:
        raise VerifyError(question.unit, f"it serves, but runs {digest} where {question.digest} is declared: apply it")
