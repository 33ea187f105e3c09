"""What can be wrong with a host of the lab, and what a run then says of it. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from enum import StrEnum

from recovery.errors import LabError


class How(StrEnum):
    """What is wrong with a host."""

    HANG = "hang"
    """A session opens and never answers."""
    WRONG_HOST_KEY = "wrong-host-key"
    """Its SSH server shows another key than the declared one."""
    DISK_FULL = "disk-full"
    """`df` says that nothing is free."""
    VALIDATE_FAILS = "validate-fails"
    """`nginx -t` says no."""
    PROBE_FAILS = "probe-fails"
    """A test transaction is answered 502; at an endpoint, those of everybody who comes there too."""
    UNREACHABLE = "unreachable"
    """Connections to its SSH server are refused, and those there are break."""


ENDS_IN: Mapping[How, str] = {
    How.HANG: "timeout",
    How.WRONG_HOST_KEY: "host-key",
    How.DISK_FULL: "disk-full",
    How.VALIDATE_FAILS: "validate-failed",
    How.PROBE_FAILS: "probe-failed",
    How.UNREACHABLE: "unreachable",
}
"""The cause in a report; here as words, because the lab process carries no more of pulih than it needs."""


def read(text: str) -> How:
    """Return what is meant by a word on a command line.

    Raises:
        LabError: Nothing.
    """
    if text not in list(How):
        raise unknown("sickness", text, [*How])
    return How(text)


def unknown(what: str, name: str, known: Collection[str]) -> LabError:
    """Return the error for a name that the lab does not have; it suggests the nearest, or lists them where few."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        hint = f"did you mean {near[0]}?"
    elif len(known) <= 20:
        hint = "it has " + ", ".join(sorted(known))
    else:
        hint = f"it has {len(known)}, such as {min(known)}"
    return LabError(f"the lab has no {what} {name}; {hint}")
