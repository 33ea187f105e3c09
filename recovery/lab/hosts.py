"""What the lab knows of its SSH hosts, and of the endpoints that some of them serve."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from recovery.lab.line import Line
from recovery.lab.nginxconf import Gateway
from recovery.lab.sickness import How


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the application beside an endpoint answers for.

    Attributes:
        address: IP address at which the endpoint serves.
        port: TCP port there.
        app_port: Loopback TCP port of the application, as the endpoint's configuration names it.
    """

    data_centre: str
    name: str
    address: str
    port: int
    app_port: int


@dataclass(slots=True, kw_only=True, eq=False)
class Host:
    """One SSH host of the lab: a unit, or the host of an endpoint.

    All that is said and done at a host goes through `ssh.Door` (connections, keys, commands) and `programs.Programs`
    (what its programs answer), and both are given this object: what makes one host unlike the others belongs here.

    Attributes:
        root: The folder in which its sessions start, and which pulih owns.
        service: What it serves; None for a unit.
        line: The line of its office; an endpoint's host has a fast one of its own.
        sick: What is wrong with it; None while nothing is.
        gateway: The configuration its gateway runs with; None while it does not run.
        running: By system service, the name of the release whose files it was started or reloaded with.
    """

    name: str
    root: Path
    service: Service | None
    line: Line = field(default_factory=Line)
    sick: How | None = None
    gateway: Gateway | None = None
    running: dict[str, str] = field(default_factory=dict[str, str])

    def release(self) -> str | None:
        """Return the name of the release that `current` points to; None when there is none."""
        try:
            target = (self.root / "current").readlink()
        except OSError:
            return None
        return target.name if (self.root / target).is_dir() else None

    def stop(self) -> None:
        """Stop its gateway and everything else that was started from a release."""
        self.gateway = None
        self.running.clear()
