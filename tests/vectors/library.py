"""All vectors: as they are made, and as they are stored."""

from __future__ import annotations

from pathlib import Path

from tests.vectors import attacks, mirrors, sound
from tests.vectors.case import CONTENTS, Case

FOLDER = Path(__file__).parents[2] / "clients" / "vectors"


def every_case() -> list[Case]:
    """Make every vector."""
    return [*sound.cases(), *attacks.cases(), *mirrors.cases()]


def stored() -> list[str]:
    """Return the names of the stored files."""
    return sorted(path.name for path in FOLDER.glob("*.json"))


def stored_names() -> list[str]:
    """Return the names of the stored vectors."""
    return [name.removesuffix(".json") for name in stored() if name != CONTENTS]
