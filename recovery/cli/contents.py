"""How one unit's files differ from the declared ones, line by line, what looks like a secret hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from recovery.cli.driftview import difference_to_json
from recovery.diff import Change
from recovery.report.linediff import MAX_LINES, text_lines, unified
from recovery.report.text import printable

if TYPE_CHECKING:
    from recovery.diff import Difference
    from recovery.survey import Finding


def document(finding: Finding) -> dict[str, object]:
    """Return a comparison as `pulih/diff/v1`."""
    return {
        "schema": "pulih/diff/v1",
        "name": finding.step.name,
        "declared": finding.bundle.digest,
        "digest": finding.observed.digest if finding.observed else None,
        "differences": [
            {**difference_to_json(difference), "lines": list(_compared(finding, difference))}
            for difference in finding.differences
        ],
    }


def lines(finding: Finding) -> Iterator[str]:
    """Show a comparison as a unified diff: `-` is what the unit has, `+` what is declared."""
    if not finding.differences:
        yield printable(f"{finding.step.name} is as declared: {finding.bundle.digest}")
        return
    for difference in finding.differences:
        yield printable(
            f"{difference.path}: {difference.change.value}, declared {difference.expected}, found {difference.found}"
        )
        yield from _compared(finding, difference)


def _compared(finding: Finding, difference: Difference) -> Iterator[str]:
    """Yield the lines that differ, with a little of what surrounds them; none where there is no content to compare."""
    declared = {file.path: file.content for file in finding.bundle.files}
    declared["MANIFEST"] = finding.bundle.manifest
    contents: Mapping[str, bytes] = finding.observed.contents if finding.observed is not None else {}
    if difference.change is Change.MODE or difference.path not in {*declared, *contents}:
        return
    found = contents.get(difference.path, b"")
    wanted = declared.get(difference.path, b"")
    if difference.change is Change.CONTENT and difference.path not in contents:
        yield "  (the unit's content could not be brought)"
    elif b"\0" in found or b"\0" in wanted:
        yield f"  (not text: {len(wanted):,} bytes declared, {len(found):,} found)"
    else:
        old, new = text_lines(found), text_lines(wanted)
        if max(len(old), len(new)) > MAX_LINES:
            yield f"  (too long to compare by line: {len(new):,} lines declared, {len(old):,} found)"
        else:
            yield from unified(old, new)
