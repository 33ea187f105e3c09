"""The practice estate: one process that is all units' SSH servers, gateways and data centres.

`up`, `lose`, `break_unit`, `heal_unit`, `slow`, `status` and `down` are for commands and tests. The process itself
(`process`) imports as little of the rest as it can: it must stay small and start fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recovery.lab.manage import Healed, LabStatus, break_unit, down, heal_unit, lose, slow, status
from recovery.lab.sickness import ENDS_IN, How

if TYPE_CHECKING:
    from recovery.lab.start import LabInfo

__all__ = [
    "ENDS_IN",
    "Healed",
    "How",
    "LabStatus",
    "break_unit",
    "down",
    "heal_unit",
    "lose",
    "slow",
    "status",
    "up",
]


def up(units: int, folder: Path, *, source: Path | None = None) -> LabInfo:
    """Start a lab and return when it takes connections; it goes on in a session of its own.

    Args:
        units: How many units it has.
        folder: Its folder; made when it is not there.
        source: The estate that it practises; the one that pulih ships by default.

    Raises:
        LabError: The folder holds a running lab or anything that is no lab's, or the lab did not start.
        DeclarationError: The source is not sound.
    """
    # Imported here: the lab process is part of this package and must not carry what makes an estate.
    from recovery.lab import start

    return start.up(units, folder, source=source)
