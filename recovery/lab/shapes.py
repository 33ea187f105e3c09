"""Checks of rendered files that a stand-in makes: enough to tell a configuration from a torn or empty file. Pure.

What the real programs think of the same files is proved in `tests/cases`.
"""

from __future__ import annotations

import re

from recovery.lab.nginxconf import Directive, ShapeError

_CHRONY = re.compile(r"[a-z]+(\s.*)?")
_CHRONY_COMMENTS = ("#", "!", ";", "%")


def chrony(text: str) -> None:
    """Check a chrony configuration.

    Raises:
        ShapeError: It is empty, has a line that is no directive, or names no source of time.
    """
    names: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith(_CHRONY_COMMENTS):
            continue
        if _CHRONY.fullmatch(line.strip()) is None:
            raise ShapeError(f"line {number}: no directive")
        names.add(line.split()[0])
    if not names & {"server", "pool", "refclock", "local"}:
        raise ShapeError("no source of time")


def nft(text: str) -> None:
    """Check an nftables file.

    Raises:
        ShapeError: It is empty, makes no table, or its braces don't balance.
    """
    depth = 0
    bare = re.sub(r'"[^"\n]*"', "", re.sub(r"#[^\n]*", "", text))
    for mark in re.findall(r"[{}]", bare):
        depth += 1 if mark == "{" else -1
        if depth < 0:
            raise ShapeError("a `}` too many")
    if depth:
        raise ShapeError("a `}` is missing")
    if not re.search(r"^\s*table\s+\w+\s+\w+\s*\{", bare, re.MULTILINE):
        raise ShapeError("no table")


def files_beside(directives: tuple[Directive, ...]) -> tuple[str, ...]:
    """Return the relative files that an nginx configuration reads, which stand in its own folder."""
    found: list[str] = []
    for directive in directives:
        is_file = directive.name == "include" or directive.name.endswith(("certificate", "certificate_key"))
        if is_file and directive.words and not directive.words[0].startswith(("/", "$")):
            found.append(directive.words[0])
        found.extend(files_beside(directive.block or ()))
    return tuple(found)
