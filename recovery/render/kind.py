"""`unit.yaml`: what one kind of unit is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from recovery.declared import nodes
from recovery.declared.fields import found
from recovery.declared.sentences import checked
from recovery.errors import Mistake

SCRIPTS = ("validate", "reload", "probe")
"""In the order in which the applier runs them; in a bundle they stand in `unit/`."""

_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:[./][A-Za-z0-9_-]+)*")
_SOURCE = re.compile(r"(?:_shared/)?[A-Za-z0-9][A-Za-z0-9._-]*\.j2")
_MODE = re.compile(r"0[4-7][0145][0145]")
MAX_FILES = 200
"""Files of a release beside those that pulih writes; the applier names all of them on one command line."""

_OWN = ("MANIFEST", *(f"unit/{name}" for name in SCRIPTS))
_MAX_TARGET = 90
"""Characters; a tar header has room for 100, and the release's folder comes on top. Source: POSIX.1, pax, ustar."""


def _matching(pattern: re.Pattern[str], expected: str, at_most: int = 200) -> AfterValidator:
    def check(value: str) -> str:
        if pattern.fullmatch(value) is None or len(value) > at_most:
            raise found(value, expected)
        return value

    return AfterValidator(check)


_A_PATH = f"a path inside the release such as gateway/nginx.conf, at most {_MAX_TARGET} of [A-Za-z0-9_./-]"
_A_TEMPLATE = "the name of a template that ends in .j2, of this folder or in _shared/"
_A_MODE = 'four octal digits in quotes such as "0644", readable by the owner and writable by nobody else'
_COMMANDS = "a list of commands, each a list of words"


def _word(value: str) -> str:
    if "\0" in value:
        raise found(value, "a word without the character U+0000, which no argument of a program can hold")
    return value


_Command = Annotated[list[Annotated[str, AfterValidator(_word)]], Field(min_length=1)]
_Commands = Annotated[list[_Command], Field(min_length=1, description=_COMMANDS)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    template: Annotated[str, _matching(_SOURCE, _A_TEMPLATE), Field(description=_A_TEMPLATE)]
    mode: Annotated[str, _matching(_MODE, _A_MODE), Field(description=_A_MODE)]


class _UnitFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    files: Annotated[
        dict[Annotated[str, _matching(_TARGET, _A_PATH, _MAX_TARGET)], _File],
        Field(min_length=1, max_length=MAX_FILES, description="the files of a release by their paths"),
    ]
    validate_: _Commands = Field(alias="validate")
    reload: _Commands
    probe: _Commands


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    """One file of a kind of unit.

    Attributes:
        path: Where it stands in the release.
        template: Name of its template, from the folder of all templates.
        mode: Permission bits.
        line: Of `unit.yaml`, where its template is named.
        place: The same inside `unit.yaml`, such as `files.'time/chrony.conf'.template`.
    """

    path: str
    template: str
    mode: int
    line: int
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One word of a command, which may hold `{{ expressions }}`.

    Attributes:
        line: Of `unit.yaml`.
        place: The same inside `unit.yaml`, such as `probe[0][4]`.
    """

    text: str
    line: int
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSpec:
    """What one kind of unit is made of.

    Attributes:
        file: Its `unit.yaml`.
        scripts: By name, the commands in the order in which they run.
    """

    name: str
    file: Path
    files: tuple[FileSpec, ...]
    scripts: Mapping[str, tuple[tuple[Argument, ...], ...]]


def read(folder: Path) -> tuple[KindSpec | None, bytes, list[Mistake]]:
    """Read the `unit.yaml` of one kind's folder.

    Returns:
        What it says, None where a mistake leaves nothing to go on with; its bytes; the mistakes.
    """
    file = folder / "unit.yaml"
    if not file.exists():
        return (
            None,
            b"",
            [Mistake(file=file, line=1, path=nodes.WHOLE_FILE, message="is missing; every kind of unit has one")],
        )
    document = nodes.read(file)
    declared = None if document.mistakes else checked(document, _UnitFile)
    if declared is None:
        return None, document.content, document.mistakes
    for path in declared.files:
        _check_target(document, path, declared.files)
    files = tuple(
        FileSpec(
            path=path,
            template=file.template if "/" in file.template else f"{folder.name}/{file.template}",
            mode=int(file.mode, 8),
            line=document.line(("files", path, "template")),
            place=nodes.path_text(("files", path, "template")),
        )
        for path, file in declared.files.items()
    )
    commands = {"validate": declared.validate_, "reload": declared.reload, "probe": declared.probe}
    scripts = {name: _arguments(document, name, commands[name]) for name in SCRIPTS}
    spec = KindSpec(name=folder.name, file=document.file, files=files, scripts=scripts)
    return spec, document.content, document.mistakes


def _arguments(document: nodes.Document, script: str, commands: list[list[str]]) -> tuple[tuple[Argument, ...], ...]:
    return tuple(
        tuple(
            Argument(
                text=text,
                line=document.line((script, number, position)),
                place=nodes.path_text((script, number, position)),
            )
            for position, text in enumerate(command)
        )
        for number, command in enumerate(commands)
    )


def _check_target(document: nodes.Document, path: str, files: Mapping[str, object]) -> None:
    location = ("files", path)
    if path in _OWN:
        document.add(location, "pulih writes this file itself; choose another path")
    for other in (*files, *_OWN):
        if other.startswith(f"{path}/"):
            document.add(location, f"can't be a file and the folder of {other}")
    for own in _OWN:
        if path.startswith(f"{own}/"):
            document.add(location, f"can't stand in {own}, which is a file that pulih writes itself")
