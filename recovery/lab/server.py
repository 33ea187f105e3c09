"""What the lab process does from its start to its end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import asyncssh

from recovery.errors import LabError
from recovery.lab import orders, reaper, sickness
from recovery.lab.setup import Layout, Setup
from recovery.lab.shell import FIRST_FREE
from recovery.lab.world import World

log = logging.getLogger("pulih.lab")


def serve(folder: Path, told: str, *, ready: Callable[[], None]) -> None:
    """Be the lab until SIGTERM.

    Args:
        folder: The lab's folder.
        told: The setup as JSON.
        ready: Called once everything listens.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asyncssh.set_log_level(logging.CRITICAL)  # a connection that a client drops is no news here
    _make_room()
    asyncio.run(_serve(Layout(folder), Setup.read(told), ready))


async def _serve(layout: Layout, setup: Setup, ready: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    world = World(setup, layout)
    loop.add_signal_handler(signal.SIGCHLD, _reap, world)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await world.open()
    control = await _take_orders(layout.control, world)
    _write_card(layout.card, setup.card)
    log.info("ready: %d hosts", len(setup.hosts))
    ready()
    await stop.wait()
    log.info("stopping")
    control.close()
    layout.control.unlink(missing_ok=True)
    world.close()
    loop.remove_signal_handler(signal.SIGCHLD)
    reaper.end_descendants()


async def _take_orders(path: Path, world: World) -> asyncio.Server:
    """Take orders from now on, one at a time; a socket that an earlier lab left is replaced."""
    turn = asyncio.Lock()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            order = json.loads(await reader.readline())
            try:
                async with turn:
                    said = await _obey(world, order)
            except LabError as error:
                said = {"refused": str(error)}
            writer.write(json.dumps(said).encode() + b"\n")
        except (ValueError, ConnectionError):
            return  # not an order, or nobody waits for the answer
        finally:
            writer.close()

    return await asyncio.start_unix_server(answer, sock=_bound(path))


def _bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.unlink(missing_ok=True)
    with orders.short_name(path) as name:
        listener.bind(name)
    path.chmod(0o600)
    return listener


async def _obey(world: World, order: orders.Words) -> orders.Words:
    match order:
        case {"do": "lose", "data_centre": str(data_centre)}:
            return {"units": world.lose(data_centre)}
        case {"do": "break", "host": str(name), "how": str(word)}:
            await world.fall_sick(name, sickness.read(word))
            return {}
        case {"do": "heal", "host": str(name)}:
            return {"hosts": [name] if await world.heal(name) else [], "offices": []}
        case {"do": "heal"}:
            hosts, offices = await world.heal_all()
            return {"hosts": hosts, "offices": offices}
        case {"do": "slow", "office": str(office), "latency_ms": int(latency_ms), "kbit_s": int(kbit_s)}:
            return {"hosts": await world.slow(office, latency_ms, kbit_s)}
        case {"do": "cut", "host": str(name)}:
            world.cut(name)
            return {}
        case {"do": "status"}:
            return asdict(world.tally())
        case _:
            raise LabError(f"the lab knows no such order: {json.dumps(order)}")


def _reap(world: World) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        world.keeper.ended(pid, os.waitstatus_to_exitcode(status))


def _make_room() -> None:
    """Allow as many open files as may be, and keep the low descriptors free of ours."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # A shell is born with descriptors copied onto 0 to 8; none of the sources may be among them.
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) < FIRST_FREE - 1:
        pass
    if descriptor >= FIRST_FREE:
        os.close(descriptor)


def _write_card(path: Path, card: str) -> None:
    """Write `lab.json` in one step, readable by its owner only."""
    told = json.loads(card)
    content = json.dumps({"schema": told.pop("schema"), "pid": os.getpid(), **told}, indent=1) + "\n"
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
