"""What the lab process is told at its start, over its stdin: private keys stay out of files and command lines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSetup:
    """What an endpoint's host serves.

    Attributes:
        socket: File descriptor of a socket bound to the endpoint's address and port.
        app_port: Loopback TCP port of the application.
    """

    data_centre: str
    name: str
    address: str
    port: int
    app_port: int
    socket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSetup:
    """One SSH host.

    Attributes:
        office: The office whose line it hangs on; None for an endpoint's host.
        root: Its folder.
        key: Its private host key in OpenSSH's format.
        socket: File descriptor of a socket bound to its SSH address and port.
        service: None for a unit.
    """

    name: str
    office: str | None
    root: str
    key: str
    socket: int
    service: ServiceSetup | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All that the lab process is told.

    Attributes:
        user: The account that may log in.
        client_key: OpenSSH public key line of the key that may log in.
        card: What `lab.json` says beside the process number, as JSON.
        hosts: Units, then the endpoints' hosts.
    """

    user: str
    client_key: str
    card: str
    hosts: tuple[HostSetup, ...]

    def to_json(self) -> str:
        """Return it as it goes to the process."""
        return json.dumps(asdict(self))

    @staticmethod
    def read(text: str) -> Setup:
        """Return what `to_json` wrote."""
        told = json.loads(text)
        hosts: list[HostSetup] = []
        for host in told.pop("hosts"):
            service = host.pop("service")
            hosts.append(HostSetup(**host, service=None if service is None else ServiceSetup(**service)))
        return Setup(**told, hosts=tuple(hosts))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are in a lab's folder."""

    folder: Path

    @property
    def estate(self) -> Path:
        """The practice estate."""
        return self.folder / "estate"

    @property
    def keys(self) -> Path:
        """The key pair that may log in."""
        return self.folder / "keys"

    @property
    def units(self) -> Path:
        """One folder a unit, its root."""
        return self.folder / "units"

    @property
    def endpoints(self) -> Path:
        """One folder an endpoint's host, its root."""
        return self.folder / "endpoints"

    @property
    def stand_ins(self) -> Path:
        """The programs that sessions find before the system's."""
        return self.folder / "stand-ins"

    @property
    def erased(self) -> Path:
        """What units have lost, until it is removed."""
        return self.folder / "erased"

    @property
    def citizens(self) -> Path:
        """Mirrors that citizens' apps read, and the keys that sign what lies there."""
        return self.folder / "citizens"

    @property
    def card(self) -> Path:
        """`lab.json`: who and where everything is."""
        return self.folder / "lab.json"

    @property
    def log(self) -> Path:
        """What the lab process has to tell."""
        return self.folder / "lab.log"

    @property
    def lock(self) -> Path:
        """Locked (flock) as long as a process of the lab lives."""
        return self.folder / "lab.lock"

    @property
    def control(self) -> Path:
        """Unix socket on which the running lab takes orders."""
        return self.folder / "lab.sock"

    @property
    def history(self) -> Path:
        """Runs and leases of the practice estate, which pulih keeps beside it."""
        return self.folder / ".pulih"

    def made_by_up(self) -> tuple[Path, ...]:
        """Return what `up` makes, apart from the lock."""
        return (
            self.estate,
            self.keys,
            self.units,
            self.endpoints,
            self.stand_ins,
            self.erased,
            self.citizens,
            self.card,
            self.log,
            self.control,
        )
