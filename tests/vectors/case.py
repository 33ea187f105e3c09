"""What a conformance vector is, how it is written down, and how one is read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.vectors.serving import Files, Trick

SCHEMA = "pulih/client-vector/v1"

CONTENTS = "contents.json"
"""The contents that vectors name, each once: by name, the text."""

SHIPPED_DATA = {
    "drafts/passport.txt": "half a form",
    "bookings/next.txt": "Tuesday 10:00",
    "documents/photo.txt": "a photo",
    "sessions/token.txt": "signed in",
    "pins/pdns-2.txt": "a certificate",
    "endpoints/last.txt": "where it worked last",
    "games/score.txt": "not known to any manifest",
}
"""What the installation holds before the first step of a vector."""

ENTERED = tuple(sorted(path for path in SHIPPED_DATA if path.split("/")[0] not in ("sessions", "pins", "endpoints")))
"""What is left of it once sessions, pins and endpoints are reset."""

EVERYTHING = tuple(sorted(SHIPPED_DATA))


@dataclass(frozen=True, kw_only=True)
class Step:
    """One poll, and what must come of it.

    Attributes:
        clock: The device's clock.
        mirrors: What each mirror shows; None for one that nobody answers for.
        outcome: `updated`, `unchanged`, `refused` or `offline`.
        refusals: Reason and file of each mirror that is refused, in any order; of a poll that was followed, those that
            may be, since the order of mirrors is random.
        epoch: `config_epoch` of the configuration that is in use afterwards; None when there is none.
        data: What the installation holds afterwards.
        restore: The step after which a backup was made that was put back just before this step.
        update_needed: Whether version 4.2.0 of the app asks for an update afterwards.
    """

    clock: datetime
    mirrors: tuple[Files | None, ...]
    outcome: str
    refusals: tuple[tuple[str, str], ...] = ()
    epoch: int | None
    data: tuple[str, ...]
    restore: int | None = None
    update_needed: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """One vector.

    Attributes:
        name: Of its file.
        attack: The attack of section 1.5.2 of the TUF specification that it is, or what else it is about.
        what: What happens and what must come of it, one sentence.
        root: The root metadata that came with the app.
        shipped: The manifest that came with the app; None for an app without one.
    """

    name: str
    attack: str
    what: str
    root: bytes
    shipped: bytes | None
    steps: Sequence[Step] = field(default_factory=list[Step])


def write(cases: Sequence[Case]) -> dict[str, bytes]:
    """Return all vectors as files, by path."""
    files: dict[str, bytes] = {}
    contents: dict[str, str] = {}

    def kept(content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()[:16]
        contents[name] = content.decode()
        return name

    def shown(found: bytes | Trick) -> object:
        if isinstance(found, bytes):
            return kept(found)
        told: dict[str, object] = {"trick": found.what}
        if found.content:
            told["content"] = kept(found.content)
        if found.number:
            told["number"] = found.number
        return told

    for case in cases:
        document = {
            "schema": SCHEMA,
            "name": case.name,
            "attack": case.attack,
            "what": case.what,
            "root": kept(case.root),
            "shipped": None if case.shipped is None else kept(case.shipped),
            "data": SHIPPED_DATA,
            "steps": [
                {
                    "clock": f"{step.clock:%Y-%m-%dT%H:%M:%SZ}",
                    "restore": step.restore,
                    "mirrors": [
                        None if mirror is None else {path: shown(found) for path, found in sorted(mirror.items())}
                        for mirror in step.mirrors
                    ],
                    "expect": {
                        "outcome": step.outcome,
                        "refusals": [{"reason": reason, "file": file} for reason, file in step.refusals],
                        "config_epoch": step.epoch,
                        "update_needed": step.update_needed,
                        "data": list(step.data),
                    },
                }
                for step in case.steps
            ],
        }
        files[f"{case.name}.json"] = json.dumps(document, indent=1).encode() + b"\n"
    files[CONTENTS] = json.dumps(dict(sorted(contents.items())), indent=0).encode() + b"\n"
    return files


def read(folder: Path, name: str) -> Case:
    """Read a vector as anybody would, from its files only."""
    document: Mapping[str, Any] = json.loads((folder / f"{name}.json").read_text())
    assert document["schema"] == SCHEMA
    assert document["data"] == SHIPPED_DATA
    contents: Mapping[str, str] = json.loads((folder / CONTENTS).read_text())

    def content(name: str | None) -> bytes:
        return b"" if name is None else contents[name].encode()

    def found(told: Any) -> bytes | Trick:
        if isinstance(told, str):
            return content(told)
        return Trick(what=told["trick"], content=content(told.get("content")), number=told.get("number", 0))

    return Case(
        name=document["name"],
        attack=document["attack"],
        what=document["what"],
        root=content(document["root"]),
        shipped=None if document["shipped"] is None else content(document["shipped"]),
        steps=[
            Step(
                clock=datetime.fromisoformat(step["clock"]),
                mirrors=tuple(
                    None if mirror is None else {path: found(told) for path, told in mirror.items()}
                    for mirror in step["mirrors"]
                ),
                outcome=step["expect"]["outcome"],
                refusals=tuple((refusal["reason"], refusal["file"]) for refusal in step["expect"]["refusals"]),
                epoch=step["expect"]["config_epoch"],
                data=tuple(step["expect"]["data"]),
                restore=step["restore"],
                update_needed=step["expect"]["update_needed"],
            )
            for step in document["steps"]
        ],
    )
