"""The applier's protocol, seen from this side: its command, header, and the lines that come back.

`docs/protocol.md` is the agreement; `recovery/applier.sh` the other side of it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from recovery.errors import BadAnswerError, CommandFailedError, CommandTimeoutError, UnreachableError
from recovery.model.estate import UnitName
from recovery.model.outcome import Cause
from recovery.model.visit import MAX_EPOCH, WORD, Epoch, Mode, Receipt
from recovery.transport.base import Session

MAX_LINES = 2000
"""More lines than any honest answer has; the rest is not read."""
MAX_WORDS = 300
"""Most characters of a refusal that are told."""

STEPS = ("stage", "check", "validate", "swap", "reload", "probe", "receipt")
"""What a unit goes through with a bundle that it was sent, in this order."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOMENT = re.compile(r"[0-9TZ:-]{0,40}")
_CAUSES = {cause.value: cause for cause in Cause}
_BACK = {
    "untouched": "it was left as it was",
    "previous": "it serves its previous release again",
    "none": "it had no previous release and is not serving",
    "new": "it serves its declared release, which it could not write down; the next visit proves it again",
    "unknown": "whether it serves is not known: look at it",
}


@cache
def applier_text() -> str:
    """Return the applier without its comment lines, as it is sent to every unit."""
    source = files("recovery").joinpath("applier.sh").read_text(encoding="utf-8")
    return "".join(line for line in source.splitlines(keepends=True) if not line.startswith("#"))


@cache
def applier_command() -> str:
    """Return the one remote command: the same bytes for every unit, with no data in it."""
    return "exec /bin/sh -c " + shlex.quote(applier_text())


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The one line that a visit begins with.

    Attributes:
        digest: Of the bundle; `-` where the mode has none.
        holder: In mode `probe` the nonce takes this place.
        size_bytes: Of the tar that may follow; in mode `read` how much of each file's content is wanted.
    """

    mode: Mode
    unit: UnitName
    root: str
    digest: str
    epoch: int
    holder: str
    run: str
    size_bytes: int

    def line(self) -> bytes:
        """Return it as it goes over the wire.

        Raises:
            ValueError: A field has characters or a length that the protocol does not know; `declared` refuses such
                values long before.
        """
        fields = (
            self.mode,
            self.unit,
            self.root,
            self.digest,
            str(self.epoch),
            self.holder,
            self.run,
            str(self.size_bytes),
        )
        for field in fields:
            if not WORD.fullmatch(field):
                raise ValueError(f"{self.unit}: {field!r} can't be a field of the applier's header")
        return f"pulih/1 {' '.join(fields)}\n".encode()


class Answers:
    """Reads a unit's lines, remembers the step it was at, and turns its refusals into errors.

    Attributes:
        step: The one it was at last.
        steps: All that it has been through.
    """

    def __init__(self, session: Session, unit: UnitName) -> None:
        self.session = session
        self.unit = unit
        self.step = "connect"
        self.steps: list[str] = []
        self._lines = 0

    async def next(self) -> tuple[str, str]:
        """Return the next line as its first word and the rest; `at` lines are kept to ourselves.

        Raises:
            CommandFailedError: The unit refused, or a step failed.
            BadAnswerError: It ended without its last line, or would not end.
            TransportError: The way to it failed; the text says at which step.
        """
        while True:
            try:
                line = await self.session.read_line()
            except CommandTimeoutError as error:
                raise CommandTimeoutError(self.unit, f"{error.reason}, at step `{self.step}`") from error
            except UnreachableError as error:
                raise UnreachableError(self.unit, f"{error.reason}, at step `{self.step}`") from error
            self._lines += 1
            if line is None:
                raise BadAnswerError(
                    self.unit,
                    f"its applier ended at step `{self.step}` without saying how{await self._said()}; "
                    "what it runs is read again at the next try",
                )
            if self._lines > MAX_LINES:
                raise BadAnswerError(self.unit, f"it answered more than {MAX_LINES} lines")
            word, _, rest = line.partition(" ")
            if word == "at":
                if rest not in (*STEPS, "back"):
                    raise await self.unexpected(word, rest)
                self.step = rest
                self.steps.append(rest)
            elif word == "refused":
                await self._refused(rest)
            elif word == "failed":
                await self._failed(rest)
            else:
                return word, rest

    async def unexpected(self, word: str, rest: str) -> BadAnswerError:
        """Return the error for a line that has no place here."""
        return BadAnswerError(
            self.unit,
            f"at step `{self.step}` it answered `{_shown(f'{word} {rest}')}`, which is not of protocol v1"
            f"{await self._said()}",
        )

    def check_done(self, wanted: Iterable[str]) -> None:
        """Check that a unit which says that it is done has been through these steps.

        Raises:
            BadAnswerError: It has not.
        """
        missing = [step for step in wanted if step not in self.steps]
        if missing:
            raise BadAnswerError(self.unit, f"it says that it is done, but not how: {', '.join(missing)} is missing")

    async def _refused(self, rest: str) -> None:
        cause, _, words = rest[:MAX_WORDS].partition(" ")
        known = _CAUSES.get(cause, Cause.INTERNAL)
        if known is Cause.STALE_EPOCH:
            reason = (
                f"it has accepted epoch {words}, which is newer than ours: another run has taken over. If nobody else "
                "is at work and the leases were lost with their store, go on with --break-glass"
            )
        elif known is Cause.DISK_FULL:
            reason = f"its disk is full: {words}; free some space, then resume"
        else:
            reason = f"its applier refused: {cause} {words}{await self._said()}"
        raise CommandFailedError(self.unit, reason, cause=known)

    async def _failed(self, rest: str) -> None:
        words = rest[:MAX_WORDS].split(" ")
        step, cause, back = (*words, "", "", "")[:3]
        known = _CAUSES.get(cause, Cause.INTERNAL)
        said = await self._said() or "; it gave no reason"
        raise CommandFailedError(
            self.unit, f"step `{step}` failed and {_BACK.get(back, _BACK['unknown'])}{said}", cause=known
        )

    async def _said(self) -> str:
        text = " / ".join(line.strip() for line in (await self.session.error_text()).splitlines() if line.strip())
        return f"; it said: {text[-600:]}" if text else ""


def epoch_field(epoch: Epoch | None) -> tuple[int, str]:
    """Return what a header says of the epoch; visits that hold no lease say 0 and `-`."""
    return (0, "-") if epoch is None else (epoch.number, epoch.holder)


def parse_receipt(text: str) -> Receipt | None:
    """Return the receipt that a unit shows; None when it can't be trusted."""
    try:
        data = json.loads(text)
        number = data["epoch"]
        if not isinstance(number, int) or not 1 <= number <= MAX_EPOCH:
            return None
        return Receipt(
            digest=_matching(_DIGEST, data["digest"]),
            epoch=Epoch(number=number, holder=_matching(WORD, data["holder"])),
            run=_matching(WORD, data["run"]),
            applied_at=_matching(_MOMENT, data["applied_at"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _matching(pattern: re.Pattern[str], value: str) -> str:
    if pattern.fullmatch(value) is None:
        raise ValueError("not what the applier writes")
    return value


def _shown(line: str) -> str:
    """Return the beginning of a line as it stands in an error; of what lines may hold only a tab is not printable."""
    return line.strip()[:120].replace("\t", r"\t")
