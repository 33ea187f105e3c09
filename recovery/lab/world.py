"""The running lab: its hosts, their doors and the endpoints' fronts, and what can be done to them."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from recovery.errors import LabError
from recovery.lab.endpoints import Front
from recovery.lab.hosts import Host, Service
from recovery.lab.line import Line
from recovery.lab.programs import Programs
from recovery.lab.setup import Layout, Setup
from recovery.lab.sickness import How, unknown
from recovery.lab.ssh import Door, Keeper

log = logging.getLogger("pulih.lab")


@dataclass(slots=True, kw_only=True)
class Tally:
    """How the lab's units are.

    Attributes:
        units: How many there are.
        lost: Data centres that were lost.
        with_release: Units with a current release.
        serving: Units whose gateway reaches an endpoint that serves.
        broken: By host, what is wrong with it.
        slow: By office, the latency (milliseconds) and the rate (thousands of bits a second) of its line.
    """

    units: int
    lost: tuple[str, ...]
    with_release: int
    serving: int
    broken: dict[str, How]
    slow: dict[str, tuple[int, int]]


class World:
    """All of the lab.

    Args:
        setup: What the process was told.
        layout: Where things are.
    """

    def __init__(self, setup: Setup, layout: Layout) -> None:
        self._programs = Programs(self._gateway_changed)
        self.keeper = Keeper(
            user=setup.user,
            client_key=setup.client_key,
            stand_ins=layout.stand_ins,
            ask=self._programs.answer,
        )
        self._rubbish = layout.erased
        self._hosts: list[Host] = []
        self._doors: dict[Host, Door] = {}
        self._fronts: dict[tuple[str, int], Front] = {}
        self._at: dict[tuple[str, int], Host] = {}
        self._lines: dict[str, Line] = {}
        self._lost: list[str] = []
        for told in setup.hosts:
            service = told.service and Service(
                data_centre=told.service.data_centre,
                name=told.service.name,
                address=told.service.address,
                port=told.service.port,
                app_port=told.service.app_port,
            )
            line = Line() if told.office is None else self._lines.setdefault(told.office, Line())
            host = Host(name=told.name, root=Path(told.root), service=service, line=line)
            self._hosts.append(host)
            self._doors[host] = Door(host, told.key, socket.socket(fileno=told.socket), self.keeper)
            if told.service and service:
                place = service.address, service.port
                self._fronts[place] = Front(host, service, socket.socket(fileno=told.service.socket))
                self._at[place] = host

    async def open(self) -> None:
        """Take SSH connections at every host."""
        for door in self._doors.values():
            await door.settle()

    def close(self) -> None:
        """Refuse everything."""
        for door in self._doors.values():
            door.close()
        for front in self._fronts.values():
            front.close()

    def lose(self, data_centre: str) -> int:
        """Lose a data centre: its endpoints are gone, and the units it served have lost what they ran.

        Returns:
            How many units it served.

        Raises:
            LabError: There is no such data centre, or it is lost already.
        """
        hosts = [host for host in self._hosts if host.service and host.service.data_centre == data_centre]
        if not hosts:
            known = sorted({host.service.data_centre for host in self._hosts if host.service})
            raise LabError(f"no data centre {data_centre} in this lab; it has {', '.join(known)}")
        if data_centre in self._lost:
            raise LabError(f"data centre {data_centre} is lost already")
        self._lost.append(data_centre)
        served = [host for host in self._hosts if host.service is None and self._serves(host, data_centre)]
        for host in hosts:
            host.sick = None  # it has worse now
            self._doors[host].close()
        for (address, port), front in self._fronts.items():
            if self._at[address, port] in hosts:
                front.close()
        rubbish = self._rubbish / data_centre
        rubbish.mkdir(parents=True)
        for host in hosts + served:
            host.stop()
            _erase(host.root, rubbish)
        _remove(rubbish)
        log.info("lost %s: %d endpoints, %d units erased", data_centre, len(hosts), len(served))
        return len(served)

    async def fall_sick(self, name: str, how: How) -> None:
        """Make a host sick, in place of whatever it had.

        Raises:
            LabError: There is no such host, or it is lost with its data centre.
        """
        host = self._host(name)
        if host.service is not None and self._doors[host].is_closed:
            raise LabError(f"{name} is lost with {host.service.data_centre}, so nothing more can happen to it")
        host.sick = how
        await self._doors[host].settle()
        log.info("%s is sick: %s", name, how)

    async def heal(self, name: str) -> bool:
        """Make a host well; False when it was not sick.

        Raises:
            LabError: There is no such host.
        """
        host = self._host(name)
        if host.sick is None:
            return False
        host.sick = None
        await self._doors[host].settle()
        log.info("%s is well again", name)
        return True

    async def heal_all(self) -> tuple[list[str], list[str]]:
        """Make every host well and every line fast; returns the hosts and the offices."""
        hosts = [host.name for host in self._hosts if await self.heal(host.name)]
        offices = [office for office, line in self._lines.items() if line.is_slow]
        for office in offices:
            await self.slow(office, 0, 0)
        return hosts, offices

    async def slow(self, office: str, latency_ms: int, kbit_s: int) -> int:
        """Give an office's line another latency and rate; zeros make it as fast as it goes.

        Returns:
            How many hosts hang on it.

        Raises:
            LabError: There is no such office, or a number is negative.
        """
        line = self._lines.get(office)
        if line is None:
            raise unknown("office", office, self._lines)
        if latency_ms < 0 or kbit_s < 0:
            raise LabError("a line's latency and rate are 0 or more")
        line.change(latency_ms, kbit_s)
        hosts = [host for host in self._hosts if host.line is line]
        for host in hosts:
            await self._doors[host].settle()
        log.info("the line of %s: %d ms, %d kbit/s", office, latency_ms, kbit_s)
        return len(hosts)

    def cut(self, name: str) -> None:
        """Break every connection to a host, as a line that is cut for a moment.

        Raises:
            LabError: There is no such host.
        """
        self._doors[self._host(name)].cut()

    def tally(self) -> Tally:
        """Count."""
        units = [host for host in self._hosts if host.service is None]
        return Tally(
            units=len(units),
            lost=tuple(self._lost),
            with_release=sum(host.release() is not None for host in units),
            serving=sum(self._is_serving(host) for host in units),
            broken={host.name: host.sick for host in self._hosts if host.sick is not None},
            slow={office: (line.latency_ms, line.kbit_s) for office, line in self._lines.items() if line.is_slow},
        )

    def _host(self, name: str) -> Host:
        for host in self._hosts:
            if host.name == name:
                return host
        raise unknown("unit or endpoint", name, [host.name for host in self._hosts])

    def _serves(self, unit: Host, data_centre: str) -> bool:
        """Whether the configuration that a unit's gateway was loaded with leads to a data centre."""
        endpoint = unit.gateway and self._at.get(unit.gateway.probe_goes_to)
        return bool(endpoint and endpoint.service and endpoint.service.data_centre == data_centre)

    def _is_serving(self, unit: Host) -> bool:
        front = unit.gateway and self._fronts.get(unit.gateway.probe_goes_to)
        return bool(front and front.is_serving)

    async def _gateway_changed(self, host: Host) -> None:
        if host.service is not None:
            await self._fronts[host.service.address, host.service.port].open()


def _erase(root: Path, rubbish: Path) -> None:
    """Take a host's releases, and the link to the current one; everything else stays, as on a reset host.

    A rename each, so that no unit is ever seen half erased; the files themselves are removed later.
    """
    (root / "current").unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        (root / "releases").rename(rubbish / root.name)


def _remove(rubbish: Path) -> None:
    """Remove a folder in a process of its own: thousands of files would hold up everybody's connections."""
    os.posix_spawn("/bin/rm", ["rm", "-rf", str(rubbish)], {})
