"""The estate of the chaos tier: real sshd units, half of them dash and half busybox, behind lines that can misbehave.

Two regions, six units, two data centres, one bastion; made from `examples/two-offices`. The real `pulih` command works
on it as on any other. Its state is on a disk of its own too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from recovery import declared
from recovery.model.bundle import Bundle
from recovery.model.estate import (
    BastionName,
    DataCentreName,
    Endpoint,
    Estate,
    LinkName,
    Login,
    Office,
    OfficeName,
    Region,
    RegionName,
    ServiceName,
    Timeouts,
    Unit,
    UnitName,
    WavePass,
)
from recovery.render import Renderer, Templates
from tests.chaos import programs
from tests.chaos.machines import Machine
from tests.chaos.proxy import Proxy
from tests.forked import Command
from tests.shells import Shell
from tests.ssh.disks import Disk, need_mounts
from tests.ssh.sshd import Host, SshServers
from tests.tools import need

ROOT = Path(__file__).parents[2]
BASTION = BastionName("agency")
SERVICES = (ServiceName("border-crossing"), ServiceName("passport"))
OFFICES = {
    "north": {"three-rivers": SERVICES, "harbour": SERVICES},
    "south": {"market-mall": SERVICES[1:], "old-town": SERVICES[1:]},
}
"""The services of each office of each region; the first office of each is behind the bastion."""

BEHIND = UnitName("three-rivers-passport")
"""A unit behind the bastion, in dash."""

DIRECT = UnitName("harbour-passport")
"""A unit that is reached directly, in busybox ash."""

SHELLS = {True: "dash", False: "busybox"}
"""By whether a unit is behind the bastion."""

TIMEOUTS = Timeouts(connect_s=15, step_s=15, unit_s=60, retries=0)
"""Longer than anything takes on a busy machine; no second try, so that what is broken is left to the resume."""


class Ground:
    """The running estate; a context manager.

    Attributes:
        folder: Of everything; `estate` in it is the declaration, `.pulih` the state.
        machines: By the name of their unit or endpoint.
        state_disk: The disk of the state.
    """

    def __init__(self, folder: Path) -> None:
        """Start every host, write the estate and bring it to its declaration at both data centres."""
        need("sshd", "busybox", "dash", "flock")
        need_mounts()
        with ExitStack() as stack:
            self._build(folder, stack)
            self._stack = stack.pop_all()

    def _build(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.estate_folder = folder / "estate"
        self._number = 0
        self._begun: list[subprocess.Popen[str]] = []
        example = _six_units(declared.load(ROOT / "examples" / "two-offices"))
        programs.write(folder / "programs")
        self.machines: dict[UnitName, Machine] = {}
        for _, office, unit in example.places():
            self._machine(unit.name, SHELLS[office.bastion is not None], stack)
        for endpoint in example.endpoint.values():
            self._machine(endpoint.name, SHELLS[endpoint.service in SERVICES], stack)
        hosts = [
            Host(name=str(BASTION)),
            *(
                Host(name=str(machine.name), options=(f"ForceCommand {machine.login}",))
                for machine in self.machines.values()
            ),
        ]
        self.servers = stack.enter_context(SshServers(folder / "servers", hosts, log_level="INFO"))
        self.proxy = stack.enter_context(Proxy({name: self.servers.ports[name] for name in (BASTION, DIRECT)}))
        self.state_disk = stack.enter_context(Disk(folder / "laptop", size_kib=65536, inodes=100_000))
        stack.callback(self._end_commands)
        (folder / ".pulih").symlink_to(self.state_disk.seen)
        declared.write(self._reached(example), self.estate_folder)
        self.templates = Templates.load(self.estate().templates)

    def _machine(self, name: UnitName, shell: str, stack: ExitStack) -> None:
        folder = self.folder / "hosts" / name
        disk = stack.enter_context(Disk(folder / "srv", size_kib=2048))
        self.machines[name] = Machine(name, folder, disk, Shell(shell, folder / "shell"), self.folder / "programs")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()

    def _end_commands(self) -> None:
        for process in self._begun:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def settle(self) -> None:
        """Bring every unit to the declaration, at one data centre after the other."""
        for words in (("apply",), ("recover", "--lost", "main", "--to", "standby", "--yes")):
            done = self.pulih(*words)
            assert done.returncode == 0, done

    def mend(self) -> None:
        """Take every fault away."""
        self.proxy.clear()
        self.state_disk.free()
        for machine in self.machines.values():
            machine.mend()

    def estate(self) -> Estate:
        """Return the estate as it is declared now."""
        return declared.load(self.estate_folder)

    def declare_a_change(self, timeouts: Timeouts = TIMEOUTS) -> None:
        """Declare something else for every unit of every office, and how long a unit may take."""
        self._number += 1
        estate = self.estate()
        titled = [
            replace(
                region,
                offices=tuple(
                    replace(office, title=f"{office.name}, version {self._number}") for office in region.offices
                ),
            )
            for region in estate.regions
        ]
        changed = replace(estate, regions=tuple(titled), timeouts=timeouts)
        declared.write(changed, self.estate_folder)

    def bundles(self, at: DataCentreName) -> dict[UnitName, Bundle]:
        """Return what every unit, and every endpoint of a data centre, is declared to run once all is placed there."""
        estate = self.estate()
        moved = replace(estate, placement=estate.placement.moved((name, None, at) for name in estate.service))
        renderer = Renderer(moved, self.templates)
        units = {unit.name: renderer.unit(region, office, unit) for region, office, unit in moved.places()}
        endpoints = {one.name: renderer.endpoint(one) for one in moved.data_centre[at].endpoints}
        return {**units, **endpoints}

    def placed(self) -> DataCentreName:
        """Return the data centre that everything is placed at now."""
        (centre,) = set(self.estate().placement.default.values())
        return centre

    def pulih(self, *words: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run one command line to its end."""
        return Command(*words, "--estate", str(self.estate_folder)).ended(timeout_s)

    def begin(self, *words: str, at: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start a command line.

        Args:
            words: Verb and options; the estate is added.
            at: The words of `stopping.py` when the command is to be stopped or killed at a record.
        """
        module = ("tests.chaos.stopping", *at) if at else ("recovery.cli.main",)
        command = [sys.executable, "-m", *module, *words, "--estate", str(self.estate_folder)]
        return self.spawn(command, cwd=ROOT, environment=dict(os.environ))

    def spawn(self, command: list[str], *, cwd: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
        """Start a process that does not outlive the estate."""
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._begun.append(process)
        return process

    def begin_stopped(self, *words: str, at: tuple[str, ...]) -> subprocess.Popen[str]:
        """Start a command line and return when it has stopped at a record of its journal; SIGCONT lets it go on."""
        process = self.begin(*words, at=("stop", *at))
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert process.poll() is None, f"it never came to {' '.join(at)}: {process.communicate()}"
        return process

    def _login(self, name: str) -> Login:
        login = self.servers.login(name)
        line = self.proxy.lines.get(name)
        return replace(login, port=line.port) if line is not None else login

    def _reached(self, estate: Estate) -> Estate:
        """Return the estate with every host where it listens."""

        def unit(one: Unit) -> Unit:
            return replace(one, login=self._login(one.name), root=str(self.machines[one.name].inside))

        def endpoint(number: int, one: Endpoint) -> Endpoint:
            root = str(self.machines[one.name].inside)
            return replace(one, address="127.0.0.1", port=40000 + number, login=self._login(one.name), root=root)

        def office(one: Office) -> Office:
            return replace(one, units=tuple(map(unit, one.units)))

        centres = enumerate(estate.data_centres)
        return replace(
            estate,
            name="chaos",
            practice=True,
            ssh_key=self.servers.key_file,
            timeouts=TIMEOUTS,
            wave_pass=WavePass(share=0.5, failures=1),
            bastions={
                BASTION: replace(estate.bastions[BASTION], login=self._login(BASTION)),
            },
            data_centres=tuple(
                replace(
                    centre,
                    endpoints=tuple(endpoint(100 * place + n, one) for n, one in enumerate(centre.endpoints)),
                )
                for place, centre in centres
            ),
            regions=tuple(replace(region, offices=tuple(map(office, region.offices))) for region in estate.regions),
        )


@contextmanager
def settled(folder: Path) -> Generator[Ground]:
    """Lend an estate that is as declared."""
    with Ground(folder) as ground:
        ground.settle()
        yield ground


def _six_units(example: Estate) -> Estate:
    """Return the example with the offices of this estate in the place of its own."""
    office = example.regions[0].offices[0]
    unit = office.units[0]
    offices = {
        region: tuple(
            replace(
                office,
                name=OfficeName(name),
                title=name,
                link=LinkName.FIBRE,
                bastion=BASTION if number == 0 else None,
                units=tuple(replace(unit, name=UnitName(f"{name}-{service}"), service=service) for service in services),
            )
            for number, (name, services) in enumerate(named.items())
        )
        for region, named in OFFICES.items()
    }
    regions = tuple(Region(name=RegionName(name), title=name, offices=found) for name, found in offices.items())
    return replace(example, regions=regions)
