"""Whether a resource's inputs can be what the declaration says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from infra.declaration import ENDPOINT, UNIT, Deployable

Properties = Mapping[str, object]
"""The properties of a resource as plain values."""

INPUTS = {
    UNIT: ("unit", "office", "service", "dataCentre", "endpoint", "digest", "files"),
    ENDPOINT: ("endpoint", "service", "dataCentre", "digest", "files"),
}
"""The inputs of each type of resource; all are required."""

OUTPUTS = ("epoch", "appliedAt", "run")
"""What the unit itself adds, by its receipt."""

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One bad input.

    Attributes:
        path: Of the property, such as `files["gateway/nginx.conf"]`.
        reason: What was found and what was expected.
    """

    path: str
    reason: str


def file_path(path: str) -> str:
    """Return the property path of a file's digest."""
    return f'files["{path}"]'


def faults(kind: str, given: Properties, declared: Deployable | None) -> tuple[Fault, ...]:
    """Return everything that is wrong with a resource's inputs.

    Args:
        kind: Type of the resource.
        given: Its inputs.
        declared: What the declaration says of it; None when it says nothing.
    """
    found = tuple(_shape(kind, given))
    return found or tuple(_facts(kind, given, declared))


def name_of(kind: str, given: Properties) -> str:
    """Return the unit or endpoint that a resource stands for; empty when its inputs do not say."""
    name = given.get("unit" if kind == UNIT else "endpoint")
    return name if isinstance(name, str) else ""


def _shape(kind: str, given: Properties) -> Iterator[Fault]:
    """What can be seen without the declaration."""
    for key in INPUTS[kind]:
        value = given.get(key)
        if value is None:
            yield Fault(path=key, reason="it is missing")
        elif key == "files":
            yield from _file_shapes(value)
        elif not isinstance(value, str):
            yield Fault(path=key, reason=f"found {_kind(value)}, expected text")
        elif key == "digest" and _DIGEST.fullmatch(value) is None:
            yield Fault(path=key, reason="expected `sha256:` and 64 hexadecimal digits")
        elif key != "digest" and _SLUG.fullmatch(value) is None:
            yield Fault(path=key, reason=f"found {value[:60]!r}, expected a name of a-z, 0-9 and '-'")
    for key in given:
        if key not in INPUTS[kind]:
            yield Fault(path=key, reason=f"there is no such input; expected {', '.join(INPUTS[kind])}")


def _file_shapes(value: object) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield Fault(path="files", reason=f"found {_kind(value)}, expected paths with their SHA-256")
        return
    files = cast(Mapping[str, object], value)
    if not files:
        yield Fault(path="files", reason="it is empty; a bundle has files")
    for path, sha256 in files.items():
        if _PATH.fullmatch(path) is None or ".." in path.split("/"):
            yield Fault(path=file_path(path), reason="expected a path inside the release: a-z A-Z 0-9 . _ - /, no `..`")
        elif not isinstance(sha256, str) or _SHA256.fullmatch(sha256) is None:
            yield Fault(path=file_path(path), reason="expected a SHA-256 as 64 hexadecimal digits")


def _facts(kind: str, given: Properties, declared: Deployable | None) -> Iterator[Fault]:
    """What differs from the declaration."""
    if declared is None:
        key = "unit" if kind == UNIT else "endpoint"
        yield Fault(
            path=key,
            reason=f"{given[key]} is not among what the declaration deploys in this stack (retired, or of another "
            "region, or an endpoint that serves nobody)",
        )
        return
    for key, wanted in declared.inputs.items():
        if key == "files":
            yield from _file_facts(cast(Mapping[str, str], given[key]), cast(Mapping[str, str], wanted))
        elif key == "digest" and given[key] != wanted:
            yield Fault(
                path=key,
                reason=f"found {given[key]}, but the declaration makes {wanted}: program and provider have not read "
                "the same files. Was the estate changed meanwhile? Run it again.",
            )
        elif given[key] != wanted:
            yield Fault(path=key, reason=f"found {given[key]}, declared is {wanted}")


def _file_facts(given: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[Fault]:
    for path in sorted(given.keys() | wanted.keys()):
        if given.get(path) != wanted.get(path):
            said = wanted.get(path, "no such file")
            yield Fault(
                path=file_path(path), reason=f"found {given.get(path, 'nothing')}, the declaration makes {said}"
            )


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "a map"
    words: Mapping[type, str] = {bool: "true or false", float: "a number", str: "text"}
    return words.get(type(value), "a list")
