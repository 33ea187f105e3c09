"""Verbs about the declaration alone: `validate` and `schema`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import typer

from recovery.cli import options
from recovery.cli.context import estate_folder
from recovery.cli.output import Format, emit, note
from recovery.errors import DeclarationError, Mistake
from recovery.report.text import counted, printable


class SchemaName(StrEnum):
    """What there is a JSON Schema of."""

    ESTATE = "estate"


def register(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
    app.command(epilog="Example: pulih validate --estate infra/estate")(validate)
    app.command(epilog="Example: pulih schema estate > estate.schema.json")(schema)


def validate(estate: options.Estate = None, output: options.Output = Format.TABLE) -> int:
    """Check the declaration and name every mistake.

    One line each, with file and line. Connects to nothing.
    """
    folder = estate_folder(estate)
    try:
        summary = _summary(folder)
    except DeclarationError as error:
        mistakes = error.mistakes
        document: dict[str, object] = {
            "schema": "pulih/validate/v1",
            "sound": False,
            "mistakes": [_mistake(mistake) for mistake in mistakes],
        }
        emit(document, output, lambda: (printable(str(mistake)) for mistake in mistakes))
        return 1
    document = {"schema": "pulih/validate/v1", "sound": True, "mistakes": [], **summary}
    for warning in cast(list[str], summary["warnings"]):
        note(f"note: {warning}")
    emit(document, output, lambda: [_sentence(summary)])
    return 0


def _summary(folder: Path) -> dict[str, object]:
    from recovery.cli.loading import declared, publish_warnings
    from recovery.plan import estate_digest
    from recovery.policy import warnings

    sound = declared(folder)
    estate = sound.estate
    return {
        "estate": estate.name,
        "version": estate.version,
        "units": sum(1 for _ in estate.places()),
        "offices": sum(len(region.offices) for region in estate.regions),
        "regions": len(estate.regions),
        "services": len(estate.services),
        "data_centres": len(estate.data_centres),
        "illustrative": estate.illustrative,
        "digest": estate_digest(estate),
        "templates_digest": sound.templates.digest,
        "warnings": [*warnings(estate), *publish_warnings(estate)],
    }


def _sentence(summary: dict[str, object]) -> str:
    counts = ", ".join(
        counted(int(str(summary[key])), word)
        for key, word in (
            ("units", "unit"),
            ("offices", "office"),
            ("regions", "region"),
            ("services", "service"),
            ("data_centres", "data centre"),
        )
    )
    kind = " (illustrative)" if summary["illustrative"] else ""
    return printable(f"sound: {summary['estate']} {summary['version']}{kind}: {counts}, {summary['digest']}")


def _mistake(mistake: Mistake) -> dict[str, object]:
    return {
        "file": str(mistake.file),
        "line": mistake.line,
        "path": mistake.path,
        "message": mistake.message,
    }


def schema(
    name: Annotated[SchemaName, typer.Argument(help="What to describe.")] = SchemaName.ESTATE,
) -> int:
    """Print a JSON Schema of the estate's files.

    For editors, and for other programs that write them.
    """
    from recovery.cli.output import say_json
    from recovery.declared import estate_schema

    schemas = {SchemaName.ESTATE: estate_schema}
    say_json(schemas[name](), indent=2)
    return 0
