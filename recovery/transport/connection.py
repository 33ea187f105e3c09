"""One SSH connection, driven by the thread that needs it. Belongs here: the handshake, the pinned host key, the login.

paramiko gives every connection a reader thread, a timer thread and waits that poll every 0.1 s. Here the thread that
talks to a unit reads the unit's packets itself: `pump` takes one packet and lets paramiko's own handlers act on it.
No second thread, nothing to poll, every wait under one deadline, and half the CPU (measured with `bench/ssh_floor.py`
against a plain `paramiko.Transport`). What it costs is a hold on paramiko's inner names, so its version is pinned and
the contract suite runs against real sshd.
"""

# paramiko's stubs leave out what its subclasses live on.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportPrivateUsage=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# pyright: reportAssignmentType=false, reportArgumentType=false, reportOptionalMemberAccess=false

from __future__ import annotations

import threading
from contextlib import suppress
from typing import ClassVar

import paramiko
from paramiko import common
from paramiko.auth_handler import AuthHandler
from paramiko.kex_curve25519 import KexCurve25519
from paramiko.message import Message
from paramiko.ssh_exception import IncompatiblePeer, PartialAuthentication
from typing_extensions import override

from recovery.transport.deadline import Deadline, ExpiredError
from recovery.transport.hostkeys import PinnedKey, fingerprint
from recovery.transport.keys import AgentError, LoginKeys
from recovery.transport.packets import MAX_BANNER_BYTES, Packets, Stream

_DISCONNECT_BY_APPLICATION = 11
"""Source: RFC 4253, section 11.1."""
_AUTHENTICATION_ENDED = (2, 14)
"""Reasons with which sshd hangs up on too many keys. Source: RFC 4253, section 11.1; OpenSSH sends 2."""


class WrongHostKeyError(Exception):
    """The server showed another key than the pinned one, or has none of its kind; `found` says which."""

    def __init__(self, found: str) -> None:
        self.found = found
        super().__init__(found)


class LoginRefusedError(Exception):
    """The server let none of the keys in; the text says what it answered."""


BROKEN = (EOFError, OSError, paramiko.SSHException, WrongHostKeyError)
"""What a connection that breaks can raise."""


class Connection(paramiko.Transport):
    """An SSH client connection without a thread of its own.

    Attributes:
        doing: What it is busy with, for errors.
    """

    # The names the same exchange goes by; OpenSSH knows both, a hardened server may list only one. Source: RFC 8731.
    _kex_info: ClassVar[dict[str, object]] = {**paramiko.Transport._kex_info, "curve25519-sha256": KexCurve25519}
    _preferred_kex = (
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        *(name for name in paramiko.Transport._preferred_kex if not name.startswith("curve25519")),
    )
    # One call encrypts and authenticates with GCM; CBC, 3DES, SHA-1 and MD5 are not offered.
    _preferred_ciphers = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
    _preferred_macs = (
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    )
    preferred_kex = _preferred_kex
    preferred_ciphers = _preferred_ciphers
    preferred_macs = _preferred_macs
    preferred_compression = ("none",)

    def __init__(self, stream: Stream, pinned: PinnedKey, deadline: Deadline) -> None:
        super().__init__(stream, packetizer_class=Packets)
        self.packetizer: Packets
        self.packetizer.deadline = deadline
        self.doing = "waiting for its SSH version"
        self._pinned = pinned
        self._goodbye: tuple[int, str] | None = None

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Host key algorithms to ask for: those of the pinned key."""
        return self._pinned.algorithms

    def handshake(self) -> None:
        """Agree on keys with the server, whose host key must be the pinned one.

        Raises:
            WrongHostKeyError: It is not. Nobody has tried to log in.
        """
        self.active = True
        self.packetizer.write_all(self.local_version.encode() + b"\r\n")
        self._check_banner()
        self.doing = "exchanging keys"
        self._send_kex_init()
        self._expect_packet(common.MSG_KEXINIT)
        while not self.initial_kex_done:
            self.pump()

    def log_in(self, user: str, keys: LoginKeys) -> None:
        """Log in with the first key that the server takes.

        Raises:
            LoginRefusedError: It takes none.
        """
        self.doing = "logging in"
        answered = threading.Event()
        handler = self.auth_handler = AuthHandler(self)
        found = ""
        for number, key in enumerate(keys.in_order()):
            answered.clear()
            try:
                if number == 0:
                    handler.auth_publickey(user, key, answered)
                else:
                    # the server has accepted the service once; asking again would be an error to some
                    handler.username, handler.private_key = user, key
                    handler._parse_service_accept(Message(Message().add_string("ssh-userauth").asbytes()))
                while not answered.is_set():
                    self.pump()
            except AgentError as error:
                found = str(error)
                continue
            except EOFError as error:
                if self._goodbye and (found or self._goodbye[0] in _AUTHENTICATION_ENDED):
                    raise LoginRefusedError(f"the server hung up: {self._goodbye[1]}") from error
                raise
            if handler.is_authenticated():
                keys.worked(key)
                return
            found = _refusal(self.get_exception())
        raise LoginRefusedError(found)

    def pump(self) -> None:
        """Take one packet and act on it, as `paramiko.Transport.run` does for each.

        Raises:
            EOFError: The connection is over.
            ExpiredError: The deadline has passed.
            OSError: The connection broke.
            paramiko.SSHException: The server does not keep to the protocol.
        """
        try:
            if self.packetizer.need_rekey() and not self.in_kex:
                self._send_kex_init()
            kind, message = self.packetizer.read_message()
            self._act(kind, message)
        except (AgentError, ExpiredError, *BROKEN):
            raise
        except Exception as error:
            # paramiko reads packets without checking that all of their fields are there
            raise paramiko.SSHException(
                f"it sent something that is not SSH ({type(error).__name__}: {error})"
            ) from error

    def send(self, message: Message) -> None:
        """Send a packet, after the end of a key exchange that may be going on."""
        while not self.clear_to_send.is_set():
            self.pump()
        self._send_message(message)

    def answer(self, message: Message) -> None:
        """Send a packet that answers the one being acted on."""
        self._send_message(message)

    def end(self, *, politely: bool = False) -> None:
        """Close the connection; `politely` says goodbye first, so that the server need not log a lost connection."""
        if politely and self.active:
            message = Message().add_byte(common.cMSG_DISCONNECT).add_int(_DISCONNECT_BY_APPLICATION)
            with suppress(ExpiredError, *BROKEN):
                self._send_message(message.add_string("done").add_string(""))
        self.active = False
        self.sock.close()

    def on_channel(self, kind: int, message: Message) -> None:
        """Act on a packet of a channel."""
        raise NotImplementedError

    def _act(self, kind: int, message: Message) -> None:
        if kind in (common.MSG_IGNORE, common.MSG_DEBUG):
            self._enforce_strict_kex(kind)
            return
        if kind == common.MSG_DISCONNECT:
            self._goodbye = (message.get_int(), message.get_text())
            raise EOFError
        if self._expected_packet:
            if kind not in self._expected_packet:
                raise paramiko.SSHException(f"it sent packet {kind} where {self._expected_packet} was due")
            self._expected_packet = ()
            if 30 <= kind <= 41:
                self.kex_engine.parse_next(kind, message)
                return
        if common.MSG_CHANNEL_OPEN < kind <= common.MSG_CHANNEL_FAILURE:
            self.on_channel(kind, message)
        elif kind in self._handler_table:
            self._handler_table[kind](message)
        elif self.auth_handler is not None and kind in self.auth_handler._handler_table:
            self.auth_handler._handler_table[kind](message)
        elif kind != common.MSG_UNIMPLEMENTED:
            self._send_message(Message().add_byte(common.cMSG_UNIMPLEMENTED).add_int(message.seqno))

    @override
    def _log(self, level: int, msg: object, *args: object) -> None:
        """Say nothing: what matters is raised, and the rest would cost more than the encryption."""

    @override
    def _check_banner(self) -> None:
        said = 0
        while not (line := self.packetizer.readline(0)).startswith("SSH-"):
            said += len(line)
            if said > MAX_BANNER_BYTES:
                raise paramiko.SSHException("it talks without end and is no SSH server")
        if not line.startswith(("SSH-2.0-", "SSH-1.99-")):
            raise paramiko.SSHException(f"it speaks {line!r}, not SSH 2.0")
        self.remote_version = line

    @override
    def _parse_kex_init(self, m: Message) -> None:
        try:
            super()._parse_kex_init(m)
        except IncompatiblePeer as error:
            m.rewind()
            offered = [name for name in self._really_parse_kex_init(m)["server_key_algo_list"] if name]
            if offered and not set(offered) & set(self.preferred_keys):
                raise WrongHostKeyError(f"none of that kind (it has {', '.join(offered)})") from error
            raise

    @override
    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        if host_key != self._pinned.blob:
            raise WrongHostKeyError(fingerprint(host_key))
        super()._verify_key(host_key, sig)


def _refusal(error: Exception | None) -> str:
    match error:
        case paramiko.BadAuthenticationType():
            return f"the server takes no keys, only {', '.join(error.allowed_types)},"
        case PartialAuthentication():
            return f"the server wants {', '.join(error.allowed_types)} besides a key"
        case _:
            return "the server refused every key"
