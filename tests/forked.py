"""Command lines of `pulih` in processes of their own, which don't pay for what each would make anew.

A process of a test imports `pulih` once, in a server beside it, and every command line is a fork of that server, with
its own words, folder, environment, streams and signals. It runs what `python -m recovery.cli.main` runs, and ends as
that ends.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TextIO

ROOT = Path(__file__).parent.parent

_MODULES = (
    "recovery.cli.main",
    "recovery.cli.conducting",
    "recovery.cli.surveying",
    "recovery.lab",
    "recovery.transport.ssh",
    "typer._adapters",
)
"""Imported by the server; what else a command needs it imports itself."""

_LONGEST_ORDER = 1_000_000


class _Order(NamedTuple):
    """What is to be run, and the ends that come with it: of two streams, and of a socket for the answer."""

    asked: dict[str, Any]
    out: int
    err: int
    answer: int


Ended = subprocess.CompletedProcess[str]
"""What became of a command line."""


class Command:
    """A command line at work, in the manner of `subprocess.Popen` with text pipes and no stdin.

    Attributes:
        args: Its words.
        returncode: None while nobody has found out that it ended; negative for a signal.
    """

    def __init__(
        self,
        *args: str,
        cwd: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        together: bool = False,
    ) -> None:
        """Start it.

        Args:
            args: Verb and options.
            cwd: Where it runs.
            environment: All of it; this process's own if not said.
            together: Whether what it complains of is in `stdout` too.
        """
        self.args = ["pulih", *args]
        self.returncode: int | None = None
        order = {"args": args, "cwd": str(cwd), "environment": dict(os.environ if environment is None else environment)}
        self._answer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, its_out = os.pipe()
        err, its_err = (None, its_out) if together else os.pipe()
        with theirs:
            socket.send_fds(_server(), [json.dumps(order).encode()], [its_out, its_err, theirs.fileno()])
        for end in {its_out, its_err}:
            os.close(end)
        self.stdout: TextIO = os.fdopen(out, encoding="utf-8")
        self.stderr: TextIO | None = None if err is None else os.fdopen(err, encoding="utf-8")
        self.pid = int(self._answer.recv(32))

    def poll(self) -> int | None:
        """Return the exit code if it has ended."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read what it writes up to its end; the second is empty where both are together."""
        streams = [stream for stream in (self.stdout, self.stderr) if stream is not None]
        readers = ThreadPoolExecutor(len(streams))
        read = [readers.submit(stream.read) for stream in streams]
        readers.shutdown(wait=False)
        self.wait(timeout)
        out, *err = [each.result(timeout) for each in read]
        for stream in streams:
            stream.close()
        return out, "".join(err)

    def ended(self, timeout: float) -> Ended:
        """Wait for its end and return what became of it; it is killed when that takes longer."""
        try:
            out, err = self.communicate(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return Ended(self.args, self.wait(), out, err)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it the hard way."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._answer.settimeout(timeout)
            try:
                self.returncode = int(self._answer.recv(32))
            except (BlockingIOError, TimeoutError):
                return None
            self._answer.close()
        return self.returncode


@cache
def _server() -> socket.socket:
    """Start the server of this process; it ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(number)],
            cwd=ROOT,
            pass_fds=[number],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    return ours


# --- in the server


def _serve(orders: socket.socket) -> _Order | None:
    """Fork for every order; return it in the fork, and nothing in the server once no more can come."""
    _make_what_is_made_once()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with selectors.DefaultSelector() as selector:
        selector.register(orders, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not orders:
                    pid, answer = key.data
                    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    with answer, suppress(BrokenPipeError):  # nobody may want to know any more
                        answer.send(str(code).encode())
                    selector.unregister(key.fileobj)
                    os.close(key.fd)
                    continue
                words, ends, _, _ = socket.recv_fds(orders, _LONGEST_ORDER, 3)
                if not words:
                    return None
                pid = os.fork()
                if pid == 0:
                    return _Order(json.loads(words), *ends)
                out, err, answers = ends
                os.close(out)
                os.close(err)
                answer = socket.socket(fileno=answers)
                answer.send(str(pid).encode())
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, answer))


def _make_what_is_made_once() -> None:
    """Import, compile and build what every process would again: modules, verbs, templates, a report's page."""
    for module in _MODULES:
        importlib.import_module(module)
    from recovery.cli.main import main
    from recovery.report.as_html import to_html
    from tests.stories import every_ending

    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        assert main(["validate", "--estate", str(ROOT / "examples" / "two-offices")]) == 0
    to_html(every_ending())


def _become(order: _Order) -> int:
    """Be the process that a command line would have been started in."""
    os.dup2(order.out, 1)
    os.dup2(order.err, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)  # as the interpreter would open them
    os.chdir(order.asked["cwd"])
    os.environ.clear()
    os.environ.update(order.asked["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv[1:] = order.asked["args"]
    from recovery.cli.main import main

    return main()


if __name__ == "__main__":
    server = socket.socket(fileno=int(sys.argv[1]))
    order = _serve(server)
    server.close()
    sys.exit(0 if order is None else _become(order))
