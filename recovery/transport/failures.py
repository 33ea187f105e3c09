"""What is said when the way to a unit fails: one place for the words, so that every transport says the same.

Each says the unit, where it was sought, what was expected, what was found and what to do next.
"""

from __future__ import annotations

from recovery.errors import (
    BadAnswerError,
    CommandTimeoutError,
    HostKeyError,
    LoginError,
    UnreachableError,
)
from recovery.model.estate import Bastion, Login
from recovery.transport.base import MAX_LINE_BYTES, Target
from recovery.transport.lines import printable

_TEXT_FROM_OUTSIDE_CHARACTERS = 300


def place(login: Login) -> str:
    """Return address and port as people write them."""
    address = f"[{login.address}]" if ":" in login.address else login.address
    return f"{address}:{login.port}"


def outside(text: object) -> str:
    """Return a foreign text made printable and short: a server chooses part of its own error messages."""
    return printable(str(text).encode(errors="replace"))[:_TEXT_FROM_OUTSIDE_CHARACTERS]


def way(target: Target) -> str:
    """Return where the unit is, and through which bastion."""
    through = f" through bastion {target.bastion.name}" if target.bastion else ""
    return f"{place(target.login)}{through}"


def unreachable(target: Target, doing: str, found: str) -> UnreachableError:
    """No connection came about, or it broke, while `doing` something."""
    return UnreachableError(
        target.name,
        f"{found} while {doing} at {way(target)} (expected an SSH server that answers there: check that it is up, the "
        "line to it, and the address and port declared)",
    )


def given_up(target: Target) -> UnreachableError:
    """The visit was ended from this side."""
    return UnreachableError(target.name, "pulih closed its connections before the visit was over; run it again")


def behind(target: Target, bastion: Bastion, found: str) -> UnreachableError:
    """The bastion is in order but could not get to the unit."""
    return UnreachableError(
        target.name,
        f"through bastion {bastion.name}: {found}; expected it to connect to {place(target.login)}: check that the "
        "unit is up, its declared address and port, and that the bastion may forward to it (AllowTcpForwarding, "
        "PermitOpen)",
    )


def bastion_failed(target: Target, bastion: Bastion, error: Exception, reason: str) -> Exception:
    """The way failed at the bastion: the unit gets an error of the same kind, which names the bastion."""
    text = f"through bastion {bastion.name}: {reason}"
    if isinstance(error, HostKeyError | LoginError):
        return type(error)(target.name, text)
    return UnreachableError(target.name, text)


def wrong_host_key(target: Target, expected: str, found: str) -> HostKeyError:
    """The host showed another key, or none of the declared kind; nobody has tried to log in."""
    return HostKeyError(
        target.name,
        f"{place(target.login)} is not the host declared: expected host key {expected}, found {found}; nothing was "
        "sent to it. If it was rebuilt, read its new key on its console (ssh-keygen -lf) and declare it, reviewed like "
        "any change; if it was not, somebody else answers at this address",
    )


def unreadable_host_key(target: Target, problem: str) -> HostKeyError:
    """What is declared as the host's key cannot be used."""
    return HostKeyError(target.name, f"{problem}; declare the line of its /etc/ssh/ssh_host_…_key.pub")


def login_refused(target: Target, tried: str, found: str) -> LoginError:
    """The host let none of our keys in."""
    return LoginError(
        target.name,
        f"{found} for {target.login.user} at {place(target.login)}; tried {tried}; expected one of them in the "
        "account's authorized_keys: add it there, or choose another key with PULIH_SSH_KEY",
    )


def no_commands(target: Target, found: str) -> LoginError:
    """Logged in, but the account may not run commands."""
    return LoginError(
        target.name,
        f"logged in as {target.login.user} at {place(target.login)}, but {found}; expected an account that may run "
        "commands: check its shell, ForceCommand and the options in its authorized_keys",
    )


def no_progress(target: Target, doing: str, limit_s: float) -> CommandTimeoutError:
    """One step took too long."""
    return CommandTimeoutError(
        target.name,
        f"nothing happened for {limit_s:g} s while {doing} at {way(target)}; the connection has been closed "
        "(see what holds the unit, load or disk, or raise step_s)",
    )


def took_too_long(target: Target, doing: str, limit_s: float) -> CommandTimeoutError:
    """All of it took too long."""
    return CommandTimeoutError(
        target.name,
        f"not done within {limit_s:.3g} s, last seen {doing} at {way(target)}; the connection has been "
        f"closed (a unit has {target.timeouts.unit_s:g} s in all: see what holds it, or raise unit_s)",
    )


def line_too_long(target: Target) -> BadAnswerError:
    """A line had no end."""
    return BadAnswerError(
        target.name,
        f"answered a line of more than {MAX_LINE_BYTES} bytes; expected one line of pulih's protocol: see what runs "
        "before it on the unit (shell profile, ForceCommand)",
    )


def ended_early(target: Target, wanted_bytes: int, found_bytes: int) -> UnreachableError:
    """The command was over before it had sent what was due."""
    return UnreachableError(
        target.name,
        f"the command ended after {found_bytes} of {wanted_bytes} bytes; expected all of them: run it again",
    )
