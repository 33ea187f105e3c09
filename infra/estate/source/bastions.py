"""The hosts that connections go through: one a region, one a data centre, one for each local government with an MPP.

A public-service mall (MPP) is run by its local government, and so is the network that its immigration counter stands
in; so the way to it leads through that government's bastion, not through Immigration's.
"""

from __future__ import annotations

from infra.estate.source.addresses import address, host_key, number_of
from infra.estate.source.names import slug
from infra.estate.source.places import Place
from infra.estate.source.regions import Group
from recovery.model.estate import Bastion, BastionName, Login

LOCAL_GOVERNMENT_NETWORK = 0x51
"""Number of the /48 inside 2001:db8::/32 in which the local governments' bastions stand."""

LOCAL_GOVERNMENTS = {
    "MPP Kota Medan (loket Imigrasi Polonia)": "Pemkot Medan",
    "MPP Provinsi DKI Jakarta": "Pemprov DKI Jakarta",
    "MPP Kota Tangerang Selatan": "Pemkot Tangerang Selatan",
    "MPP Kota Depok": "Pemkot Depok",
    "MPP Kota Bekasi": "Pemkot Bekasi",
    "MPP Grha Tiyasa Kota Bogor": "Pemkot Bogor",
    "MPP Kota Bandung": "Pemkot Bandung",
    "MPP Garut": "Pemkab Garut",
    "MPP Sumedang": "Pemkab Sumedang",
    "MPP Grobogan": "Pemkab Grobogan",
    "MPP Kudus": "Pemkab Kudus",
    "MPP Kota Semarang": "Pemkot Semarang",
    "MPP Jenderal Sudirman Surakarta": "Pemkot Surakarta",
    "MPP Banyumas": "Pemkab Banyumas",
    "MPP Kajen Kabupaten Pekalongan": "Pemkab Pekalongan",
    "MPP Kota Malang": "Pemkot Malang",
    "MPP Siola Surabaya": "Pemkot Surabaya",
    "MPP Gresik": "Pemkab Gresik",
    "MPP Gajah Mada Kota Mojokerto": "Pemkot Mojokerto",
    "MPP Maslahat Kabupaten Pasuruan": "Pemkab Pasuruan",
    "MPP Banyuwangi": "Pemkab Banyuwangi",
    "MPP Tuban": "Pemkab Tuban",
    "MPP Bojonegoro": "Pemkab Bojonegoro",
    "MPP Lamongan": "Pemkab Lamongan",
    "MPP Kota Balikpapan": "Pemkot Balikpapan",
    "MPP Kutai Kartanegara": "Pemkab Kutai Kartanegara",
    "MPP Bulungan": "Pemkab Bulungan",
    "MPP Barru": "Pemkab Barru",
    "MPP Simpurusiang Luwu": "Pemkab Luwu",
    "MPP Kulon Progo": "Pemkab Kulon Progo",
    "MPP Batam Gedung Sumatera": "Pemkot Batam",
}
"""The government that runs each MPP: of a city (Pemkot), a regency (Pemkab) or a province (Pemprov).

Source: the names of the malls; Surakarta's and Surabaya's are the cities', Batam's too.
"""


def bastion_of(place: Place, group: Group) -> Bastion:
    """Return the bastion in front of a place.

    Raises:
        ValueError: It is an MPP and its local government is not listed.
    """
    if place.kind != "mpp":
        return _bastion(group.name, group.title, address(group.network, 0, 1))
    if place.name not in LOCAL_GOVERNMENTS:
        raise ValueError(f"{place.name}: LOCAL_GOVERNMENTS of bastions.py does not say who runs it")
    government = LOCAL_GOVERNMENTS[place.name]
    name = slug(government)
    return _bastion(name, government, address(LOCAL_GOVERNMENT_NETWORK, number_of(name), 1))


def bastion_of_data_centre(name: str, title: str, network: int) -> Bastion:
    """Return the bastion in front of a data centre's hosts."""
    return _bastion(name, title, address(network, 0, 1))


def _bastion(owner: str, title: str, its_address: str) -> Bastion:
    name = f"bastion-{owner}"
    login = Login(address=its_address, port=22, user="pulih", host_key=host_key(name))
    return Bastion(name=BastionName(name), title=f"Bastion ({title})", login=login)
