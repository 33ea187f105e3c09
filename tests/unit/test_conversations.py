"""What a unit must have said before it is believed, word by word."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from recovery.apply import apply_unit, forget_unit
from recovery.errors import BadAnswerError, VerifyError
from recovery.protocol import STEPS
from recovery.verify import Question, probe_unit
from tests.hostile.answers import BUNDLE, VISIT, Heard

_NONCE = "0123456789abcdef"
ASKED = Question(
    unit=VISIT.unit,
    root=VISIT.root,
    service=VISIT.service,
    data_centre=VISIT.data_centre,
    digest=BUNDLE.digest,
    nonce=_NONCE,
)


def heard(*lines: str) -> Heard:
    return Heard(iter([f"{line}\n".encode() for line in lines]), b"")


def answer(nonce: str = _NONCE) -> str:
    return f"answer pulih-probe/1 data-centre=cloud-1 service=passport nonce={nonce}"


def brought(*lines: str) -> None:
    asyncio.run(apply_unit(heard(*lines), VISIT, BUNDLE, on_send=lambda: None))


def proven(*lines: str, asked: Question = ASKED) -> None:
    asyncio.run(probe_unit(heard(*lines), asked))


@pytest.mark.parametrize("left_out", STEPS)
def test_a_bundle_is_in_place_only_when_every_step_was_said(left_out: str) -> None:
    said = [f"at {step}" for step in STEPS]
    brought("send", *said, answer(), f"done {BUNDLE.digest}")
    said.remove(f"at {left_out}")
    with pytest.raises(BadAnswerError):
        brought("send", *said, answer(), f"done {BUNDLE.digest}")


def test_a_unit_that_falls_silent_is_named_with_the_step_it_was_at() -> None:
    with pytest.raises(BadAnswerError, match="ended at step `connect`"):
        brought()
    with pytest.raises(BadAnswerError, match="ended at step `check`"):
        brought("send", "at stage", "at check")


def test_a_test_transaction_must_bring_its_own_nonce_back() -> None:
    current, done = f"current {BUNDLE.digest}", f"done {BUNDLE.digest}"
    proven(current, answer(), done)
    with pytest.raises(VerifyError, match="nonce=stored"):
        proven(current, answer("stored"), done)
    with pytest.raises(VerifyError, match="answered nothing"):
        proven(current, done)


@pytest.mark.parametrize("strange", ["serving", "done sha256:another", "send"])
def test_a_test_transaction_with_a_strange_word_in_it_proves_nothing(strange: str) -> None:
    with pytest.raises(BadAnswerError, match=strange):
        proven(f"current {BUNDLE.digest}", strange, answer(), f"done {BUNDLE.digest}")


def test_a_unit_has_forgotten_only_when_it_says_so() -> None:
    asyncio.run(forget_unit(heard("done -"), VISIT))
    for said in ("done", "same", f"done {BUNDLE.digest}"):
        with pytest.raises(BadAnswerError, match=said):
            asyncio.run(forget_unit(heard(said), VISIT))


def test_a_unit_that_serves_another_bundle_than_declared_is_not_proven() -> None:
    other = f"sha256:{'0' * 64}"
    with pytest.raises(VerifyError, match=f"runs {BUNDLE.digest} where {other} is declared"):
        proven(f"current {BUNDLE.digest}", answer(), f"done {BUNDLE.digest}", asked=replace(ASKED, digest=other))
