"""What a look at the estate found: as plain values, and as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from recovery.cli.output import columns
from recovery.report.text import counted, printable

if TYPE_CHECKING:
    from recovery.diff import Difference
    from recovery.survey import Finding


def document(findings: Sequence[Finding]) -> dict[str, object]:
    """Return the findings as `pulih/drift/v1`."""
    units = [finding for finding in findings if not finding.step.is_endpoint]
    endpoints = [finding for finding in findings if finding.step.is_endpoint]
    return {
        "schema": "pulih/drift/v1",
        "totals": {
            "units": len(units),
            "as_declared": sum(_state(finding) == "as-declared" for finding in units),
            "different": sum(_state(finding) == "different" for finding in units),
            "unread": sum(_state(finding) == "unread" for finding in units),
        },
        "endpoints": [_member(finding) for finding in endpoints],
        "units": [_member(finding) for finding in units],
    }


def _state(finding: Finding) -> str:
    if finding.error is not None:
        return "unread"
    return "different" if finding.differences else "as-declared"


def _member(finding: Finding) -> dict[str, object]:
    observed, receipt = finding.observed, finding.observed.receipt if finding.observed else None
    return {
        "name": finding.step.name,
        "office": finding.step.office,
        "service": finding.step.service,
        "region": finding.step.region,
        "state": _state(finding),
        "declared": finding.bundle.digest,
        "digest": observed.digest if observed else None,
        "epoch": observed.epoch.number if observed and observed.epoch else None,
        "run": receipt.run if receipt else None,
        "applied_at": receipt.applied_at if receipt else None,
        "lacks": list(observed.missing) if observed else [],
        "differences": [difference_to_json(difference) for difference in finding.differences],
        "cause": finding.error.cause if finding.error else None,
        "reason": finding.error.reason if finding.error else "",
    }


def difference_to_json(difference: Difference) -> dict[str, object]:
    """Return one difference as plain values."""
    return {
        "path": difference.path,
        "change": difference.change.value,
        "expected": difference.expected,
        "found": difference.found,
    }


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Say what differs, then who could not be read, then how many are as declared."""
    rows = [
        (finding.step.name, difference.change.value, difference.path, difference.expected, difference.found)
        for finding in findings
        for difference in finding.differences
    ]
    if rows:
        yield from columns([("Unit", "Change", "Path", "Declared", "Found"), *rows])
        yield ""
    unread = [(finding.step.name, finding.error) for finding in findings if finding.error is not None]
    if unread:
        yield from columns([("Unread", "Cause", "Reason"), *((name, e.cause, e.reason) for name, e in unread)])
        yield ""
    for finding in findings:
        if finding.observed is not None and finding.observed.missing:
            yield printable(f"{finding.step.name} lacks programs: {', '.join(finding.observed.missing)}")
    different = sum(bool(finding.differences) for finding in findings)
    same = len(findings) - different - len(unread)
    endpoints = sum(finding.step.is_endpoint for finding in findings)
    everyone = f"{counted(len(findings) - endpoints, 'unit')} and {counted(endpoints, 'endpoint')}"
    yield f"{everyone}: {same:,} as declared, {different:,} different, {len(unread):,} not read"
