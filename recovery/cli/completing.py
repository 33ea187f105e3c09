"""Names that a shell may complete, read from the estate that the line is about; whatever is wrong, none are offered."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import typer

from recovery.cli.context import estate_folder, state_folder, where


def regions(context: typer.Context, incomplete: str) -> list[str]:
    """Offer names of regions."""
    return _named(context, incomplete, "regions")


def services(context: typer.Context, incomplete: str) -> list[str]:
    """Offer names of services."""
    return _named(context, incomplete, "services")


def data_centres(context: typer.Context, incomplete: str) -> list[str]:
    """Offer names of data centres."""
    return _named(context, incomplete, "data_centres")


def units(context: typer.Context, incomplete: str) -> list[str]:
    """Offer names of units."""
    return _named(context, incomplete, "units")


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """Offer names of runs, the newest first."""
    with suppress(Exception):
        from recovery.processes import LinuxProcesses
        from recovery.runs import Runs

        return _beginning(incomplete, Runs(state_folder(_folder(context)), LinuxProcesses(where())).names())
    return []


def _named(context: typer.Context, incomplete: str, what: str) -> list[str]:
    with suppress(Exception):
        from recovery.declared import load

        estate = load(_folder(context))
        there = {
            "regions": [region.name for region in estate.regions],
            "services": [service.name for service in estate.services],
            "data_centres": [centre.name for centre in estate.data_centres],
            "units": [unit.name for _, _, unit in estate.places()],
        }
        return _beginning(incomplete, there[what])
    return []


def _folder(context: typer.Context) -> Path:
    given = context.params.get("estate")
    return estate_folder(None if given is None else Path(str(given)))


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
