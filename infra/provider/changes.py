"""What differs between a resource's state and its inputs, file by file. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from infra.provider.checking import INPUTS, Properties, file_path, name_of


class Kind(StrEnum):
    """How a property changes."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One property that an update would change.

    Attributes:
        path: Such as `digest` or `files["gateway/nginx.conf"]`.
        is_replacement: Whether it makes another unit of it.
    """

    path: str
    kind: Kind
    is_replacement: bool = False


def changes(kind: str, state: Properties, inputs: Properties) -> tuple[Change, ...]:
    """Compare what a unit was last seen to run with what is declared.

    Args:
        kind: Type of the resource.
        state: Its outputs, from the last update or refresh.
        inputs: As checked.

    Returns:
        Every property that differs, each file by its path; empty when there is nothing to do.
    """
    is_another = name_of(kind, state) not in ("", name_of(kind, inputs))
    return tuple(_changes(kind, state, inputs, is_another))


def _changes(kind: str, state: Properties, inputs: Properties, is_another: bool) -> Iterator[Change]:
    for key in INPUTS[kind]:
        if key == "files":
            yield from _files(_texts(state.get(key)), _texts(inputs.get(key)))
        elif state.get(key) != inputs.get(key):
            how = Kind.UPDATE if key in state else Kind.ADD
            yield Change(path=key, kind=how, is_replacement=is_another and inputs.get(key) == name_of(kind, inputs))


def _files(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for path in sorted(old.keys() | new.keys()):
        if path not in old:
            yield Change(path=file_path(path), kind=Kind.ADD)
        elif path not in new:
            yield Change(path=file_path(path), kind=Kind.DELETE)
        elif old[path] != new[path]:
            yield Change(path=file_path(path), kind=Kind.UPDATE)


def _texts(value: object) -> Mapping[str, str]:
    return cast(Mapping[str, str], value) if isinstance(value, Mapping) else {}
