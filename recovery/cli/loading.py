"""From the estate's folder to a sound declaration, and the part of it that a command line names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recovery.errors import DeclarationError, Mistake, PlanError, RefusedError
from recovery.model.estate import DataCentreName, Estate, RegionName, ServiceName, UnitName
from recovery.model.plan import Selection

if TYPE_CHECKING:
    from recovery.render import Renderer, Templates

SHIPPED = Path(__file__).resolve().parents[2] / "infra" / "estate"
"""The estate that pulih ships."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A declaration that every rule holds for."""

    estate: Estate
    templates: Templates
    renderer: Renderer


def declared(folder: Path) -> Declared:
    """Read an estate and check all of it; nothing is touched while one mistake stands.

    Raises:
        PlanError: There is no estate.
        DeclarationError: Every mistake that was found.
    """
    from recovery import policy
    from recovery.declared import load
    from recovery.files import is_folder
    from recovery.render import Renderer, Templates

    if not is_folder(folder):
        raise PlanError(
            f"there is no estate in {folder}: name its folder with --estate DIR or PULIH_ESTATE. "
            "`cp -r examples/two-offices my-estate` begins one; "
            "`pulih lab up --dir lab` makes a practice estate in lab/estate"
        )
    try:
        estate = load(folder)
    except DeclarationError as error:
        raise DeclarationError([*error.mistakes, *_template_mistakes(folder)]) from error
    templates = Templates.load(estate.templates)
    renderer = Renderer(estate, templates)
    mistakes = policy.check(estate, renderer)
    if mistakes:
        raise DeclarationError(mistakes)
    return Declared(estate=estate, templates=templates, renderer=renderer)


def _template_mistakes(folder: Path) -> tuple[Mistake, ...]:
    """Check the templates of an estate whose files are not sound, so that theirs are named in the same run.

    What shows only in rendered files is looked for with the estate that pulih ships in its place.
    """
    from recovery import policy
    from recovery.declared import load
    from recovery.declared.folders import OWN_TEMPLATES, templates_folder
    from recovery.declared.nodes import read, text
    from recovery.files import is_folder
    from recovery.render import Renderer, Templates

    path = templates_folder(folder, text(read(folder / "estate.yaml").data, "templates"))
    if not is_folder(path):
        return ()  # that is among the mistakes already
    try:
        templates = Templates.load(path)
    except DeclarationError as error:
        return error.mistakes
    if path == OWN_TEMPLATES:
        return ()  # pulih's own go well with its own estate
    try:
        shipped = replace(load(SHIPPED), templates=path)
        found = policy.check(shipped, Renderer(shipped, templates))
    except DeclarationError:
        return ()  # these templates and that estate do not go together
    return tuple(
        replace(mistake, message=f"{mistake.message} (tried with pulih's own estate)")
        for mistake in found
        if mistake.file.is_relative_to(path)
    )


def connectable(folder: Path) -> Declared:
    """Read an estate that a command is about to connect to.

    Raises:
        DeclarationError: Every mistake that was found.
        RefusedError: The estate is illustrative; no packet has left.
    """
    sound = declared(folder)
    refuse_illustrative(sound.estate)
    return sound


def refuse_illustrative(estate: Estate) -> None:
    """Stop before the first packet when an estate's addresses belong to nobody.

    Raises:
        RefusedError: It is illustrative; says what to do instead.
    """
    if estate.illustrative:
        raise RefusedError(
            f"{estate.folder} is illustrative: its addresses and host keys belong to nobody, so nothing connects to "
            "it. Practise with `pulih drill` or `pulih lab up`; for an estate of your own give `--estate DIR` "
            "(or PULIH_ESTATE) with a declaration that is not marked `illustrative: true`."
        )


def selection(
    estate: Estate,
    regions: Sequence[str] | None,
    services: Sequence[str] | None,
    units: Sequence[str] | None,
) -> Selection:
    """Turn the names on a command line into a selection.

    Raises:
        PlanError: A name is not in the estate, or the unit is retired; suggests the nearest name.
    """
    all_units = {unit.name: unit for _, _, unit in estate.places()}
    known("--region", "region", regions or (), (region.name for region in estate.regions))
    known("--service", "service", services or (), (service.name for service in estate.services))
    known("--unit", "unit", units or (), all_units)
    retired = sorted(name for name in units or () if all_units[UnitName(name)].retired)
    if retired:
        raise PlanError(f"--unit {retired[0]}: it is declared retired, so nothing is deployed to it")
    return Selection(
        regions=frozenset(RegionName(name) for name in regions or ()),
        services=frozenset(ServiceName(name) for name in services or ()),
        units=frozenset(UnitName(name) for name in units or ()),
    )


def data_centre(estate: Estate, option: str, name: str) -> DataCentreName:
    """Return the data centre that an option names.

    Raises:
        PlanError: There is no such data centre; suggests the nearest name.
    """
    known(option, "data centre", (name,), estate.data_centre)
    return DataCentreName(name)


def known(option: str, word: str, names: Iterable[str], existing: Iterable[str]) -> None:
    """Check that all `names` exist.

    Args:
        option: Where they were typed.
        word: What they name.
        names: As typed.
        existing: The names there are.

    Raises:
        PlanError: One does not; suggests the nearest, or lists them where there are few.
    """
    candidates = list(existing)
    for name in names:
        if name in candidates:
            continue
        near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.5)
        if near:
            hint = f"did you mean {near[0]}?"
        elif len(candidates) <= 20:
            hint = "there are " + ", ".join(candidates)
        else:
            hint = f"there are {len(candidates)}, such as {candidates[0]}"
        raise PlanError(f"{option} {name}: the estate has no such {word}; {hint}")


def publish_warnings(estate: Estate) -> list[str]:
    """Return what needs seeing to before citizens' apps must be told something; connects to nothing."""
    if estate.publish is None or estate.illustrative:
        return []
    from recovery.cli.context import now, state_folder
    from recovery.cli.keyswarnings import warnings

    return list(warnings(estate.publish, state_folder(estate.folder), now()))
