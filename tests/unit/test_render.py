"""What a unit's bundle holds, and that the same declaration makes the same bytes everywhere."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recovery.errors import DeclarationError
from recovery.model.bundle import Bundle
from recovery.model.estate import DataCentreName, Estate, LinkName, Placement, RegionName, ServiceName
from recovery.render import Renderer, Templates
from tests.places import CLOUD, KINDS, PDNS, TEMPLATES, an_estate

LOADED = Templates.load(TEMPLATES)
ROOT = TEMPLATES.parent


def unit_of(estate: Estate, service: str = "passport", templates: Templates = LOADED) -> Bundle:
    return Renderer(estate, templates).unit(*next(p for p in estate.places() if p[2].service == service))


def endpoint_of(estate: Estate, service: str, data_centre: DataCentreName) -> Bundle:
    return Renderer(estate, LOADED).endpoint(estate.endpoint[ServiceName(service), data_centre])


def text(bundle: Bundle, path: str) -> str:
    return next(file.content for file in bundle.files if file.path == path).decode()


def bundles(estate: Estate) -> list[Bundle]:
    renderer = Renderer(estate, LOADED)
    endpoints = [endpoint for data_centre in estate.data_centres for endpoint in data_centre.endpoints]
    return [renderer.unit(*place) for place in estate.places()] + [renderer.endpoint(e) for e in endpoints]


def test_a_bundle_has_five_to_eight_files_of_at_most_3_kib_and_executable_scripts() -> None:
    for bundle in bundles(an_estate()):
        assert 5 <= len(bundle.files) <= 8
        assert max(len(file.content) for file in bundle.files) <= 3 * 1024
        assert all(file.mode == (0o755 if file.path.startswith("unit/") else 0o644) for file in bundle.files)
        assert {"unit/validate", "unit/reload", "unit/probe"} <= {file.path for file in bundle.files}


def test_a_bundle_holds_no_key_and_names_those_of_the_unit_outside_its_releases() -> None:
    for bundle in bundles(an_estate()):
        everything = b"".join(file.content for file in bundle.files)
        assert b"PRIVATE KEY" not in everything
        assert re.findall(rb"\S+tls\.key", everything)
        assert set(re.findall(rb"[^ ;]+tls\.key", everything)) == {b"/srv/pulih/private/tls.key"}


@pytest.mark.parametrize("service", KINDS)
def test_a_moved_service_changes_what_the_unit_talks_to_and_nothing_it_is(service: str) -> None:
    before, after = unit_of(an_estate(placed=PDNS), service), unit_of(an_estate(placed=CLOUD), service)
    assert before.digest != after.digest
    for bundle, data_centre, other in ((before, "pdns-2", "cloud-1"), (after, "cloud-1", "pdns-2")):
        everything = "".join(file.content.decode() for file in bundle.files)
        assert f"pulih-probe/1 data-centre={data_centre} service={service} nonce=" in text(bundle, "unit/probe")
        assert other not in everything
    assert text(before, "unit/reload") == text(after, "unit/reload")


def test_an_endpoint_takes_nothing_from_the_placement() -> None:
    before, after = an_estate(placed=PDNS), an_estate(placed=CLOUD)
    for service in ("identity", "time", "passport"):
        for data_centre in (PDNS, CLOUD):
            digests = {endpoint_of(estate, service, data_centre).digest for estate in (before, after)}
            assert len(digests) == 1


def test_a_region_placed_elsewhere_is_rendered_for_its_own_data_centre() -> None:
    estate = an_estate(placed=PDNS)
    regional = {(RegionName("jakarta"), ServiceName("passport")): CLOUD}
    moved = dataclasses.replace(estate, placement=Placement(default=estate.placement.default, regional=regional))
    nft = text(unit_of(moved), "egress/egress.nft")
    assert "192.0.2.4 tcp dport 8443" in nft
    assert "2001:db8:1::1 tcp dport 8443" in nft, "identity stays where it is"


@pytest.mark.parametrize(
    ("bastion", "line"),
    [
        (True, 'ip6 saddr 2001:db8:b::1 tcp dport 22 accept comment "ssh from bastion-1"'),
        (False, 'tcp dport 22 accept comment "ssh"'),
    ],
)
def test_ssh_stays_open_from_the_bastion_or_from_anywhere(bastion: bool, line: str) -> None:
    for bundle in bundles(an_estate(bastion=bastion)):
        heard, _, said = text(bundle, "egress/egress.nft").partition("chain output")
        assert [row.strip() for row in heard.splitlines() if "ssh" in row] == [line]
        assert "policy drop" in heard
        assert "policy drop" in said
        assert "ct state established,related accept" in said


def test_ipv6_addresses_stand_in_brackets_where_a_port_follows() -> None:
    assert "server [2001:db8:1::4]:8443;" in text(unit_of(an_estate(placed=PDNS)), "gateway/nginx.conf")
    assert "server 192.0.2.4:8443;" in text(unit_of(an_estate(placed=CLOUD)), "gateway/nginx.conf")
    assert "listen [2001:db8:1::4]:8443 ssl;" in text(endpoint_of(an_estate(), "passport", PDNS), "gateway/nginx.conf")
    assert "server 2001:db8:1::2 port 123 " in text(unit_of(an_estate(placed=PDNS)), "time/chrony.conf")


def test_a_satellite_office_waits_longer_for_a_connection() -> None:
    assert "proxy_connect_timeout 20s" in text(unit_of(an_estate(link=LinkName.SATELLITE)), "gateway/nginx.conf")
    assert "proxy_connect_timeout 20s" not in text(unit_of(an_estate()), "gateway/nginx.conf")


def test_only_the_time_services_host_serves_time() -> None:
    assert "\nallow\n" in text(endpoint_of(an_estate(), "time", CLOUD), "time/chrony.conf")
    assert "udp dport 123 accept" in text(endpoint_of(an_estate(), "time", CLOUD), "egress/egress.nft")
    assert "\nserver 192.0.2.2 port 123 " in text(endpoint_of(an_estate(), "passport", CLOUD), "time/chrony.conf")


def test_an_estate_without_a_time_service_is_told_which_template_needs_it() -> None:
    estate = an_estate()
    default = {name: where for name, where in estate.placement.default.items() if name != "time"}
    estate = dataclasses.replace(estate, placement=Placement(default=default, regional={}))
    with pytest.raises(DeclarationError, match=r"needs for passport-soekarno-hatta what .*'time' is undefined"):
        unit_of(estate)


def test_a_service_whose_kind_has_no_templates_is_named(tmp_path: Path) -> None:
    shutil.copytree(TEMPLATES, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "passport-counter")
    with pytest.raises(
        DeclarationError, match=r"passport-counter/unit\.yaml:1: .*passport-soekarno-hatta is of this kind"
    ):
        unit_of(an_estate(), "passport", Templates.load(tmp_path))


def test_arguments_of_commands_reach_the_shell_as_they_are(tmp_path: Path) -> None:
    shutil.copytree(TEMPLATES, tmp_path, dirs_exist_ok=True)
    unit = tmp_path / "passport-counter" / "unit.yaml"
    odd = """'say', 'it''s; $HOME `id` "x" {{ nonce }}:{{ nonce }}', '{{ nonce }}', 'new
      line'"""
    unit.write_text(unit.read_text().split("probe:")[0] + f"probe:\n  - [printf, '%s|', {odd}]\n")
    script = text(unit_of(an_estate(), "passport", Templates.load(tmp_path)), "unit/probe")
    done = subprocess.run(["/bin/sh", "-s", "n1"], input=script, capture_output=True, text=True, timeout=5)
    assert done.stdout == 'say|it\'s; $HOME `id` "x" n1:n1|n1|new line|\n'
    assert done.returncode == 1
    assert done.stderr == "expected pulih-probe/1 data-centre=pdns-2 service=passport nonce=n1\n"


PRINT_DIGESTS = """
import sys
from recovery import render
from tests.places import TEMPLATES, an_estate
assert render.__file__.startswith(sys.argv[1]), render.__file__
templates = render.Templates.load(TEMPLATES)
estate = an_estate(title="Köln; \\"x\\"")
renderer = render.Renderer(estate, templates)
print(templates.digest)
for place in estate.places():
    print(renderer.unit(*place).digest)
for data_centre in estate.data_centres:
    for endpoint in data_centre.endpoints:
        print(renderer.endpoint(endpoint).digest)
"""


def test_two_checkouts_and_two_hash_seeds_make_the_same_digests(tmp_path: Path) -> None:
    printed: list[str] = []
    # With these two seeds a set of the two supporting services has two orders; templates must see one.
    for seed, folder in (("1", tmp_path / "here"), ("3", tmp_path / "another checkout")):
        for name in ("recovery", "templates"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        settings = folder / "templates" / "passport-counter" / "settings.json.j2"
        settings.write_text(settings.read_text().replace("{\n", '{\n  "after": {{ service.after | tojson }},\n', 1))
        (folder / "tests").mkdir()
        shutil.copy(ROOT / "tests" / "places.py", folder / "tests")
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(folder)}
        command = [sys.executable, "-c", PRINT_DIGESTS, str(folder)]
        printed.append(subprocess.check_output(command, env=environment, cwd=folder, text=True, timeout=60))
    assert printed[0] == printed[1]
    assert printed[0].count("sha256:") == 1 + 3 + 10


def test_rendering_twice_changes_nothing() -> None:
    estate = an_estate()
    renderer = Renderer(estate, LOADED)
    place = next(estate.places())
    assert renderer.unit(*place) == renderer.unit(*place) == Renderer(estate, Templates.load(TEMPLATES)).unit(*place)
