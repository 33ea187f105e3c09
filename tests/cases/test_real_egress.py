"""A rendered egress list, loaded into the real kernel: who gets through, and who doesn't."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recovery.model.estate import Endpoint, Estate, ServiceName
from recovery.render import Renderer, Templates
from tests.places import CLOUD, TEMPLATES, an_estate, login
from tests.tools import PATH, need, need_namespaces

ADDRESSES = {"passport": "fd00::2", "identity": "10.9.0.3", "time": "fd00::4"}
BASTION, STRANGER = "10.9.0.5", "10.9.0.6"
UNIT = ["10.9.0.1", "fd00::1"]


def estate_with(*, bastion: bool) -> Estate:
    def endpoint(one: Endpoint) -> Endpoint:
        return dataclasses.replace(one, address=ADDRESSES.get(one.service, one.address))

    estate = an_estate(placed=CLOUD, bastion=bastion, endpoint=endpoint)
    bastions = {name: dataclasses.replace(one, login=login(BASTION)) for name, one in estate.bastions.items()}
    return dataclasses.replace(estate, bastions=bastions)


def tried(rules: str, outside: list[tuple[str, str, int]], unit_ports: list[int]) -> dict[str, bool]:
    """Try everything from the unit to `outside` and back, under these rules."""
    need("nft", "ip")
    need_namespaces()
    plan = {
        "rules": rules,
        "unit": UNIT,
        "unit_ports": unit_ports,
        "log_in": [BASTION, "22"],
        "outside": [[kind, address, str(port)] for kind, address, port in outside],
    }
    command = ["unshare", "--map-root-user", "--net", sys.executable, str(Path(__file__).parent / "egress_world.py")]
    done = subprocess.run(
        command, input=json.dumps(plan), env={**os.environ, "PATH": PATH}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rules_of(estate: Estate, *, host: bool = False) -> str:
    renderer = Renderer(estate, Templates.load(TEMPLATES))
    if host:
        endpoint = estate.endpoint[ServiceName("time"), CLOUD]
        bundle = renderer.endpoint(dataclasses.replace(endpoint, address=UNIT[1]))
    else:
        bundle = renderer.unit(*next(place for place in estate.places() if place[2].service == "passport"))
    return next(file.content for file in bundle.files if file.path == "egress/egress.nft").decode()


@pytest.mark.parametrize("bastion", [True, False])
def test_a_unit_hears_ssh_and_talks_to_its_endpoints_and_nobody_else(bastion: bool) -> None:
    found = tried(
        rules_of(estate_with(bastion=bastion)),
        [
            ("tcp", ADDRESSES["passport"], 8443),
            ("tcp", ADDRESSES["identity"], 8443),
            ("udp", ADDRESSES["time"], 123),
            ("tcp", ADDRESSES["passport"], 22),
            ("udp", ADDRESSES["identity"], 123),
            ("tcp", STRANGER, 8443),
            ("udp", STRANGER, 53),
            ("from", BASTION, 0),
        ],
        [22, 80],
    )
    allowed = {name for name, went_through in found.items() if went_through}
    expected = {
        "the session older",
        "the session reloaded",
        "replaced whole",
        "loopback",
        "out tcp fd00::2 8443",
        "out tcp 10.9.0.3 8443",
        "out udp fd00::4 123",
        f"in {BASTION} 22",
    }
    if not bastion:
        expected |= {f"in {address} 22" for address in (*ADDRESSES.values(), STRANGER)}
    assert allowed == expected


def test_the_time_services_host_serves_offices_and_asks_only_identity() -> None:
    found = tried(
        rules_of(estate_with(bastion=True), host=True),
        [("tcp", ADDRESSES["identity"], 8443), ("tcp", STRANGER, 8443), ("from", BASTION, 0), ("from", "fd00::6", 0)],
        [22, 123],
    )
    allowed = {name for name, went_through in found.items() if went_through}
    assert allowed == {
        "the session older",
        "the session reloaded",
        "replaced whole",
        "loopback",
        "out tcp 10.9.0.3 8443",
        f"in {BASTION} 22",
        "in fd00::6 123",
    }


def test_without_the_rule_for_replies_the_first_load_would_cut_the_session_it_came_by() -> None:
    lines = rules_of(estate_with(bastion=True)).splitlines(keepends=True)
    rules = "".join(line for line in lines if "tcp sport 22" not in line)
    found = tried(rules, [("from", BASTION, 0)], [22])
    assert found["the session older"] is False
    assert found[f"in {BASTION} 22"] is True
