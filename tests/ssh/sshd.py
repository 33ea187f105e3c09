"""Real OpenSSH servers on loopback: a host key and a port for each unit, temporary keys, nothing left behind.

`acceptor.py` runs in a process of its own and starts `sshd -i` for each connection. Logins are to the account that runs
the tests, so nothing is added to the machine; its login files are kept out by a home folder of our own (they cost
300-1,200 ms a command, measured on a loaded machine). Any host can be a bastion, since all of them forward.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from recovery.model.estate import Bastion, BastionName, Login, Timeouts, UnitName
from recovery.transport.base import Target
from tests.keys import KeyPair, new_key

SSHD = "/usr/sbin/sshd"
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
TIMEOUTS = Timeouts(connect_s=20, step_s=20, unit_s=60, retries=0)

CONFIG = """\
AddressFamily inet
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
PermitRootLogin prohibit-password
AllowTcpForwarding yes
MaxSessions 1000
MaxStartups 1000
LoginGraceTime 60
UseDNS no
PidFile none
PrintMotd no
PrintLastLog no
SetEnv HOME={home} PATH={path}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One server that listens on a port of its own.

    Attributes:
        options: sshd_config lines of its own, such as `AllowTcpForwarding no`; they win over the common ones.
        keys: Host keys that it shows; none means a fresh ed25519 one. The first is the one that targets pin.
    """

    name: str
    options: tuple[str, ...] = ()
    keys: tuple[KeyPair, ...] = ()


class SshServers:
    """A set of running servers; a context manager.

    Attributes:
        login_key: The key that every host lets in.
        key_file: Its private half.
    """

    def __init__(
        self, folder: Path, hosts: Iterable[Host | str], *, log_level: str = "DEBUG1", programs: Path | None = None
    ) -> None:
        """Start them.

        Args:
            folder: Where keys, configuration and logs go; must not exist.
            hosts: What to start; a name alone is a host with nothing special.
            log_level: Of sshd; counting logins and connections needs DEBUG1.
            programs: A folder that comes first in the PATH of every command.
        """
        self._folder = folder
        self._hosts = {
            host.name: host if host.keys else replace(host, keys=(new_key(),))
            for host in (Host(name=host) if isinstance(host, str) else host for host in hosts)
        }
        self._user = pwd.getpwuid(os.getuid()).pw_name
        home = folder / "home"
        home.mkdir(parents=True)
        self.login_key = new_key()
        self.key_file = self.login_key.write(folder / "login-key")
        authorized = folder / "authorized_keys"
        authorized.write_text(f"{self.login_key.public}\n")
        config = folder / "sshd_config"
        path = f"{programs}:{PATH}" if programs else PATH
        own = f"LogLevel {log_level}\nAuthorizedKeysFile {authorized}\n"
        config.write_text(CONFIG.format(home=home, path=path) + own)
        if os.getuid() == 0:
            # where sshd locks its unprivileged half in; Debian makes it when the service starts
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("acceptor.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        orders = {
            "sshd": SSHD,
            "config": str(config),
            "hosts": [self._order(host) for host in self._hosts.values()],
        }
        self.ports = cast(Mapping[str, int], self._ask(orders)["ports"])

    def _order(self, host: Host) -> dict[str, object]:
        arguments: list[str] = []
        for number, key in enumerate(host.keys):
            arguments += ["-h", str(key.write(self._folder / f"{host.name}.{number}.host-key"))]
        for option in host.options:
            arguments += ["-o", option]
        return {"name": host.name, "arguments": arguments, "log": str(self._log(host.name))}

    def _ask(self, order: Mapping[str, object]) -> dict[str, Any]:
        stdin, stdout = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        stdin.write(json.dumps(order).encode() + b"\n")
        stdin.flush()
        return cast(dict[str, Any], json.loads(stdout.readline()))

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the servers, every session and everything they started."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the hosts, in the order given."""
        return tuple(self._hosts)

    def login(self, name: str) -> Login:
        """Return how a host is reached, with the first of its keys pinned."""
        return Login(
            address="127.0.0.1",
            port=self.ports[name],
            user=self._user,
            host_key=self._hosts[name].keys[0].public,
        )

    def bastion(self, name: str) -> Bastion:
        """Return a host as a bastion."""
        return Bastion(name=BastionName(name), title=name, login=self.login(name))

    def target(self, name: str, *, bastion: Bastion | None = None, timeouts: Timeouts = TIMEOUTS) -> Target:
        """Return a host as a target."""
        return Target(name=UnitName(name), login=self.login(name), bastion=bastion, timeouts=timeouts)

    def log(self, name: str) -> str:
        """Return what the host's sessions have logged."""
        return self._log(name).read_text(errors="replace") if self._log(name).exists() else ""

    def login_attempts(self, name: str) -> int:
        """Return how often somebody has asked to log in (needs log level DEBUG1)."""
        return self.log(name).count("userauth-request for user")

    def connections(self, name: str) -> int:
        """Return how often somebody has connected (needs log level DEBUG1)."""
        return self.log(name).count("debug1: Local version string")

    def kill_sessions(self, name: str) -> int:
        """Kill the running sessions of a host with all that they started; return how many there were."""
        return int(self._ask({"do": "kill", "name": name})["killed"])

    def cpu_s(self) -> float:
        """Return the CPU time used by all sessions that are over, seconds."""
        return float(self._ask({"do": "cpu"})["seconds"])
