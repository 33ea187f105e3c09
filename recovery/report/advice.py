"""What each cause and exit code means, and what whoever reads the report does next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from recovery.model.outcome import Cause
from recovery.model.story import Story

AGAIN = "Mend what is named below, then `pulih resume {run}`: units already in place cost a compare."
VERIFY_AGAIN = "Mend what is named below, then verify again."

_OVERTAKEN = 4


@dataclass(frozen=True, slots=True)
class Advice:
    """What a cause means and what to do about it, a sentence or two each."""

    meaning: str
    action: str


ADVICE: Mapping[Cause, Advice] = {
    Cause.UNREACHABLE: Advice(
        "No connection came about, or it broke.",
        "Check the power and the line of the office, and the bastion in front of it.",
    ),
    Cause.TIMEOUT: Advice(
        "The unit was reached but did not answer in time.",
        "Look at its load and its line; if it hangs, have it restarted.",
    ),
    Cause.HOST_KEY: Advice(
        "The unit showed another host key than the declared one; nothing was sent to it.",
        "Ask the office whether the unit was replaced. If it was, declare the new key and have it reviewed; "
        "if it was not, treat it as an attack.",
    ),
    Cause.LOGIN: Advice(
        "The unit refused every key it was offered.",
        "Check that the agent holds the key that the unit's account accepts.",
    ),
    Cause.DISK_FULL: Advice(
        "The unit has no room for the new release; it was left as it was.",
        "Free space on the disk of the unit's root folder.",
    ),
    Cause.VALIDATE_FAILED: Advice(
        "A program on the unit refused the new files; it was left as it was.",
        "Read the reason: correct the template or the declaration, or the key or certificate that the unit holds.",
    ),
    Cause.PROBE_FAILED: Advice(
        "The test transaction through the unit was not answered by the right service.",
        "Check that the service's endpoint answers and that the office's line lets it through.",
    ),
    Cause.STALE_EPOCH: Advice(
        "Another run has taken over the right to write to the unit.",
        "Find out whose it is and let it finish; if nobody is at work and the leases were lost, use --break-glass.",
    ),
    Cause.BAD_ANSWER: Advice(
        "The unit answered something that pulih does not know.",
        "Log in and look: a login banner or a shell's start-up file may write into the session.",
    ),
    Cause.CANCELLED: Advice(
        "The run was stopped while it worked on the unit.",
        "Nothing is half-configured: it serves its old release or its new one.",
    ),
    Cause.INTERNAL: Advice(
        "pulih itself failed on the unit.",
        "Keep this report and the log, and file an issue with the reason.",
    ),
}

_EXIT_CODES: Mapping[int, str] = {
    0: "done and as declared",
    1: "error",
    2: "differences found",
    3: "partial, some units are quarantined or not verified",
    4: "another run holds the lease",
    5: "refused, or held at a gate",
    6: "trust is in doubt",
    130: "interrupted",
}


def exit_meaning(code: int) -> str:
    """Return what an exit code of pulih says."""
    return _EXIT_CODES.get(code, "unknown")


@dataclass(frozen=True, slots=True)
class Next:
    """One thing to do, and the command that does it; empty where none does."""

    sentence: str
    command: str = ""


def what_next(story: Story, *, is_live: bool) -> Iterator[Next]:
    """Say what whoever reads the report does next, the first thing first.

    Args:
        story: The run.
        is_live: Whether somebody is at work on it now.
    """
    result, run = story.result, story.result.run
    failed = any(not outcome.is_verified for outcome in (*result.units, *result.endpoints))
    if is_live and not story.finished:
        yield Next("The run is under way; units that fail are set aside and hold nobody.")
        yield Next("To stop it safely:", f"pulih cancel {run}")
    elif not story.finished:
        yield Next("The run was broken off before its end. If nobody works on it:", f"pulih resume {run}")
    elif result.verb == "verify":
        yield Next(VERIFY_AGAIN, "pulih verify") if failed else Next("Every unit answered a test transaction.")
    elif result.exit_code == _OVERTAKEN:
        yield Next("Another run has taken over; see which, and let it finish:", "pulih runs")
    elif story.held is not None:
        yield Next("Mend what failed, then go on where it was held:", f"pulih resume {run}")
        past = f"pulih resume {run} --past {shlex.quote(story.held)}"
        yield Next("Or go on past this wave, whatever failed in it:", past)
    elif failed:
        sentence = "Mend what is named below, then try again; units already in place cost a compare:"
        yield Next(sentence, f"pulih resume {run}")
    else:
        yield Next("Prove it from every office, with a test transaction through each unit:", "pulih verify")
        yield Next("See later whether anything has moved:", "pulih drift")
