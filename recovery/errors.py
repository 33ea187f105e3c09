"""Every exception pulih raises on purpose.

Fields come first and the text is made from them, because the Pulumi engine drops the type and shows the text: each
text says which unit, what was expected, what was found and what to do next, and holds no secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class PulihError(Exception):
    """The root of the tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing that is wrong in the declaration.

    Attributes:
        file: The file as the reader would name it.
        line: One-based line of the wrong value or key.
        path: Where it is inside the file, such as `offices[3].units[0].port`.
        message: One sentence: what was found and what was expected.
    """

    file: Path
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}: {self.message}"


class DeclarationError(PulihError):
    """The declared state is wrong; nothing has been touched.

    Attributes:
        mistakes: All that were found, in the order of file and line.
    """

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class PlanError(PulihError):
    """The declaration is sound, but what was asked cannot be planned from it."""


class RefusedError(PulihError):
    """A rule forbids it: an illustrative estate, a plan that no longer fits, a held gate."""


class StoredReportError(PulihError, ValueError):
    """A stored report can't be read back: damaged, or of a version that is not known here."""


class LoginKeyError(PulihError):
    """There is no usable key to log in with; nothing has been connected."""


class UnitError(PulihError):
    """Something went wrong at one unit, or on the way to it.

    Attributes:
        unit: Name of the unit or endpoint.
        cause: One of the causes that a report may name.
        reason: What was expected, what was found and what to do next.
    """

    cause = "internal"

    def __init__(self, unit: str, reason: str, *, cause: str | None = None) -> None:
        self.unit = unit
        self.reason = reason
        if cause is not None:
            self.cause = cause
        super().__init__(f"{unit}: {reason}")


class TransportError(UnitError):
    """The way to the unit failed."""


class UnreachableError(TransportError):
    """No connection came about, or it broke."""

    cause = "unreachable"


class HostKeyError(TransportError):
    """The unit showed another host key than the declared one. Never retried."""

    cause = "host-key"


class LoginError(TransportError):
    """The unit refused every key that was offered. Never retried."""

    cause = "login"


class CommandTimeoutError(TransportError):
    """The unit did not answer within its time limit."""

    cause = "timeout"


class BadAnswerError(UnitError):
    """The unit answered something that the protocol does not know, or too much of it."""

    cause = "bad-answer"


class CommandFailedError(UnitError):
    """The unit ran a step and said no; the cause is the one it gave."""


class VerifyError(UnitError):
    """The unit runs its declared bundle but does not serve."""

    cause = "probe-failed"


class HeldError(PulihError):
    """Somebody else holds the right to write to a scope."""


class LeaseLostError(PulihError):
    """Somebody else has taken over what this run held; it must not touch another unit."""


class BrokenRecordError(PulihError):
    """A journal was edited, or a signature does not fit: what it says can't be trusted."""


class LabError(PulihError):
    """The practice estate can't be started, is not there, or can't do what was asked."""


class PublishError(PulihError):
    """The manifest that citizens' apps read can't be made, signed or brought to its mirrors."""


class ForkError(PublishError):
    """Mirrors hold what can't both be true: their history was written twice."""


class UntrustedError(PublishError):
    """Metadata that isn't signed by enough of the keys it must be signed by, or doesn't fit together."""
