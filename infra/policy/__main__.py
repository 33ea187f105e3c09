"""The pack: each policy asks one of pulih's rules and reports its sentences.

The engine runs this file with the pack's own virtualenv, in the pack's folder; the rules come from the checkout.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import pulumi
from pulumi_policy import (  # pyright: ignore[reportMissingModuleSource] - it is in the pack's own virtualenv
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from infra import rules
from infra.declaration import declaration, estate_folder
from recovery import policy
from recovery.declared import load
from recovery.errors import DeclarationError, Mistake, PulihError
from recovery.model.estate import Estate
from recovery.proposals import since

BASE = "PULIH_BASE"
"""Names the revision that a change is measured from; `HEAD^` without it, which in CI is what is merged into."""


def _folder() -> Path:
    return estate_folder(pulumi.Config("pulih").get("estate"))


@cache
def _estate() -> Estate | None:
    try:
        return load(_folder())
    except DeclarationError:
        return None  # `declaration-holds` says why


@cache
def _mistakes() -> tuple[Mistake, ...]:
    try:
        declaration(_folder(), pulumi.get_stack())
    except DeclarationError as error:
        return error.mistakes
    return ()


def _is_firewall(mistake: Mistake) -> bool:
    return mistake.file.name.endswith(".nft.j2")


def declaration_holds(_: StackValidationArgs, report: ReportViolation) -> None:
    """Report what `pulih validate` would, but for firewalls."""
    for mistake in _mistakes():
        if not _is_firewall(mistake):
            report(str(mistake))


def ssh_stays_open(_: StackValidationArgs, report: ReportViolation) -> None:
    """Report firewalls that shut pulih out."""
    for mistake in _mistakes():
        if _is_firewall(mistake):
            report(str(mistake))


def host_key_pinned(_: StackValidationArgs, report: ReportViolation) -> None:
    """Report host keys that are not one host's alone."""
    estate = _estate()
    for sentence in policy.shared_host_keys(estate) if estate else ():
        report(f"{sentence}. Pin each host's own key.")


def standby(_: StackValidationArgs, report: ReportViolation) -> None:
    """Report services that could not be recovered elsewhere."""
    estate = _estate()
    for sentence in policy.without_standby(estate) if estate else ():
        report(f"{sentence}. Declare an endpoint of it at a second data centre.")


def blast_radius(_: StackValidationArgs, report: ReportViolation) -> None:
    """Report a change that reaches too far and does not say why."""
    estate = _estate()
    if estate is None or estate.practice:
        return
    try:
        review = since(_folder(), os.environ.get(BASE) or "HEAD^")
    except PulihError as error:
        report(
            f"how far this change reaches can't be told: {error} {BASE} names the revision that it is measured from."
        )
        return
    if review.reach.excess is not None and not review.reasons:
        report(review.reach.excess)


def command_host_key(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Report commands that would be sent to whoever answers."""
    for sentence in rules.unpinned(args.resource_type, args.props, _estate()):
        report(sentence)


def no_secret(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """Report inputs that look like secrets."""
    for sentence in rules.secrets(args.resource_type, args.props):
        report(sentence)


PolicyPack(
    name="pulih",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        StackValidationPolicy(
            name="declaration-holds", description="The declaration is sound.", validate=declaration_holds
        ),
        StackValidationPolicy(
            name="ssh-stays-open", description="No firewall shuts out SSH from the bastion.", validate=ssh_stays_open
        ),
        StackValidationPolicy(
            name="host-key-pinned", description="Each host has a pinned key of its own.", validate=host_key_pinned
        ),
        StackValidationPolicy(
            name="standby", description="Every service has a second data centre to go to.", validate=standby
        ),
        StackValidationPolicy(
            name="blast-radius",
            description="One change reaches no further than a part of the estate, or says why.",
            validate=blast_radius,
        ),
        ResourceValidationPolicy(
            name="command-host-key",
            description="Commands go to hosts with a pinned key, through bastions with a pinned key.",
            validate=command_host_key,
        ),
        ResourceValidationPolicy(name="no-secret", description="No input holds a secret.", validate=no_secret),
    ],
)
