"""What stands where: the services of each office, its link class and its bastion.

All of it is illustrative and none of it is a secret: no public page says which units there are. The rules give the
582 units of one reading of the press (431 at home, 151 abroad; see docs/estate.md) and can be checked row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from infra.estate.source.places import Place
from recovery.model.estate import LinkName

STAY_PERMIT_OFFICES_OF_CLASS_II = 9
"""How many Kelas II TPI offices have a stay-permit desk."""

SECOND_PASSPORT_UNITS = frozenset(
    {
        "KBRI Abu Dhabi",
        "KBRI Bandar Seri Begawan",
        "KBRI Doha",
        "KBRI Kuala Lumpur",
        "KBRI Kuwait City",
        "KBRI Riyadh",
        "KBRI Seoul",
        "KBRI Singapura",
        "KBRI Tokyo",
        "KDEI Taipei",
        "KJRI Dubai",
        "KJRI Hong Kong",
        "KJRI Jeddah",
        "KJRI Johor Bahru",
        "KJRI Kota Kinabalu",
        "KJRI Kuching",
        "KJRI Los Angeles",
        "KJRI Osaka",
        "KJRI Penang",
        "KRI Tawau",
    }
)
"""Twenty missions with a second passport counter: posts with many workers and other citizens."""

REMOTE_PROVINCES = frozenset(
    {
        "Maluku",
        "Maluku Utara",
        "Papua",
        "Papua Barat",
        "Papua Barat Daya",
        "Papua Pegunungan",
        "Papua Selatan",
        "Papua Tengah",
    }
)
"""Every office there counts as reached by satellite."""

OUTLYING_CITIES = frozenset(
    {
        "Dabo Singkep",
        "Gunungsitoli",
        "Kepulauan Anambas",
        "Natuna",
        "Ranai",
        "Sabang",
        "Tahuna",
        "Tarempa",
        "Wakatobi",
    }
)
"""Places on small or outlying islands of the other provinces; every office there counts as reached by satellite."""

SATELLITE_MISSIONS = frozenset(
    {
        "KBRI Antananarivo",
        "KBRI Baghdad",
        "KBRI Caracas",
        "KBRI Damaskus",
        "KBRI Dili",
        "KBRI Havana",
        "KBRI Kabul",
        "KBRI Khartoum",
        "KBRI Paramaribo",
        "KBRI Port Moresby",
        "KBRI Pyongyang",
        "KBRI Sana'a",
        "KBRI Suva",
        "KBRI Tripoli",
        "KRI Vanimo",
    }
)
"""Missions that count as reached by satellite; all others count as reached by fibre."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules, with what they have to know of the whole list.

    Attributes:
        stay_permit: Names of the offices with a stay-permit desk.
        cities: Cities with a Kelas I office, and the provinces' capitals.
    """

    stay_permit: frozenset[str]
    cities: frozenset[str]

    @staticmethod
    def of(places: Sequence[Place], capitals: frozenset[str]) -> Rules:
        """Make the rules for a list of places."""
        first_class = [place for place in places if is_first_class(place)]
        return Rules(
            stay_permit=frozenset(place.name for place in first_class) | _class_two_stay_permit(places),
            cities=frozenset(place.city for place in first_class) | capitals,
        )

    def services(self, place: Place) -> tuple[str, ...]:
        """Return the services of a place, one for each of its units.

        A border post crosses borders. A mission issues passports, at twenty of them with a second unit; the three
        PTRI, accredited to organisations, issue none. Every other place issues passports, and an immigration
        office may handle stay permits too.
        """
        if place.kind == "tpi":
            return ("border-crossing",)
        if place.name.startswith("PTRI "):
            return ()
        if place.name in SECOND_PASSPORT_UNITS:
            return ("passport", "passport")
        if place.name in self.stay_permit:
            return ("passport", "stay-permit")
        return ("passport",)

    def link(self, place: Place) -> LinkName:
        """Return the class of a place's line; the first that fits counts.

        1. Missions: satellite for those of `SATELLITE_MISSIONS`, else fibre.
        2. Satellite: the remote provinces, the outlying cities and every land border post (PLBN and PLB).
        3. Fibre: airports, and every place in a city that is a capital or has a Kelas I office.
        4. Radio: all others.
        """
        if place.is_abroad:
            return LinkName.SATELLITE if place.name in SATELLITE_MISSIONS else LinkName.FIBRE
        is_land_post = place.name.startswith("TPI PLB")
        if place.area in REMOTE_PROVINCES or place.city in OUTLYING_CITIES or is_land_post:
            return LinkName.SATELLITE
        if place.name.startswith("TPI Bandara ") or place.city in self.cities:
            return LinkName.FIBRE
        return LinkName.RADIO


def is_first_class(place: Place) -> bool:
    """Return whether a place is an immigration office of Kelas I or Kelas I Khusus."""
    return place.kind == "office" and "Kelas I " in place.name


def _class_two_stay_permit(places: Sequence[Place]) -> frozenset[str]:
    """Return the nine Kelas II TPI offices that handle stay permits.

    Provinces with most border posts (rows of kind `tpi`) first, those with as many by name; in a province the offices
    by name; of that list the first nine.
    """
    posts = Counter(place.area for place in places if place.kind == "tpi")
    class_two = [place for place in places if place.kind == "office" and "Kelas II TPI " in place.name]
    ordered = sorted(class_two, key=lambda place: (-posts[place.area], place.area, place.name))
    return frozenset(place.name for place in ordered[:STAY_PERMIT_OFFICES_OF_CLASS_II])
