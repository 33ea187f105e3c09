"""Why the engine, or one way to it, can't be had."""

from __future__ import annotations

from collections.abc import Sequence


class StepError(Exception):
    """One way to the engine does not lead there; the text says why, and the next way is tried."""


class EngineError(Exception):
    """No way leads to the engine.

    Attributes:
        version: The pinned version.
        tried: Each way that was tried and why it did not work, in that order.
    """

    def __init__(self, version: str, tried: Sequence[tuple[str, str]]) -> None:
        self.version = version
        self.tried = tuple(tried)
        reasons = "\n".join(f"  {way}: {reason}" for way, reason in self.tried)
        super().__init__(
            f"no Pulumi engine v{version}; what was tried:\n{reasons}\n"
            f"Install Pulumi v{version} or newer so that `pulumi` is on PATH, or let this machine reach the official "
            "download or, with Go 1.21 or newer installed, the Go modules; then run make engine again."
        )
