"""Which region a place belongs to: neighbouring provinces at home, countries abroad, 25 to 50 offices a region."""

from __future__ import annotations

from dataclasses import dataclass

from infra.estate.source.places import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A region and what it is grouped from.

    Attributes:
        name: Slug; names the region's file and its Pulumi stack.
        network: Number of its /48 inside 2001:db8::/32; never given to another region.
        areas: Names of provinces at home, ISO 3166-1 alpha-2 codes of countries abroad.
    """

    name: str
    title: str
    network: int
    areas: frozenset[str]


def _home(name: str, network: int, *provinces: str) -> Group:
    return Group(name=name, title=", ".join(provinces), network=network, areas=frozenset(provinces))


def _abroad(name: str, title: str, network: int, countries: str) -> Group:
    return Group(name=name, title=title, network=network, areas=frozenset(countries.split()))


HOME = (
    _home("sumatera-bagian-utara", 0x11, "Aceh", "Sumatera Utara", "Sumatera Barat"),
    _home("sumatera-bagian-selatan", 0x12, "Riau", "Jambi", "Sumatera Selatan", "Bengkulu", "Lampung"),
    _home("kepulauan-riau-bangka-belitung", 0x13, "Kepulauan Riau", "Kepulauan Bangka Belitung"),
    _home("jakarta-banten", 0x14, "DKI Jakarta", "Banten"),
    _home("jawa-barat", 0x15, "Jawa Barat"),
    _home("jawa-tengah-yogyakarta", 0x16, "Jawa Tengah", "DI Yogyakarta"),
    _home("jawa-timur", 0x17, "Jawa Timur"),
    _home("bali-nusa-tenggara", 0x18, "Bali", "Nusa Tenggara Barat", "Nusa Tenggara Timur"),
    _home(
        "kalimantan",
        0x19,
        "Kalimantan Barat",
        "Kalimantan Tengah",
        "Kalimantan Selatan",
        "Kalimantan Timur",
        "Kalimantan Utara",
    ),
    _home(
        "sulawesi",
        0x1A,
        "Sulawesi Utara",
        "Gorontalo",
        "Sulawesi Tengah",
        "Sulawesi Barat",
        "Sulawesi Selatan",
        "Sulawesi Tenggara",
    ),
    _home(
        "maluku-papua",
        0x1B,
        "Maluku",
        "Maluku Utara",
        "Papua Barat Daya",
        "Papua Barat",
        "Papua Tengah",
        "Papua Pegunungan",
        "Papua Selatan",
        "Papua",
    ),
)
"""Eleven groups of the 38 provinces, from west to east."""

ABROAD = (
    _abroad(
        "asia-tenggara", "Missions in South-East Asia", 0x31, "BN ID KH LA MM MY PH SG TH TL VN"
    ),  # ID: the mission to ASEAN, whose seat is Jakarta
    _abroad(
        "asia-pasifik",
        "Missions in East, South and Central Asia and the Pacific",
        0x32,
        "AF AU BD CN FJ HK IN JP KP KR KZ LK NC NZ PG PK TW UZ",
    ),
    _abroad(
        "timur-tengah-afrika",
        "Missions in the Middle East and Africa",
        0x33,
        "AE BH CM DZ EG ET IQ IR JO KE KW LB LY MA MG MZ NA NG OM QA SA SD SN SY TN TZ YE ZA ZW",
    ),
    _abroad(
        "eropa",
        "Missions in Europe, Turkiye and Azerbaijan",
        0x34,
        "AT AZ BA BE BG CH CZ DE DK ES FI FR GB GR HR HU IT NL NO PL PT RO RS RU SE SK TR UA VA",
    ),
    _abroad("amerika", "Missions in the Americas", 0x35, "AR BR CA CL CO CU EC MX PA PE SR US VE"),
)
"""Five groups of countries."""


def group_of(place: Place) -> Group:
    """Return the region that a place belongs to.

    Raises:
        ValueError: No region, or more than one, has its province or country.
    """
    groups, area = (ABROAD, place.country) if place.is_abroad else (HOME, place.area)
    found = [group for group in groups if area in group.areas]
    if len(found) != 1:
        raise ValueError(f"{place.name}: {area} is in {len(found)} regions; regions.py must have it in one")
    return found[0]
