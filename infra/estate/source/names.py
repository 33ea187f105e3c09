"""Slugs of offices, made from their public names alone, so that a new office renames no other."""

from __future__ import annotations

import re
import unicodedata

from infra.estate.source.places import Place

_CLASS = re.compile(r"Kantor Imigrasi Kelas \S+ (?:Khusus )?(?:Non )?TPI ")
_BORDER = re.compile(r"TPI (?:Bandara|Pelabuhan|PLBN|PLB) ")
_LOUNGE = re.compile(r"(?:Immigration Lounge|Layanan Imigrasi) ")


def slug(text: str) -> str:
    """Return `text` in lower-case ASCII letters, digits and single hyphens."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"[.']", "", ascii_text)).strip("-")


def office_name(place: Place) -> str:
    """Return the slug of an office.

    What changes or repeats is left out: the class of an immigration office (it is raised now and then), the sort
    of border post, and whatever stands in brackets. So `Kantor Imigrasi Kelas I Khusus TPI Medan` is
    `kanim-medan` and `TPI Bandara Juanda (SUB)` is `tpi-juanda`.
    """
    name = re.sub(r"\(.*?\)", "", place.name)
    name = _CLASS.sub("kanim ", name)
    name = _BORDER.sub("tpi ", name)
    name = _LOUNGE.sub("lounge ", name)
    return slug(name)
