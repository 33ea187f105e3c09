"""The contract suite's remote commands as programs in memory, each doing what its shell text does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tests.contract import commands
from tests.sim.hosts import Program, Remote


async def _echo(remote: Remote) -> None:
    while data := await remote.stdin.get():
        await remote.stdout.put(data)


def _says(text: str) -> Program:
    async def program(remote: Remote) -> None:
        await remote.say(text)

    return program


async def _silent(_remote: Remote) -> None:
    await asyncio.sleep(20)


async def _first_then_silent(remote: Remote) -> None:
    await remote.say("first\n")
    await asyncio.sleep(20)


async def _trickle(remote: Remote) -> None:
    for number in range(1, 5):
        await remote.say(f"{number}\n")
        await asyncio.sleep(0.6)


async def _endless_lines(remote: Remote) -> None:
    while True:
        await remote.say("more\n")
        await asyncio.sleep(0.1)


async def _endless_line(remote: Remote) -> None:
    while True:
        await remote.say("0123456789abcdef")


async def _complaint(remote: Remote) -> None:
    remote.complain(b"bad \x1b]0;title\x07\nworse\n")
    await remote.say("over\n")


async def _much_complaint(remote: Remote) -> None:
    for number in range(3000):
        remote.complain(f"{number:01023d}\n".encode())
    await remote.say("over\n")


PROGRAMS: Mapping[str, Program] = {
    commands.ECHO: _echo,
    commands.LINES: _says("one\ntwo\n\nfour\n"),
    commands.TORN: _says("whole\ntorn"),
    commands.SILENT: _silent,
    commands.FIRST_THEN_SILENT: _first_then_silent,
    commands.TRICKLE: _trickle,
    commands.ENDLESS_LINES: _endless_lines,
    commands.ENDLESS_LINE: _endless_line,
    commands.LONGEST_LINE: _says("7".zfill(4096) + "\n"),
    commands.TOO_LONG_LINE: _says("7".zfill(4097) + "\n"),
    commands.ESCAPES: _says("red \x1b[31m\tand é \x07\r\n"),
    commands.COMPLAINT: _complaint,
    commands.MUCH_COMPLAINT: _much_complaint,
    commands.LEAVES: _says("leaving\n"),
}
