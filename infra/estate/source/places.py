"""Reads the lists of places: `offices.csv` and `provinces.csv`, as they were gathered from public pages.

It leaves what stands where to `rules`, and takes the rows as they are: a doubtful one is named in docs/estate.md.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent
"""The folder of the lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One row of `offices.csv`.

    Attributes:
        kind: `office`, `ulp`, `ukk`, `mpp`, `lounge`, `tpi` or `mission`.
        name: Its public name, any text.
        area: Province at home, country abroad.
        country: ISO 3166-1 alpha-2 code.
        time_zone: IANA name.
    """

    kind: str
    name: str
    city: str
    area: str
    country: str
    time_zone: str

    @property
    def is_abroad(self) -> bool:
        """Whether it is a mission (PTRI ASEAN is one, though it stands in Jakarta)."""
        return self.kind == "mission"


def places(folder: Path = SOURCE) -> tuple[Place, ...]:
    """Return every row of `offices.csv`, in its order."""
    with (folder / "offices.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Place(
                kind=row["kind"],
                name=row["name"],
                city=row["city"],
                area=row["province_or_country"],
                country=row["iso_country"],
                time_zone=row["timezone"],
            )
            for row in csv.DictReader(file)
        )


def capitals(folder: Path = SOURCE) -> frozenset[str]:
    """Return the capital cities of the provinces."""
    with (folder / "provinces.csv").open(encoding="utf-8", newline="") as file:
        return frozenset(row["capital"] for row in csv.DictReader(file))
