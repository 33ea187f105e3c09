"""Brings a lab up: chooses the units, takes ports, makes keys, writes the practice estate, starts the process.

The sockets are bound here and handed to the process, so that the ports in the estate are the lab's from the first
moment. A folder with an ended lab in it is made anew; what pulih keeps beside an estate (`.pulih`) stays.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from recovery import declared
from recovery.errors import LabError
from recovery.lab import practice, standins
from recovery.lab.fresh import FIRST_DESCRIPTOR, FreshHost, make_client_key
from recovery.lab.launch import launch
from recovery.lab.pick import pick
from recovery.lab.setup import Layout, Setup
from recovery.model.estate import Endpoint, Estate, Region
from recovery.model.publish import Publish
from recovery.publish import ceremony

SCHEMA = "pulih/lab/v1"
SHIPPED = Path(__file__).resolve().parents[2] / "infra" / "estate"
"""The estate that a lab practises."""

_DESCRIPTORS = 4096
_FOLDER = re.compile(r"/[A-Za-z0-9._/-]{0,120}")
"""A unit's root is a field of the applier's header: at most 200 characters, the unit's name included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabInfo:
    """A lab that is up.

    Attributes:
        estate: Folder of its estate.
        pid: Number of its process.
        seconds: How long it took to come up.
    """

    folder: Path
    estate: Path
    pid: int
    units: int
    regions: int
    seconds: float


def up(units: int, folder: Path, *, source: Path | None = None) -> LabInfo:
    """Start a lab; see `recovery.lab.up`."""
    began = time.monotonic()
    practised = declared.load(SHIPPED if source is None else source)
    regions = pick(practised, units)
    layout = Layout(_usable(folder))
    with _locked(layout) as lock:
        _clear(layout)
        pid = _bring_up(layout, practised, regions, lock)
    return LabInfo(
        folder=layout.folder,
        estate=layout.estate,
        pid=pid,
        units=units,
        regions=len(regions),
        seconds=time.monotonic() - began,
    )


def _bring_up(layout: Layout, practised: Estate, regions: tuple[Region, ...], lock: int) -> int:
    client_key = make_client_key(layout.keys)
    standins.write(layout.stand_ins)
    with _many_files():
        hosts = [
            FreshHost.make(unit.name, layout.units, office=office.name)
            for region in regions
            for office in region.offices
            for unit in office.units
        ]
        hosts += [FreshHost.make(one.name, layout.endpoints, endpoint=one) for one in _endpoints(practised)]
        sockets = [bound for host in hosts for bound in host.sockets]
        try:
            places = {host.name: host.place() for host in hosts}
            estate = practice.estate(practised, regions, places, layout.estate, layout.keys / "client")
            declared.write(estate, layout.estate)
            if estate.publish is not None:
                _practise_keys(estate.publish)
            setup = Setup(
                user=practice.USER,
                client_key=client_key,
                card=json.dumps(_card(estate)),
                hosts=tuple(host.setup() for host in hosts),
            )
            return launch(layout, setup, [bound.fileno() for bound in sockets], lock)
        finally:
            for bound in sockets:
                bound.close()


def _practise_keys(publish: Publish) -> None:
    """Make the keys that sign what citizens' apps read, readable for whoever practises, and their first root."""
    if publish.offline is not None:
        ceremony.begin(publish.offline, publish.online, publish.roots, lambda _name: None, datetime.now(UTC))


def _endpoints(estate: Estate) -> list[Endpoint]:
    return [endpoint for centre in estate.data_centres for endpoint in centre.endpoints]


def _usable(folder: Path) -> Path:
    resolved = folder.resolve()
    if _FOLDER.fullmatch(str(resolved)) is None:
        raise LabError(
            f"a lab's folder is an absolute path of at most 121 of the characters A-Z a-z 0-9 . _ - /, because its "
            f"units' folders are words of the applier's protocol; {resolved} is not"
        )
    if not resolved.exists():
        resolved.mkdir(mode=0o700, parents=True)
    elif not resolved.is_dir():
        raise LabError(f"{resolved} is not a folder")
    elif not Layout(resolved).lock.exists() and set(resolved.iterdir()) - {Layout(resolved).history}:
        raise LabError(f"{resolved} holds files that are no lab's; name an empty folder or one that is not there yet")
    return resolved


@contextmanager
def _locked(layout: Layout) -> Generator[int]:
    """Hold the lock that says that a lab lives here; the process inherits it."""
    first = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o600)
    lock = fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR)
    os.close(first)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(
                f"a lab runs in {layout.folder} already; `pulih lab down --dir {layout.folder}` ends it"
            ) from None
        yield lock
    finally:
        os.close(lock)


def _clear(layout: Layout) -> None:
    """Remove what an ended lab has left."""
    for path in layout.made_by_up():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _many_files() -> Generator[None]:
    """Allow this process the sockets of a whole lab."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if most == resource.RLIM_INFINITY else min(_DESCRIPTORS, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))


def _card(estate: Estate) -> dict[str, object]:
    """Return what `lab.json` says beside the process number."""
    units = {
        unit.name: {
            "region": region.name,
            "office": office.name,
            "service": unit.service,
            "dir": unit.root,
            "address": unit.login.address,
            "port": unit.login.port,
        }
        for region, office, unit in estate.places()
    }
    data_centres = {
        centre.name: {"endpoints": {endpoint.name: _endpoint_card(endpoint) for endpoint in centre.endpoints}}
        for centre in estate.data_centres
    }
    return {"schema": SCHEMA, "units": units, "data_centres": data_centres}


def _endpoint_card(endpoint: Endpoint) -> dict[str, object]:
    login = endpoint.login
    return {
        "service": endpoint.service,
        "address": endpoint.address,
        "port": endpoint.port,
        "host": {"dir": endpoint.root, "address": login.address, "port": login.port},
    }
