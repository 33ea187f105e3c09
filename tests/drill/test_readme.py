"""The README's recovery with an estate of one's own, line by line, against real SSH servers through real bastions."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recovery import declared
from recovery.model.estate import DataCentre, Endpoint, Estate, Office, Unit
from tests.ssh.sshd import SshServers
from tests.tools import need

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

CURL = """\
#!{python} -IS
# Answers for the data centre that the unit's own configuration names, as a gateway that reaches it would.
import json, sys
nonce = next(word.split(": ")[1] for word in sys.argv if word.startswith("X-Pulih-Nonce: "))
if "--connect-to" in sys.argv:
    service, _, centre = sys.argv[sys.argv.index("--connect-to") + 1].split(":")[0].rpartition("-")
else:
    with open("counter/settings.json") as file:
        found = json.load(file)["service"]
    service, centre = found["name"], found["data_centre"]
print(f"pulih-probe/1 data-centre={{centre}} service={{service}} nonce={{nonce}}")
"""
STAND_INS = {
    "sudo": '#!/bin/sh\nshift\nexec "$@"\n',
    "systemctl": "#!/bin/sh\nexit 0\n",
    "nginx": "#!/bin/sh\ntest -s gateway/nginx.conf\n",
    "nft": "#!/bin/sh\ntest -s egress/egress.nft\n",
    "chronyd": "#!/bin/sh\ntest -s time/chrony.conf\n",
    "curl": CURL.format(python=sys.executable),
}


def commands() -> list[str]:
    """Return the commands of the README's block that begins with the virtualenv."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.S)
    block = next(block for block in blocks if "activate" in block)
    return [shlex.join(shlex.split(line, comments=True)) for line in block.splitlines()]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Start every host of the example, write its estate with their addresses, and return the environment to work in."""
    need("sshd")
    example = declared.load(ROOT / "examples" / "two-offices")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in STAND_INS.items():
        (programs / name).write_text(text)
        (programs / name).chmod(stat.S_IRWXU)
    names = [unit.name for _, _, unit in example.places()]
    names += [endpoint.name for endpoint in example.endpoint.values()]
    names += [str(bastion) for bastion in example.bastions]
    with SshServers(tmp_path / "servers", names, programs=programs) as servers:
        estate = on_loopback(example, servers, tmp_path / "units")
        (tmp_path / "examples").mkdir()
        declared.write(estate, tmp_path / "examples" / "two-offices")
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PULIH_SSH_KEY": str(servers.key_file),
            "PULIH_ESTATE": "my-estate",
        }
        yield environment


def on_loopback(estate: Estate, servers: SshServers, units: Path) -> Estate:
    def unit(declared_unit: Unit) -> Unit:
        name = declared_unit.name
        return replace(declared_unit, login=servers.login(name), root=str(units / name))

    def endpoint(declared_endpoint: Endpoint) -> Endpoint:
        name = declared_endpoint.name
        return replace(declared_endpoint, login=servers.login(name), root=str(units / name))

    def office(declared_office: Office) -> Office:
        return replace(declared_office, units=tuple(map(unit, declared_office.units)))

    def centre(declared_centre: DataCentre) -> DataCentre:
        return replace(declared_centre, endpoints=tuple(map(endpoint, declared_centre.endpoints)))

    return replace(
        estate,
        bastions={name: replace(bastion, login=servers.login(str(name))) for name, bastion in estate.bastions.items()},
        regions=tuple(replace(region, offices=tuple(map(office, region.offices))) for region in estate.regions),
        data_centres=tuple(map(centre, estate.data_centres)),
    )


def test_the_readme_works_as_it_is_typed(tmp_path: Path, hosts: dict[str, str]) -> None:
    typed = commands()
    assert typed[0] == ". .venv/bin/activate"
    assert typed[2] == "export PULIH_ESTATE=my-estate"
    said: dict[str, str] = {}
    for line in (typed[1], *typed[3:]):
        done = subprocess.run(shlex.split(line), cwd=tmp_path, env=hosts, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{line}: {done.stdout}\n{done.stderr}"
        said[shlex.split(line)[1]] = done.stdout
    assert "3 units" in said["validate"]
    assert "0 different" in said["drift"]
    assert "3 of 3 units verified at standby" in said["recover"]
    assert "recover" in said["runs"]
    placement = (tmp_path / "my-estate" / "placement.yaml").read_text()
    assert "passport: standby" in placement
    settings = tmp_path / "units" / "three-rivers-passport" / "current" / "counter" / "settings.json"
    assert 'Border post \\"Three Rivers\\" (Tři řeky)' in settings.read_text()


def test_every_verb_that_the_readme_names_exists() -> None:
    helped = subprocess.run(
        [sys.executable, "-m", "recovery.cli.main", "--help"], capture_output=True, text=True, timeout=30
    ).stdout
    for verb in set(re.findall(r"`pulih ([a-z]+)", README)):
        assert re.search(rf"^  {verb}\b", helped, flags=re.M), verb
