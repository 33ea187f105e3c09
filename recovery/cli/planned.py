"""From what a command line asks to a plan: names checked, the plan of a file made again and compared."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from recovery.cli import loading
from recovery.cli.context import commit
from recovery.errors import PlanError, RefusedError
from recovery.files import read_regular
from recovery.model.estate import DataCentreName, Estate
from recovery.model.plan import Plan, Selection

MAX_PLAN_BYTES = 16 << 20
"""A plan of 582 units has 25 KB."""

_NAME = re.compile(r"[a-z0-9-]{1,127}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be planned.

    Attributes:
        lost: None asks for the routine deployment.
        to: None where only one data centre can take over.
    """

    selection: Selection
    lost: DataCentreName | None
    to: DataCentreName | None

    @staticmethod
    def of(
        estate: Estate,
        *,
        lost: str | None,
        to: str | None,
        regions: Sequence[str] | None,
        services: Sequence[str] | None,
        units: Sequence[str] | None,
    ) -> Request:
        """Make a request of the words on a command line.

        Raises:
            PlanError: A name is not in the estate, or --to stands without --lost.
        """
        if to is not None and lost is None:
            raise PlanError("--to says where a recovery goes; say with --lost which data centre it is from")
        return Request(
            selection=loading.selection(estate, regions, services, units),
            lost=None if lost is None else loading.data_centre(estate, "--lost", lost),
            to=None if to is None else loading.data_centre(estate, "--to", to),
        )


def make_plan(sound: loading.Declared, request: Request) -> tuple[Plan, Estate]:
    """Plan what is asked.

    Returns:
        The plan, and the estate with the target placement that it is a plan of.

    Raises:
        PlanError: It can't be planned.
    """
    from recovery.plan import recovery, routine

    estate, prints = sound.estate, fingerprint(sound.templates.digest)
    known_commit = commit(estate.folder)
    if request.lost is None:
        return routine(estate, prints, request.selection, commit=known_commit)
    return recovery(estate, prints, request.selection, lost=request.lost, to=request.to, commit=known_commit)


def fingerprint(templates_digest: str) -> str:
    """Return the digest over what, beside the estate, decides what a run does: templates and applier."""
    from recovery.protocol import applier_command

    return "sha256:" + hashlib.sha256(f"{templates_digest}\n{applier_command()}".encode()).hexdigest()


def from_file(sound: loading.Declared, path: Path) -> tuple[Plan, Estate]:
    """Make a stored recovery plan again, and insist that it is the same.

    Raises:
        PlanError: The file is not a recovery plan.
        RefusedError: Estate, templates, applier or limits have changed since it was made.
    """
    if not isinstance(_stored(path).get("lost"), str):
        raise PlanError(f"{path} is the plan of a routine deployment; `pulih apply` needs none")
    return again(sound, path)


def again(sound: loading.Declared, path: Path) -> tuple[Plan, Estate]:
    """Make any stored plan again, and insist that it is the same.

    Raises:
        PlanError: The file is not a plan.
        RefusedError: Estate, templates, applier or limits have changed since it was made.
    """
    stored = _stored(path)
    lost, to = stored.get("lost"), stored.get("to")
    request = _request(sound.estate, stored, path)
    made_as = stored.get("hash")
    if not isinstance(made_as, str) or _HASH.fullmatch(made_as) is None:
        raise PlanError(f"{path} is not a plan: hash is missing, or not 'sha256:' and 64 digits")
    from recovery.plan import to_json

    plan, estate = make_plan(sound, request)
    anew = f"pulih recover --lost {lost} --to {to}" if isinstance(lost, str) else "pulih apply"
    if plan.hash != made_as:
        raise RefusedError(
            f"{path} no longer fits: it was made as {made_as} and would now be {plan.hash}, because the "
            "estate, the templates, the applier or pulih's limits have changed since. Nothing was touched; look at "
            f"the new plan (`pulih plan`) and begin a new run: `{anew}`."
        )
    changed = [
        key for key, value in to_json(plan).items() if key not in ("commit", "moves") and stored.get(key) != value
    ]
    if changed:
        raise RefusedError(
            f"{path} was edited: its {', '.join(changed)} would not be what is carried out. Nothing was touched; make "
            "the plan again with `pulih plan --out`."
        )
    return plan, estate


def same_steps(estate: Estate, path: Path) -> tuple[Plan, Estate]:
    """Make a stored plan again for somebody who only looks on: its steps and limits are what it was made with.

    Raises:
        PlanError: The file is not a plan, or can't be planned any more.
        RefusedError: Its steps or limits would now be others.
    """
    from recovery.plan import recovery, routine, to_json

    stored = _stored(path)
    request = _request(estate, stored, path)
    if request.lost is None:
        plan, moved = routine(estate, "", request.selection)
    else:
        plan, moved = recovery(estate, "", request.selection, lost=request.lost, to=request.to)
    made = to_json(plan)
    if any(stored.get(key) != made[key] for key in ("waves", "limits")):
        raise RefusedError(f"the estate has changed since {path} was made")
    return plan, moved


def _request(estate: Estate, stored: dict[str, object], path: Path) -> Request:
    lost, to = stored.get("lost"), stored.get("to")
    return Request.of(
        estate,
        lost=lost if isinstance(lost, str) else None,
        to=to if isinstance(to, str) else None,
        regions=_names(stored, "regions", path),
        services=_names(stored, "services", path),
        units=_names(stored, "units", path),
    )


def _stored(path: Path) -> dict[str, object]:
    try:
        document: object = json.loads(read_regular(path, MAX_PLAN_BYTES))
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{path} is not a plan: {error}") from error
    if not isinstance(document, dict):
        raise PlanError(f"{path} is not a plan: expected an object")
    stored = cast(dict[str, object], document)
    if stored.get("schema") != "pulih/plan/v1":
        found = repr(stored.get("schema"))[:60]
        raise PlanError(f"{path} is not a plan: its schema is {found}, expected 'pulih/plan/v1'")
    for key in ("lost", "to"):
        if stored.get(key) is not None and not _is_name(stored[key]):
            raise PlanError(f"{path} is not a plan: {key} is not the name of a data centre")
    return stored


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _names(stored: dict[str, object], key: str, path: Path) -> list[str]:
    selection = stored.get("selection")
    names: object = cast(dict[str, object], selection).get(key) if isinstance(selection, dict) else None
    if not isinstance(names, list) or not all(map(_is_name, cast(list[object], names))):
        raise PlanError(f"{path} is not a plan: selection.{key} is missing or not a list of names")
    return cast(list[str], names)
