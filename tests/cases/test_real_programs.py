"""nginx, chronyd and nft accept what is rendered, one case a kind, run by an account that isn't root."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recovery.model.bundle import Bundle
from recovery.model.estate import Endpoint, Estate, ServiceName, Unit
from recovery.render import Renderer, Templates
from tests.certificates import Authority
from tests.places import KINDS, PDNS, TEMPLATES, an_estate
from tests.release import Release, folder, free_ports
from tests.tools import need, need_namespaces

AUTHORITY = Authority("Practice root")
HOSTS = [*KINDS, "passport-pdns-2", "time-pdns-2"]
"""Units by their service, and hosts of endpoints by their name."""

NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 to 1970. Source: RFC 5905, section 6."""


@pytest.fixture
def root() -> Iterator[Path]:
    need("nginx", "chronyd", "nft")
    need_namespaces()
    with folder() as path:
        yield path


def estate_at(root: Path, *, bastion: bool = True) -> Estate:
    """Return an estate whose hosts are `root`; what is listened on is on loopback, what is talked to stays as it is."""
    port = free_ports(1)[0]

    def unit(one: Unit) -> Unit:
        return dataclasses.replace(one, root=str(root), gateway_port=port)

    def endpoint(one: Endpoint) -> Endpoint:
        return dataclasses.replace(one, root=str(root), port=port)

    return an_estate(bastion=bastion, trust_anchors=AUTHORITY.pem * 2, unit=unit, endpoint=endpoint)


def bundle_of(estate: Estate, host: str) -> Bundle:
    renderer = Renderer(estate, Templates.load(TEMPLATES))
    for place in estate.places():
        if place[2].service == host:
            return renderer.unit(*place)
    endpoint = estate.endpoint[ServiceName(host.removesuffix("-pdns-2")), PDNS]
    return renderer.endpoint(dataclasses.replace(endpoint, address="127.0.0.1"))


def release_of(root: Path, host: str, *, bastion: bool = True) -> Release:
    AUTHORITY.issue(host, root / "private", is_server=host not in KINDS)
    release = Release(root, bundle_of(estate_at(root, bastion=bastion), host))
    # nft wants root: here that of a namespace, on a unit sudo's.
    release.stand_in("sudo", '[ "$1" = -n ] && shift && exec unshare --map-root-user --net "$@"')
    return release


def ask_the_time(port: int) -> bytes:
    """Send an NTP version 4 request to a server that may still be starting; return its answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        for _ in range(25):
            client.sendto(b"\x23" + bytes(47), ("127.0.0.1", port))
            try:
                return client.recv(100)
            except (TimeoutError, ConnectionRefusedError):
                time.sleep(0.05)
    raise AssertionError("chronyd does not answer")


@pytest.mark.parametrize("bastion", [True, False])
@pytest.mark.parametrize("host", HOSTS)
def test_the_real_programs_accept_a_release(root: Path, host: str, bastion: bool) -> None:
    done = release_of(root, host, bastion=bastion).run("/bin/sh", "unit/validate")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("gateway/nginx.conf", "keepalive 4;", "keepalvie 4;", 'unknown directive "keepalvie"'),
        ("gateway/trust-anchors.pem", "MII", "MMM", "trust-anchors.pem"),
        ("time/chrony.conf", "makestep", "makestpe", "Invalid directive"),
        ("egress/egress.nft", "policy drop", "policy dorp", "syntax error"),
        ("egress/egress.nft", "tcp dport", "tcp dprot", "syntax error"),
    ],
)
def test_the_real_programs_refuse_a_damaged_release(root: Path, file: str, old: str, new: str, complaint: str) -> None:
    release = release_of(root, "passport")
    path = root / "current" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    done = release.run("/bin/sh", "unit/validate")
    assert done.returncode != 0
    assert complaint in done.stderr


def test_a_key_that_is_not_the_certificates_is_refused(root: Path) -> None:
    release = release_of(root, "passport")
    AUTHORITY.issue("passport", root / "other", is_server=False)
    (root / "private" / "tls.key").write_bytes((root / "other" / "tls.key").read_bytes())
    done = release.run("/bin/sh", "unit/validate")
    assert done.returncode != 0
    assert "key values mismatch" in done.stderr


def test_the_checks_write_nowhere_but_in_the_run_folder(root: Path) -> None:
    release = release_of(root, "passport")
    before = set(root.rglob("*"))
    assert release.run("/bin/sh", "unit/validate").returncode == 0
    after = set(root.rglob("*"))
    assert {path.relative_to(root).parts[0] for path in after - before} == {"run"}


def test_busybox_runs_the_scripts_as_dash_does(root: Path) -> None:
    need("busybox")
    done = release_of(root, "passport").run("busybox", "sh", "unit/validate")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_time_services_host_answers_with_the_time(root: Path) -> None:
    release = release_of(root, "time-pdns-2")
    conf = root / "current" / "time" / "chrony.conf"
    port = int(next(line.split()[1] for line in conf.read_text().splitlines() if line.startswith("port ")))
    # As docs/unit.md starts it, but for -x: it must not touch this machine's clock.
    server = release.start("chronyd", "-n", "-U", "-x", "-f", str(conf))
    try:
        answer = ask_the_time(port)
    finally:
        server.terminate()
        complaints = server.communicate(timeout=5)[1]
    assert complaints == ""
    seconds = int.from_bytes(answer[40:44]) - NTP_EPOCH_S
    assert answer[0] & 0b111 == 4, "the mode of a server's answer"
    assert abs(seconds - time.time()) < 5
