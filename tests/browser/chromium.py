"""A real browser without a window: Debian's chromium, driven over two pipes with its DevTools protocol."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tools import PATH, need

PATIENCE_S = 60.0
"""How long an answer may take on a busy machine; a page is waited for no longer either."""

_ABOVE_PIPES = 10
"""Descriptors 3 and 4 are chromium's ends, so ours must stand elsewhere before they are put there."""


class Browser:
    """One tab. What it asks of the network and writes to its console is kept."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._pending = b""
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.console: list[str] = []
        self._loaded = False

    def begin(self) -> None:
        """Attach to a new tab."""
        tab = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Ask the browser something and return its answer."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def open(self, url: str) -> None:
        """Open a page and wait until it is there."""
        self._loaded = False
        self.call("Page.navigate", url=url)
        while not self._loaded:
            self._next()

    def ask(self, expression: str) -> Any:
        """Evaluate JavaScript in the page and return its value."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Evaluate JavaScript until its value is true, and return that."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if value := self.ask(expression):
                return value
            time.sleep(0.02)
        raise AssertionError(f"never came true: {expression}")

    def resize(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        """Take the size of another screen, pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, *, whole: bool = True, height: int | None = None) -> None:
        """Write a picture of the page: all of it, or its first `height` pixels."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole, clip=clip)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self) -> bytes:
        """Print the page."""
        return base64.b64decode(self.call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def _next(self) -> dict[str, Any]:
        """Take the next message; what is no answer is an event."""
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._read], [], [], PATIENCE_S)
            assert ready, "chromium says nothing"
            read = os.read(self._read, 1 << 20)
            assert read, "chromium has ended"
            self._pending += read
        raw, self._pending = self._pending.split(b"\0", 1)
        message: dict[str, Any] = json.loads(raw)
        self._event(message.get("method", ""), message.get("params", {}))
        return message

    def _event(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(one.get("value", one)) for one in parameters["args"]))
        elif method == "Runtime.exceptionThrown":
            self.console.append(str(parameters["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.console.append(parameters["entry"]["text"])
        elif method == "Page.loadEventFired":
            self._loaded = True


def _pipe() -> tuple[int, int]:
    """Return the ends of a new pipe, to read from and to write to."""
    ends = os.pipe()
    read, write = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _ABOVE_PIPES) for end in ends)
    for end in ends:
        os.close(end)
    return read, write


@contextmanager
def browser() -> Generator[Browser]:
    """Have a browser for a while, with a profile of its own that knows nothing."""
    need("chromium")
    program = shutil.which("chromium", path=PATH)
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="pulih-chromium-", ignore_cleanup_errors=True) as profile:
        to_read, to_write = _pipe()
        from_read, from_write = _pipe()
        arguments = [
            program,
            "--headless",
            "--no-sandbox",  # tests run as root in CI, where chromium refuses its sandbox
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
        ]
        quiet = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        process = os.posix_spawn(
            program,
            arguments,
            {**os.environ, "HOME": profile},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, to_read, 3),
                (os.POSIX_SPAWN_DUP2, from_write, 4),
                *((os.POSIX_SPAWN_DUP2, quiet, stream) for stream in (0, 1, 2)),
            ],
            setsid=True,
        )
        for end in (to_read, from_write, quiet):
            os.close(end)
        try:
            tab = Browser(from_read, to_write)
            tab.begin()
            yield tab
        finally:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            os.close(to_write)
            os.close(from_read)
