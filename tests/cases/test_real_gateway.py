"""A transaction through a real nginx gateway, over mutual TLS, to a real endpoint's nginx and an application behind it.

All of it is what the shipped templates make; certificates, ports and the application are the test's.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recovery.model.bundle import Bundle
from recovery.model.estate import DataCentreName, Endpoint, Estate, Placement, ServiceName, Unit
from recovery.render import Renderer, Templates
from tests.certificates import Authority
from tests.places import CLOUD, PDNS, TEMPLATES, an_estate
from tests.release import Release, folder, free_ports
from tests.tools import PATH, need

LOADED = Templates.load(TEMPLATES)
AUTHORITY, STRANGER = Authority("Practice root"), Authority("Stranger")
UNIT = "passport-soekarno-hatta"
(RELOAD,) = re.findall(r"```sh\n(.*?)```", (TEMPLATES.parent / "docs" / "unit.md").read_text(), re.DOTALL)
"""The script that docs/unit.md gives to whoever sets up a unit."""


class Application(ThreadingHTTPServer):
    """A service's application: answers the probe and remembers what it was asked.

    Attributes:
        data_centre: Where it says it is.
        seen: Path and headers (names in lower case) of each request.
    """

    daemon_threads = True

    def __init__(self, service: str, data_centre: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service
        self.data_centre = data_centre
        self.seen: list[tuple[str, Mapping[str, str]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Application  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.path, headers))
        nonce = headers.get("x-pulih-nonce", "")
        line = f"pulih-probe/1 data-centre={self.server.data_centre} service={self.server.service} nonce={nonce}\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(line)))
        self.end_headers()
        self.wfile.write(line.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
        pass


@dataclasses.dataclass
class World:
    """Endpoints of two services and data centres that run, and an estate that knows where.

    Attributes:
        applications: By the name of the endpoint in front of them.
    """

    folder: Path
    estate: Estate
    applications: Mapping[str, Application]
    endpoints: Mapping[str, Release]

    @property
    def service(self) -> Application:
        return self.applications["passport-cloud-1"]

    def bundle(self, root: Path, placed: DataCentreName = CLOUD) -> Bundle:
        """Render the passport unit that stands at `root`."""
        default = {**self.estate.placement.default, ServiceName("passport"): placed}
        estate = dataclasses.replace(self.estate, placement=Placement(default=default, regional={}))
        region, office, unit = next(place for place in estate.places() if place[2].service == "passport")
        return Renderer(estate, LOADED).unit(region, office, dataclasses.replace(unit, root=str(root)))

    @property
    def port(self) -> int:
        return next(self.estate.places())[2].gateway_port

    @contextmanager
    def gateway(
        self, name: str, *, authority: Authority = AUTHORITY
    ) -> Generator[tuple[Release, subprocess.Popen[str]]]:
        """Run the passport unit's gateway with a certificate of its own."""
        root = self.folder / name
        authority.issue(UNIT, root / "private", is_server=False)
        release = Release(root, self.bundle(root))
        with release.gateway("127.0.0.1", self.port) as process:
            yield release, process


@pytest.fixture(scope="module", params=["127.0.0.1", "::1"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    need("nginx", "curl")
    address = str(request.param)
    names = ("passport-cloud-1", "passport-pdns-2", "identity-cloud-1")
    with ExitStack() as stack:
        where = stack.enter_context(folder())
        applications: dict[str, Application] = {}
        for name in names:
            service, data_centre = name.split("-", 1)
            application = applications[name] = Application(service, data_centre)
            threading.Thread(target=application.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(application.server_close)
            stack.callback(application.shutdown)
        ports: dict[str, int] = dict(zip(("gateway", *names), free_ports(4), strict=True))

        def endpoint(one: Endpoint) -> Endpoint:
            if one.name not in names:
                return one
            app_port = applications[one.name].server_port
            return dataclasses.replace(
                one, address=address, port=ports[one.name], app_port=app_port, root=str(where / one.name)
            )

        def unit(one: Unit) -> Unit:
            return dataclasses.replace(one, gateway_port=ports["gateway"])

        estate = an_estate(placed=CLOUD, trust_anchors=AUTHORITY.pem, endpoint=endpoint, unit=unit)
        renderer = Renderer(estate, LOADED)
        endpoints: dict[str, Release] = {}
        for one in estate.endpoint.values():
            if one.name in names:
                AUTHORITY.issue(one.name, Path(one.root) / "private", is_server=True)
                endpoints[one.name] = Release(Path(one.root), renderer.endpoint(one))
                stack.enter_context(endpoints[one.name].gateway(address, one.port))
        yield World(where, estate, applications, endpoints)


@pytest.fixture(scope="module")
def gateway(world: World) -> Iterator[Release]:
    with world.gateway("unit") as (release, _):
        yield release


def probe(release: Release, nonce: str = "n-1") -> subprocess.CompletedProcess[str]:
    return release.run("/bin/sh", "unit/probe", nonce)


def curl(*arguments: str) -> str:
    command = ["curl", "--silent", "--show-error", "--max-time", "5", "--noproxy", "*", *arguments]
    return subprocess.run(command, env={"PATH": PATH}, capture_output=True, text=True, timeout=10).stdout


def test_the_probe_comes_back_from_the_application_with_its_nonce(world: World, gateway: Release) -> None:
    done = probe(gateway, "n-4711")
    assert done.stdout == "pulih-probe/1 data-centre=cloud-1 service=passport nonce=n-4711\n"
    assert (done.returncode, done.stderr) == (0, "")
    path, headers = world.service.seen[-1]
    assert (path, headers["x-pulih-nonce"], headers["x-pulih-client"]) == ("/pulih/probe", "n-4711", f"CN={UNIT}")


def test_the_wrong_data_centres_answer_fails(world: World, gateway: Release) -> None:
    world.service.data_centre = "pdns-2"
    try:
        done = probe(gateway)
    finally:
        world.service.data_centre = "cloud-1"
    assert done.returncode == 1
    assert done.stdout == "pulih-probe/1 data-centre=pdns-2 service=passport nonce=n-1\n"
    assert done.stderr == "expected pulih-probe/1 data-centre=cloud-1 service=passport nonce=n-1\n"


def test_a_probe_without_a_nonce_asks_nobody(world: World, gateway: Release) -> None:
    before = len(world.service.seen)
    assert gateway.run("/bin/sh", "unit/probe").returncode != 0
    assert len(world.service.seen) == before


@pytest.mark.usefixtures("gateway")
def test_a_probe_writes_nothing(world: World) -> None:
    url = f"http://127.0.0.1:{world.port}/pulih/probe"
    before = len(world.service.seen)
    assert "403 Forbidden" in curl("--request", "POST", "--data", "x", url)
    assert len(world.service.seen) == before


def test_the_endpoint_hears_nobody_without_a_certificate(world: World, gateway: Release) -> None:
    release = world.endpoints["passport-cloud-1"]
    command = (release.root / "current" / "unit" / "probe").read_text()
    anonymous = re.sub(r"--cert \S+ --key \S+ ", "--no-fail ", command)
    assert anonymous != command
    before = len(world.service.seen)
    (gateway.root / "anonymous").write_text(anonymous)
    done = release.run("/bin/sh", str(gateway.root / "anonymous"), "n-1")
    assert done.returncode != 0
    assert "No required SSL certificate was sent" in done.stdout
    assert len(world.service.seen) == before


def test_an_endpoint_proves_itself_through_its_own_front_door(world: World) -> None:
    done = probe(world.endpoints["identity-cloud-1"], "n-2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "pulih-probe/1 data-centre=cloud-1 service=identity nonce=n-2\n"


@pytest.mark.usefixtures("gateway")
def test_identity_is_asked_at_its_own_endpoint(world: World) -> None:
    answer = curl("--header", "X-Pulih-Client: CN=somebody", f"http://127.0.0.1:{world.port}/identity/who?card=7")
    assert "service=identity" in answer
    path, headers = world.applications["identity-cloud-1"].seen[-1]
    assert (path, headers["x-pulih-client"]) == ("/who?card=7", f"CN={UNIT}")


@pytest.fixture
def other_port(world: World) -> World:
    """Return the same world for a second gateway, on a port of its own."""
    (port,) = free_ports(1)
    region = world.estate.regions[0]
    office = region.offices[0]
    units = tuple(dataclasses.replace(unit, gateway_port=port) for unit in office.units)
    region = dataclasses.replace(region, offices=(dataclasses.replace(office, units=units),))
    return dataclasses.replace(world, estate=dataclasses.replace(world.estate, regions=(region,)))


def test_a_unit_with_a_strangers_certificate_is_not_heard(other_port: World) -> None:
    before = len(other_port.service.seen)
    with other_port.gateway("stranger", authority=STRANGER) as (release, _):
        done = probe(release)
    assert done.returncode != 0
    assert "400" in done.stderr
    assert len(other_port.service.seen) == before


@pytest.mark.parametrize(
    ("trust_anchors", "name", "reason"),
    [
        (STRANGER.pem, "passport-cloud-1", "upstream SSL certificate verify error"),
        (AUTHORITY.pem, "passport-elsewhere", "upstream SSL certificate does not match"),
    ],
)
def test_a_gateway_talks_to_no_endpoint_it_does_not_trust(
    other_port: World, trust_anchors: str, name: str, reason: str
) -> None:
    estate = dataclasses.replace(other_port.estate, trust_anchors=trust_anchors)
    wrong = dataclasses.replace(other_port, estate=estate)
    before = len(wrong.service.seen)
    root = wrong.folder / f"suspicious-{name}"
    AUTHORITY.issue(UNIT, root / "private", is_server=False)
    release = Release(root, wrong.bundle(root))
    conf = root / "current" / "gateway" / "nginx.conf"
    conf.write_text(conf.read_text().replace("proxy_ssl_name passport-cloud-1", f"proxy_ssl_name {name}"))
    with release.gateway("127.0.0.1", wrong.port) as process:
        done = probe(release)
        process.terminate()
        log = process.communicate(timeout=5)[1]
    assert done.returncode != 0
    assert "502" in done.stderr
    assert reason in log
    assert len(wrong.service.seen) == before


def test_after_the_documented_reload_only_the_new_configuration_answers(other_port: World) -> None:
    with other_port.gateway("moved") as (release, process):

        def reload(script: str) -> subprocess.CompletedProcess[str]:
            (release.root / "reload-gateway").write_text(script)
            return release.run("/bin/sh", str(release.root / "reload-gateway"), str(process.pid))

        for placed in (PDNS, CLOUD, PDNS):
            release.swap(other_port.bundle(release.root, placed))
            assert reload(RELOAD).returncode == 0
            done = probe(release)
            assert (done.returncode, done.stderr) == (0, ""), placed
        (release.root / "current" / "gateway" / "trust-anchors.pem").write_text("damaged")
        refused = reload(RELOAD.replace("-lt 50", "-lt 3"))
        assert refused.returncode == 1
        assert refused.stderr == "nginx kept its old configuration; its log says why\n"
        assert probe(release).returncode == 0, "the old configuration still serves"
