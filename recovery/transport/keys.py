"""The keys that pulih logs in with: one file, or whatever the agent holds. Read once, before anything is connected.

Never a password, never keyboard-interactive, and the agent is asked for signatures only: it is not forwarded.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.message import Message
from paramiko.pkey import UnknownKeyType
from typing_extensions import override

from recovery.errors import LoginKeyError
from recovery.files import read_regular

AGENT_TIMEOUT_S = 30.0
"""How long the agent may take over one signature: time to touch a token or to confirm."""

MAX_KEY_BYTES = 64 * 1024
"""Size of a key file, at most: a practice estate may name any. An RSA key of 16,384 bits has 13 KB."""

MAX_AGENT_KEYS = 5
"""Keys of an agent that are tried at one host, since sshd hangs up after six.

Source: sshd_config(5), MaxAuthTries, default 6.
"""


class LoginKeys:
    """Keys in the order in which to try them; the one that was let in last comes first.

    Attributes:
        source: Where they come from, for errors.
    """

    def __init__(self, keys: Sequence[paramiko.PKey], source: str) -> None:
        self.source = source
        self._keys = tuple(keys)

    def in_order(self) -> tuple[paramiko.PKey, ...]:
        """Return the keys to try."""
        return self._keys

    def worked(self, key: paramiko.PKey) -> None:
        """Note that a host let this key in."""
        if self._keys[0] is not key:
            self._keys = (key, *(other for other in self._keys if other is not key))

    def describe(self) -> str:
        """Return the keys' fingerprints and where they come from."""
        return ", ".join(key.fingerprint for key in self._keys) + f" ({self.source})"


class AgentError(Exception):
    """The agent did not sign; the text says why."""


class _Agent(paramiko.Agent):
    """The agent behind SSH_AUTH_SOCK, asked by one thread at a time.

    paramiko's own writes a question and reads the answer without a lock, so that two threads get each other's
    signatures.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        super().__init__()

    def _send_message(self, msg: object) -> object:
        with self._turn:
            if self._conn is None:
                raise AgentError("the agent has gone")
            self._conn.settimeout(AGENT_TIMEOUT_S)
            try:
                return super()._send_message(msg)  # type: ignore[misc]
            except (OSError, paramiko.SSHException) as error:
                # its answer may still come and would be taken for that to the next question
                self._conn.close()
                self._conn = None
                raise AgentError(f"the agent did not answer ({error})") from error


class _AgentKey(paramiko.AgentKey):
    """A key that the agent signs with."""

    @override
    def sign_ssh_data(self, data: Any, algorithm: str | None = None) -> Message:
        try:
            return super().sign_ssh_data(data, algorithm)
        except paramiko.SSHException as error:
            raise AgentError(f"the agent refused to sign with {self.fingerprint}") from error


def load_keys(ssh_key: Path | None, environment_key: str | None) -> LoginKeys:
    """Load the keys to log in with.

    Args:
        ssh_key: Key file that a practice estate names; wins.
        environment_key: Value of PULIH_SSH_KEY; comes next. Without either, the agent.

    Raises:
        LoginKeyError: The file cannot be used as it is, or the agent holds nothing.
    """
    if ssh_key is not None:
        return _from_file(ssh_key, "ssh_key of the estate")
    if environment_key:
        return _from_file(Path(environment_key), "PULIH_SSH_KEY")
    return _from_agent()


def _from_file(path: Path, source: str) -> LoginKeys:
    try:
        read_regular(path, MAX_KEY_BYTES)  # paramiko would wait for a FIFO, and read a device without end
        key = paramiko.PKey.from_path(path)
    except FileNotFoundError as error:
        raise LoginKeyError(f"{path} ({source}) does not exist; name the file of a private key") from error
    except OSError as error:
        raise LoginKeyError(f"{path} ({source}) cannot be read: {error.strerror}") from error
    except (TypeError, paramiko.PasswordRequiredException) as error:
        # cryptography says a missing passphrase with a TypeError
        raise LoginKeyError(
            f"{path} ({source}) is protected by a passphrase, which pulih never asks for; load it into the agent "
            f"(ssh-add {path}) and start pulih without {source}"
        ) from error
    except (ValueError, UnsupportedAlgorithm, paramiko.SSHException, UnknownKeyType) as error:
        raise LoginKeyError(
            f"{path} ({source}) is not a private key that can be used here; expected an OpenSSH or PEM file with an "
            "ed25519, ECDSA or RSA key (the file beside the one that ends in .pub)"
        ) from error
    return LoginKeys([key], f"{path}, {source}")


def _from_agent() -> LoginKeys:
    try:
        agent = _Agent()
        keys = [_AgentKey(agent, key.blob, key.comment) for key in agent.get_keys()]
    except (AgentError, OSError, paramiko.SSHException) as error:
        raise LoginKeyError(f"the SSH agent cannot be asked for its keys: {error}") from error
    if not keys:
        raise LoginKeyError(
            "there is no key to log in with: no PULIH_SSH_KEY is set and no SSH agent with a key runs; set "
            "PULIH_SSH_KEY to a key file, or load a key with ssh-add"
        )
    return LoginKeys(keys[:MAX_AGENT_KEYS], "SSH agent")
