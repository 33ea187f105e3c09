"""New hosts for a lab: a folder, a host key and bound sockets each."""

from __future__ import annotations

import fcntl
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from recovery.lab.practice import ADDRESS, Place
from recovery.lab.setup import HostSetup, ServiceSetup
from recovery.model.estate import Endpoint, HostKey, OfficeName, UnitName

FIRST_DESCRIPTOR = 16
"""What is handed to the lab process gets descriptors from here on: 0 to 9 mean something in a session's shell."""


@dataclass(slots=True, kw_only=True)
class FreshHost:
    """One SSH host, before the lab process has it.

    Attributes:
        office: Where it stands; None for an endpoint's.
        socket: Bound to its SSH port.
        endpoint: What it serves; None for a unit.
        service: Bound to the endpoint's port; None for a unit.
    """

    name: UnitName
    office: OfficeName | None
    root: Path
    key: Ed25519PrivateKey
    socket: socket.socket
    endpoint: Endpoint | None
    service: socket.socket | None

    @staticmethod
    def make(
        name: UnitName, folder: Path, *, office: OfficeName | None = None, endpoint: Endpoint | None = None
    ) -> FreshHost:
        """Make a host whose root is in a folder."""
        root = folder / name
        # What stands on every unit before pulih comes: the folders of keys and of running programs.
        (root / "private").mkdir(parents=True)
        (root / "private").chmod(0o700)
        (root / "run").mkdir()
        return FreshHost(
            name=name,
            office=office,
            root=root,
            key=Ed25519PrivateKey.generate(),
            socket=_bound(),
            endpoint=endpoint,
            service=None if endpoint is None else _bound(),
        )

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """Its sockets."""
        return (self.socket,) if self.service is None else (self.socket, self.service)

    def place(self) -> Place:
        """Return what the estate says of it."""
        return Place(
            port=_port(self.socket),
            host_key=HostKey(_public(self.key)),
            root=self.root,
            service_port=None if self.service is None else _port(self.service),
        )

    def setup(self) -> HostSetup:
        """Return what the lab process is told of it."""
        service = None
        if self.endpoint is not None and self.service is not None:
            service = ServiceSetup(
                data_centre=self.endpoint.data_centre,
                name=self.endpoint.service,
                address=ADDRESS,
                port=_port(self.service),
                app_port=self.endpoint.app_port,
                socket=self.service.fileno(),
            )
        return HostSetup(
            name=self.name,
            office=self.office,
            root=str(self.root),
            key=_private(self.key),
            socket=self.socket.fileno(),
            service=service,
        )


def make_client_key(folder: Path) -> str:
    """Make the key pair that may log in, `client` and `client.pub`, and return its public half."""
    folder.mkdir(mode=0o700)
    key = Ed25519PrivateKey.generate()
    for name, mode, text in (("client", 0o600, _private(key)), ("client.pub", 0o644, _public(key) + " lab\n")):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
    return _public(key)


def _bound() -> socket.socket:
    """Return a socket bound to a free port, which stays its own while it does not listen, too.

    Linux takes a port that it chose itself away from a socket that stops listening, and leaves one that was asked for
    (`SOCK_BINDPORT_LOCK`; seen with Linux 6.18). So one socket finds a port, and a second asks for that one.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as finder, socket.socket() as first:
        finder.bind((ADDRESS, 0))
        bound = socket.socket(fileno=fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR))
        for one in (finder, bound):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(finder.getsockname())
    return bound


def _port(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _private(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
