"""The SSH side of the lab: a listener a host with a host key of its own, one key that may log in, commands and no more.

The settings are the cheapest that OpenSSH, paramiko and asyncssh all agree to: 2.4 ms of CPU a connection without its
shell (measured with 582 listeners; each listener adds about 10 KB).
"""

from __future__ import annotations

import logging
import socket
from functools import partial
from pathlib import Path

import asyncssh

from recovery.lab.hosts import Host
from recovery.lab.listener import Listener
from recovery.lab.reaper import end_sessions
from recovery.lab.shell import Ask, Shell, environment
from recovery.lab.sickness import How

log = logging.getLogger("pulih.lab")

_WINDOW_BYTES = 131_072
_LOGIN_WITHIN_S = 30


class Keeper:
    """What the doors share: who may log in, where the stand-ins are and who answers them, which shells run.

    Args:
        user: The only account.
        client_key: OpenSSH public key line of the only key.
        stand_ins: Folder of the stand-ins.
        ask: Answers them.
    """

    def __init__(self, *, user: str, client_key: str, stand_ins: Path, ask: Ask) -> None:
        self.user = user
        self.client_key = asyncssh.import_public_key(client_key).public_data
        self.stand_ins = stand_ins
        self.ask = ask
        self._shells: dict[int, Shell] = {}

    def start(self, host: Host, command: str, channel: asyncssh.SSHServerChannel[bytes]) -> Shell:
        """Start a command at a host."""
        shell = Shell(host, command, environment(host, self.user, self.stand_ins), self.ask, channel)
        self._shells[shell.pid] = shell
        return shell

    def sessions(self, host: Host) -> set[int]:
        """Return the process numbers of the shells that run at a host; each leads a session of its own."""
        return {pid for pid, shell in self._shells.items() if shell.host is host}

    def ended(self, pid: int, status: int) -> None:
        """Take note that a child of the lab has ended; it may be an orphan that the lab adopted."""
        shell = self._shells.pop(pid, None)
        if shell is not None:
            shell.ended(status)


class Door:
    """The SSH server of one host, which behaves as the host's health and its office's line say.

    Args:
        host: The host.
        key: Its host key, an OpenSSH private key.
        bound: The socket it listens at, bound already.
        keeper: What all doors share.
    """

    def __init__(self, host: Host, key: str, bound: socket.socket, keeper: Keeper) -> None:
        self.host = host
        self.keeper = keeper
        self._key = key
        self._listener = Listener(bound)
        self._is_closed = False
        self._connections: set[asyncssh.SSHServerConnection] = set()

    async def settle(self) -> None:
        """Take connections from now on, or refuse them, as the host and its line are now."""
        host = self.host
        if host.sick is How.UNREACHABLE:
            await self._listener.refuse()
            self.cut()
        elif host.line.is_slow:
            await self._listener.take_over(host.line, self._options())
        else:
            await self._listener.take(self._options())

    def _options(self) -> asyncssh.SSHServerConnectionOptions:
        if self.host.sick is How.WRONG_HOST_KEY:
            key = asyncssh.generate_private_key("ssh-ed25519")  # pyright: ignore[reportUnknownMemberType] - its kwargs
        else:
            key = asyncssh.import_private_key(self._key)
        return asyncssh.SSHServerConnectionOptions(
            config=None,
            server_factory=partial(_Server, self),
            server_host_keys=[key],
            kex_algs=["curve25519-sha256", "curve25519-sha256@libssh.org"],
            encryption_algs=["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"],
            mac_algs=["hmac-sha2-256-etm@openssh.com", "hmac-sha2-256"],
            compression_algs=None,
            signature_algs=["ssh-ed25519"],
            x509_trusted_certs=None,
            host_based_auth=False,
            kbdint_auth=False,
            password_auth=False,
            gss_host=None,
            allow_pty=False,
            line_editor=False,
            agent_forwarding=False,
            encoding=None,
            login_timeout=_LOGIN_WITHIN_S,
            window=_WINDOW_BYTES,
        )

    def close(self) -> None:
        """Refuse connections for good, break those there are, kill what runs here."""
        self._is_closed = True
        self._listener.close()
        self.cut()
        sessions = self.keeper.sessions(self.host)
        if sessions:
            end_sessions(sessions)

    @property
    def is_closed(self) -> bool:
        """Whether it refuses connections for good."""
        return self._is_closed

    def cut(self) -> None:
        """Break the connections there are; commands go on, and new connections are taken."""
        self._listener.cut()
        for connection in tuple(self._connections):
            connection.abort()

    def came(self, connection: asyncssh.SSHServerConnection) -> None:
        """Take note of a connection."""
        self._connections.add(connection)

    def went(self, connection: asyncssh.SSHServerConnection) -> None:
        """Take note of the end of a connection."""
        self._connections.discard(connection)

    def start(self, command: str, channel: asyncssh.SSHServerChannel[bytes]) -> Shell | None:
        """Start a command here; nothing at all where the host hangs, and nothing is ever answered.

        Raises:
            OSError: It could not be started.
        """
        if self.host.sick is How.HANG:
            return None
        return self.keeper.start(self.host, command, channel)


class _Server(asyncssh.SSHServer):
    """One connection to a host."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._door.came(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class names it
        if self._connection is not None:
            self._door.went(self._connection)

    def begin_auth(self, username: str) -> bool:
        log.info("%s: %s asks to be let in", self._door.host.name, username)
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        keeper = self._door.keeper
        return username == keeper.user and key.public_data == keeper.client_key

    def session_requested(self) -> _Session:
        return _Session(self._door)


class _Session(asyncssh.SSHServerSession[bytes]):
    """One session of a connection: an exec request, or nothing."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._shell: Shell | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def exec_requested(self, command: str) -> bool:
        try:
            self._shell = self._door.start(command, self._channel)
        except OSError:
            return False
        return True

    def session_started(self) -> None:
        if self._shell is not None:
            self._shell.listen()

    def data_received(self, data: bytes, datatype: int | None) -> None:  # noqa: ARG002 - stdin is the only stream in
        if self._shell is not None:
            self._shell.feed(data)

    def eof_received(self) -> bool:
        if self._shell is not None:
            self._shell.feed_end()
        return True

    def pause_writing(self) -> None:
        if self._shell is not None:
            self._shell.pause_output()

    def resume_writing(self) -> None:
        if self._shell is not None:
            self._shell.resume_output()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class names it
        if self._shell is not None:
            self._shell.hang_up()
