"""A process that listens on many loopback ports and starts `sshd -i` for each connection, with a host key a port.

One sshd listens on at most 16 addresses and shows the same host keys on all of them; this shows one of its own on
each port. It owns the ports and the processes, and nothing else: keys and configuration are written by `sshd.py`.

Talks JSON, a line each way: the first line read says which hosts to serve (`{"sshd", "config", "hosts": [{"name",
"arguments", "log"}]}`), the first line written which ports they got. After that `{"do": "kill", "name"}` ends the
sessions of one host, `{"do": "cpu"}` tells the CPU seconds used by sessions that are over. End of input ends it.

Leaves no process behind: it adopts what its sessions orphan (a remote `sleep` outlives the connection that started
it) and kills every descendant by pid before it ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, cast

PR_SET_CHILD_SUBREAPER = 36
"""Source: prctl(2), linux/prctl.h."""

BACKLOG = 256


@dataclass
class Host:
    """One port with its host key and the sessions that run on it."""

    name: str
    command: list[str]
    log: str
    listener: socket.socket
    sessions: set[int] = field(default_factory=lambda: set[int]())


def children(pid: int) -> list[int]:
    """Return the direct children of a process."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def kill_tree(pid: int) -> None:
    """Kill a process and all below it, from the top, so that no parent notices a child's death."""
    below = children(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for child in below:
        kill_tree(child)


class Acceptor:
    """The listening ports and the sessions behind them."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self.hosts: dict[str, Host] = {}
        for host in cast(list[dict[str, Any]], orders["hosts"]):
            listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
            listener.setblocking(False)
            command = [orders["sshd"], "-i", "-f", orders["config"], "-E", host["log"], *host["arguments"]]
            self.hosts[host["name"]] = Host(host["name"], command, host["log"], listener)
        self.by_descriptor = {host.listener.fileno(): host for host in self.hosts.values()}

    def ports(self) -> dict[str, int]:
        """Return the port of each host."""
        return {name: int(host.listener.getsockname()[1]) for name, host in self.hosts.items()}

    def accept(self, host: Host) -> None:
        """Start an sshd for the next connection."""
        try:
            connection, _ = host.listener.accept()
        except BlockingIOError:
            return
        with connection:
            pid = os.posix_spawn(
                host.command[0],
                host.command,
                {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, connection.fileno(), 0),
                    (os.POSIX_SPAWN_DUP2, connection.fileno(), 1),
                    (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
                ],
                setpgroup=0,
            )
        host.sessions.add(pid)

    def reap(self) -> None:
        """Take leave of everything that ended, adopted orphans included."""
        with suppress(ChildProcessError):
            while True:
                pid, _ = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                for host in self.hosts.values():
                    host.sessions.discard(pid)

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out one order and return its answer."""
        match order["do"]:
            case "kill":
                sessions = list(self.hosts[order["name"]].sessions)
                for pid in sessions:
                    kill_tree(pid)
                return {"killed": len(sessions)}
            case "cpu":
                self.reap()
                used = resource.getrusage(resource.RUSAGE_CHILDREN)
                return {"seconds": used.ru_utime + used.ru_stime}
            case unknown:
                return {"unknown": unknown}

    def serve(self) -> None:
        """Accept, reap and obey until the input ends."""
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake_up)
        poll = select.epoll()
        for descriptor in (0, woken, *self.by_descriptor):
            poll.register(descriptor, select.EPOLLIN)
        orders = b""
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == woken:
                    os.read(woken, 4096)
                    self.reap()
                elif descriptor == 0:
                    received = os.read(0, 65536)
                    if not received:
                        return
                    *lines, orders = (orders + received).split(b"\n")
                    for line in lines:
                        print(json.dumps(self.obey(json.loads(line))), flush=True)
                else:
                    self.accept(self.by_descriptor[descriptor])

    def end(self) -> None:
        """Close the ports and kill every descendant."""
        for host in self.hosts.values():
            host.listener.close()
        while below := children(os.getpid()):
            for pid in below:
                kill_tree(pid)
            with suppress(ChildProcessError):
                os.waitpid(-1, 0)


def _wake_up(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: that there is a handler makes Python write to the wake-up pipe."""


def read_line() -> bytes:
    """Return the first line of input, and leave the rest to `serve`, which reads the descriptor itself."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(0, 1)
    return line


def main() -> None:
    """Serve until the input ends."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    acceptor = Acceptor(json.loads(read_line()))
    try:
        print(json.dumps({"ports": acceptor.ports()}), flush=True)
        acceptor.serve()
    finally:
        acceptor.end()


if __name__ == "__main__":
    main()
