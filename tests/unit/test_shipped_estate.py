"""The shipped estate and the worked example: counted again from the lists, not by the generator's own rules."""

from __future__ import annotations

import base64
import csv
from collections import Counter
from ipaddress import IPv6Address, IPv6Network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import recovery
from infra.estate.source import build, generate
from infra.estate.source.addresses import host_key, is_curve_point, refuse_shared
from infra.estate.source.places import Place
from recovery.declared import load
from recovery.model.estate import Estate, LinkName, Office, ServiceClass, UnitName
from recovery.render import Renderer, Templates

ROOT = Path(recovery.__file__).parent.parent
ESTATE = ROOT / "infra" / "estate"
EXAMPLE = ROOT / "examples" / "two-offices"
ABROAD = {"asia-tenggara", "asia-pasifik", "timur-tengah-afrika", "eropa", "amerika"}
DOCUMENTATION = IPv6Network("2001:db8::/32")


@pytest.fixture(scope="module")
def estate() -> Estate:
    return load(ESTATE)


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, str]]:
    with (ESTATE / "source" / "offices.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def offices(estate: Estate) -> dict[str, Office]:
    return {office.title: office for region in estate.regions for office in region.offices}


def services(office: Office) -> list[str]:
    return [str(unit.service) for unit in office.units]


def addresses(estate: Estate) -> list[str]:
    endpoints = estate.endpoint.values()
    return [
        *(unit.login.address for _, _, unit in estate.places()),
        *(endpoint.address for endpoint in endpoints),
        *(endpoint.login.address for endpoint in endpoints),
        *(bastion.login.address for bastion in estate.bastions.values()),
    ]


def host_keys(estate: Estate) -> list[str]:
    return [
        *(unit.login.host_key for _, _, unit in estate.places()),
        *(endpoint.login.host_key for endpoint in estate.endpoint.values()),
        *(bastion.login.host_key for bastion in estate.bastions.values()),
    ]


def is_on_curve(line: str) -> bool:
    """Decode the point as RFC 8032, section 5.1.3, does, with the root itself, and put it into the curve's equation."""
    encoded = base64.b64decode(line.split()[1])[-32:]
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p) % p
    y = int.from_bytes(encoded, "little") % 2**255
    u, v = (y * y - 1) % p, (d * y * y + 1) % p
    x = u * v**3 * pow(u * v**7, (p - 5) // 8, p) % p
    if v * x * x % p != u:
        x = x * pow(2, (p - 1) // 4, p) % p
    return y < p and (-x * x + y * y - 1 - d * x * x * y * y) % p == 0


def test_the_shipped_estate_is_illustrative(estate: Estate) -> None:
    assert estate.illustrative
    assert not estate.practice


def test_every_office_of_the_list_is_declared_once_under_its_own_name(
    estate: Estate, rows: dict[str, dict[str, str]]
) -> None:
    declared = [office for region in estate.regions for office in region.offices]
    assert len(declared) == len(rows) == 504
    assert {(office.title, office.kind, office.city, office.time_zone) for office in declared} == {
        (row["name"], row["kind"], row["city"], row["timezone"]) for row in rows.values()
    }


def test_there_are_431_units_at_home_and_151_abroad(estate: Estate) -> None:
    where = Counter(region.name in ABROAD for region, _, _ in estate.places())
    assert where == {False: 431, True: 151}
    assert Counter(str(unit.service) for _, _, unit in estate.places()) == {
        "border-crossing": 154,
        "passport": 216 + 131 + 20,
        "stay-permit": 61,
    }


def test_each_place_at_home_has_the_units_of_its_kind(estate: Estate, rows: dict[str, dict[str, str]]) -> None:
    for title, office in offices(estate).items():
        row = rows[title]
        if row["kind"] == "tpi":
            assert services(office) == ["border-crossing"], title
        elif row["kind"] in ("ulp", "ukk", "mpp", "lounge"):
            assert services(office) == ["passport"], title
        elif row["kind"] == "office" and ("Kelas I TPI" in title or "Kelas I Non" in title or "Khusus" in title):
            assert services(office) == ["passport", "stay-permit"], title
        elif row["kind"] == "office" and ("Kelas III" in title or "Kelas II Non" in title):
            assert services(office) == ["passport"], title


def test_nine_offices_of_the_second_class_in_the_provinces_with_most_posts_handle_stay_permits(
    estate: Estate, rows: dict[str, dict[str, str]]
) -> None:
    posts = Counter(row["province_or_country"] for row in rows.values() if row["kind"] == "tpi")
    assert posts.most_common(3) == [("Kepulauan Riau", 20), ("Nusa Tenggara Timur", 13), ("Riau", 12)]
    second_class = {
        title.removeprefix("Kantor Imigrasi Kelas II TPI ")
        for title, office in offices(estate).items()
        if title.startswith("Kantor Imigrasi Kelas II TPI ") and "stay-permit" in services(office)
    }
    assert second_class == {
        *("Belakang Padang", "Ranai", "Tanjung Balai Karimun", "Tanjung Uban", "Tarempa"),
        *("Atambua", "Maumere"),
        *("Bagan Siapi-Api", "Bengkalis"),
    }


def test_missions_have_one_passport_unit_twenty_have_two_and_the_ptri_have_none(
    estate: Estate, rows: dict[str, dict[str, str]]
) -> None:
    missions = {title: office for title, office in offices(estate).items() if rows[title]["kind"] == "mission"}
    counts = Counter(len(office.units) for office in missions.values())
    assert counts == {0: 3, 1: 111, 2: 20}
    assert {title for title, office in missions.items() if not office.units} == {
        "PTRI ASEAN",
        "PTRI Jenewa",
        "PTRI New York",
    }
    assert {service for office in missions.values() for service in services(office)} == {"passport"}
    assert [unit.name for unit in missions["KJRI Jeddah"].units] == ["kjri-jeddah-passport", "kjri-jeddah-passport-2"]


def test_a_region_holds_whole_provinces_or_countries_and_is_of_a_size_to_read(
    estate: Estate, rows: dict[str, dict[str, str]]
) -> None:
    regions_of: dict[str, set[str]] = {}
    for region in estate.regions:
        for office in region.offices:
            row = rows[office.title]
            assert (row["kind"] == "mission") == (region.name in ABROAD)
            area = row["iso_country"] if region.name in ABROAD else row["province_or_country"]
            regions_of.setdefault(f"{region.name in ABROAD} {area}", set()).add(region.name)
    assert all(len(names) == 1 for names in regions_of.values())
    assert len(estate.regions) == 16
    assert all(15 <= len(region.offices) <= 60 for region in estate.regions)
    for region in estate.regions:
        lines = (ESTATE / "regions" / f"{region.name}.yaml").read_text(encoding="utf-8").count("\n")
        assert 250 <= lines <= 950, region.name


def test_every_office_stands_in_a_time_zone_that_exists(estate: Estate) -> None:
    for office in offices(estate).values():
        assert ZoneInfo(office.time_zone).key == office.time_zone


def test_links_follow_remoteness_and_city(estate: Estate, rows: dict[str, dict[str, str]]) -> None:
    islands = {"Dabo Singkep", "Gunungsitoli", "Kepulauan Anambas", "Natuna", "Ranai", "Sabang", "Tahuna"}
    islands |= {"Tarempa", "Wakatobi"}
    with (ESTATE / "source" / "provinces.csv").open(encoding="utf-8", newline="") as file:
        cities = {row["capital"] for row in csv.DictReader(file)}
    cities |= {row["city"] for name, row in rows.items() if "Imigrasi Kelas I " in name}
    satellite_missions = 0
    for title, office in offices(estate).items():
        row = rows[title]
        if row["kind"] == "mission":
            assert office.link in (LinkName.FIBRE, LinkName.SATELLITE), title
            satellite_missions += office.link is LinkName.SATELLITE
        elif (
            row["province_or_country"].startswith(("Papua", "Maluku"))
            or row["city"] in islands
            or title.startswith(("TPI PLBN ", "TPI PLB "))
        ):
            assert office.link is LinkName.SATELLITE, title
        elif "(" in title and row["kind"] == "tpi" and "Bandara" in title:
            assert office.link is LinkName.FIBRE, title
        else:
            assert office.link is (LinkName.FIBRE if row["city"] in cities else LinkName.RADIO), title
    assert satellite_missions == 15


def test_a_mall_stands_behind_its_own_government_and_everything_else_behind_its_region(estate: Estate) -> None:
    malls = [office for office in offices(estate).values() if office.kind == "mpp"]
    governments = {office.bastion for office in malls}
    assert len(malls) == len(governments) == 31
    assert all(str(name).startswith(("bastion-pemkot-", "bastion-pemkab-", "bastion-pemprov-")) for name in governments)
    for region in estate.regions:
        others = {office.bastion for office in region.offices if office.kind != "mpp"}
        assert others == {f"bastion-{region.name}"}


def test_every_service_can_run_at_both_data_centres_and_runs_at_the_first(estate: Estate) -> None:
    names = ["identity", "time", "border-crossing", "visa", "stay-permit", "citizen-app", "passport"]
    assert [str(service.name) for service in estate.services] == names
    assert set(estate.endpoint) == {(name, centre) for name in names for centre in ("pdns-2", "cloud-1")}
    assert estate.placement.default == dict.fromkeys(names, "pdns-2")
    assert not estate.placement.regional
    assert {endpoint.name for endpoint in estate.endpoint.values()} == {
        f"{name}-{centre}" for name in names for centre in ("pdns-2", "cloud-1")
    }


def test_border_crossing_has_the_shortest_time_to_recover_and_passports_the_longest(estate: Estate) -> None:
    serving = [service for service in estate.services if service.service_class is ServiceClass.SERVING]
    supporting = [service for service in estate.services if service.service_class is ServiceClass.SUPPORTING]
    by_rto = sorted(serving, key=lambda service: service.rto_s)
    assert (by_rto[0].name, by_rto[-1].name) == ("border-crossing", "passport")
    assert len({service.rto_s for service in serving}) == len(serving)
    assert all(service.rto_s <= by_rto[0].rto_s for service in supporting)
    assert all(service.after == {"identity", "time"} for service in serving)


def test_no_address_is_real_and_none_is_shared(estate: Estate) -> None:
    every = addresses(estate)
    assert all(IPv6Address(address) in DOCUMENTATION for address in every)
    assert len(set(every)) == len(every) == 582 + 2 * 14 + 49


def test_a_region_is_one_network(estate: Estate) -> None:
    for region in estate.regions:
        networks = {
            IPv6Network((unit.login.address, 48), strict=False) for office in region.offices for unit in office.units
        }
        assert len(networks) == 1, region.name


def test_every_host_key_is_a_point_of_the_curve_and_stands_once(estate: Estate) -> None:
    keys = host_keys(estate)
    assert all(is_on_curve(key) for key in keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("encoded", "is_point"),
    [
        pytest.param(
            # Source: RFC 8032, section 7.1, test 1.
            bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
            True,
            id="a public key of the RFC",
        ),
        pytest.param((2).to_bytes(32, "little"), False, id="y = 2 has no x"),
        pytest.param((1).to_bytes(32, "little"), True, id="the neutral point"),
        pytest.param((1 + 2**255).to_bytes(32, "little"), False, id="x = 0 with a sign"),
        pytest.param((2**255 - 18).to_bytes(32, "little"), False, id="y not reduced"),
        pytest.param(bytes(31), False, id="31 bytes"),
    ],
)
def test_a_point_is_told_from_bytes_that_are_none(encoded: bytes, is_point: bool) -> None:
    assert is_curve_point(encoded) is is_point


def test_a_name_has_its_own_host_key_and_keeps_it() -> None:
    assert host_key("kanim-medan-passport") != host_key("kanim-medan-passport-2")
    assert host_key("example") == ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIY8MaNK98TmUWqqg7DZ900an8kbq8lnkCgcQBhVuZHK")


def test_the_trust_anchors_are_small_and_hold_certificates_only(estate: Estate) -> None:
    assert estate.trust_anchors.count("-----BEGIN ") == estate.trust_anchors.count("BEGIN CERTIFICATE") == 2
    assert len(estate.trust_anchors) < 2048


def test_the_tracked_files_are_what_the_generator_makes(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_a_check_names_what_differs_and_a_run_puts_it_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main([], tmp_path) == 0
    (tmp_path / "services.yaml").write_bytes((tmp_path / "services.yaml").read_bytes() + b"\n")
    (tmp_path / "regions" / "eropa.yaml").unlink()
    (tmp_path / "regions" / "atlantis.yaml").write_bytes(b"region: atlantis\n")
    assert generate.main(["--check"], tmp_path) == 1
    named = {Path(line.split(": ", 1)[1]).name for line in capsys.readouterr().err.splitlines()}
    assert named == {"services.yaml", "eropa.yaml", "atlantis.yaml"}
    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0
    assert not (tmp_path / "regions" / "atlantis.yaml").exists()


def test_a_new_office_changes_no_other(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    known = build.places()
    fresh = Place(
        kind="ulp",
        name="ULP Baru",
        city="Aceh Jaya",
        area="Aceh",
        country="ID",
        time_zone="Asia/Jakarta",
    )
    monkeypatch.setattr(build, "places", lambda: (known[0], fresh, *known[1:]))
    grown = build.shipped_estate(ESTATE, ESTATE)
    before = {unit.name: (office.name, unit) for _, office, unit in estate.places()}
    after = {unit.name: (office.name, unit) for _, office, unit in grown.places()}
    assert after.pop(UnitName("ulp-baru-passport"))[0] == "ulp-baru"
    assert after == before
    assert offices(grown).keys() - offices(estate).keys() == {"ULP Baru"}


def test_two_names_at_one_address_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="one and two hash to the same address 2001:db8::1"):
        refuse_shared([("one", "2001:db8::1"), ("two", "2001:db8::1")])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "ULP Medan", "area": "Atlantis"}, "ULP Medan: Atlantis is in 0 regions"),
        ({"name": "MPP Atlantis", "kind": "mpp", "area": "Aceh"}, "does not say who runs it"),
        ({"name": "TPI PLBN Belawan", "kind": "tpi", "area": "Aceh"}, "two offices the name tpi-belawan"),
    ],
)
def test_a_row_that_fits_no_rule_is_refused_by_name(
    change: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = build.places()
    row = {"kind": "ulp", "name": "", "city": "", "area": "", "country": "ID", "time_zone": "Asia/Jakarta"}
    monkeypatch.setattr(build, "places", lambda: (*known, Place(**row | change)))
    with pytest.raises(ValueError, match=sentence):
        build.shipped_estate(ESTATE, ESTATE)


def test_the_worked_example_is_a_sound_estate_of_two_offices() -> None:
    example = load(EXAMPLE)
    assert not example.illustrative
    assert not example.practice
    assert [office.title for region in example.regions for office in region.offices] == [
        'Border post "Three Rivers" (Tři řeky)',
        'Mall "U Nádraží", 2nd floor — passports while you wait',
    ]
    assert set(example.bastions) == {"agency", "city"} == {office.bastion for office in offices(example).values()}
    assert [unit.name for _, _, unit in example.places()] == [
        "three-rivers-border-crossing",
        "three-rivers-passport",
        "market-mall-passport",
    ]
    assert len(example.endpoint) == 2 * len(example.services)
    assert all(is_on_curve(key) for key in host_keys(example))


@pytest.mark.parametrize("folder", [ESTATE, EXAMPLE], ids=["shipped", "two offices"])
def test_every_unit_and_endpoint_renders_to_a_bundle_of_its_own(folder: Path) -> None:
    declared = load(folder)
    renderer = Renderer(declared, Templates.load(declared.templates))
    bundles = [renderer.unit(*place) for place in declared.places()]
    bundles += [renderer.endpoint(endpoint) for endpoint in declared.endpoint.values()]
    assert len({bundle.digest for bundle in bundles}) == len(bundles) >= 11
