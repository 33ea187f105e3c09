"""Reads files from one mirror over HTTP, bounded in size and in time whatever the other side does.

Nothing is followed (redirects), unpacked (content encodings) or repeated here; all requests of a poll go over one
connection where the mirror keeps it open.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, SlowRetrievalError
from tuf.ngclient.fetcher import FetcherInterface

from pulih_client.limits import Limits

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK_BYTES = 16_384
_MAX_ETAG = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a mirror answered to a conditional request.

    Attributes:
        body: None when it says that the file is as it was.
        etag: Its name for this content; empty when it gives none.
    """

    body: bytes | None
    etag: str


class Mirror:
    """One mirror, for one poll.

    Args:
        url: Address of its folder, `http` or `https`.
        limits: What is taken from it.
        context: How TLS is checked; the machine's own authorities by default.
    """

    def __init__(self, url: str, limits: Limits, context: ssl.SSLContext | None = None) -> None:
        self.url = url if url.endswith("/") else url + "/"
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url} is no address of a mirror: expected http:// or https:// and a host")
        self._parts = parts
        self._limits = limits
        self._context = context
        self._until = time.monotonic() + limits.mirror_s
        self._meter = Meter()
        self._connection: _Connection | None = None
        self._is_reading = False

    @property
    def sent_bytes(self) -> int:
        """What was sent to it, without TLS and what lies below."""
        return self._meter.sent

    @property
    def received_bytes(self) -> int:
        """What came from it, without TLS and what lies below."""
        return self._meter.received

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._is_reading = False

    def ask(self, path: str, max_bytes: int, etag: str) -> Answer:
        """Read a file unless it is as it was.

        Raises:
            DownloadError: As of `read`; a `DownloadLengthMismatchError` when it is larger than that.
        """
        headers = {"If-None-Match": etag} if etag else {}
        with _named():
            response = self._request(self.url + path, headers)
            if response.status == HTTPStatus.NOT_MODIFIED and etag:
                for _ in self._parts_of(response):
                    pass
                return Answer(body=None, etag=etag)
            parts: list[bytes] = []
            for part in self._body(response):
                parts.append(part)
                if sum(map(len, parts)) > max_bytes:
                    raise DownloadLengthMismatchError(f"more than {max_bytes} bytes came")
            found = response.getheader("ETag", "")
            is_usable = 2 < len(found) <= _MAX_ETAG and found.isascii() and found.isprintable()
            return Answer(body=b"".join(parts), etag=found if is_usable else "")

    def read(self, url: str) -> Generator[bytes]:
        """Read a file in parts.

        Raises:
            DownloadHTTPError: It answered with another status than 200.
            SlowRetrievalError: It took too long.
            DownloadError: The way to it failed.
        """
        with _named():
            yield from self._body(self._request(url, {}))

    def _request(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        if self._is_reading:  # what is left of an answer that was not read to its end
            self.close()
        is_kept = self._connection is not None
        try:
            return self._send(url, headers)
        except (ConnectionError, http.client.HTTPException):
            self.close()
            if not is_kept:  # a connection that was kept may have been closed by the mirror meanwhile
                raise
            return self._send(url, headers)

    def _send(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        if self._connection is None:
            context = self._context or ssl.create_default_context() if self._parts.scheme == "https" else None
            self._connection = _Connection(self._parts.hostname or "", self._parts.port, context, self)
        connection = self._connection
        self._meter.begin(self._limits.answer_bytes)
        connection.putrequest("GET", urlsplit(url).path, skip_accept_encoding=True)
        for name, value in {"User-Agent": "pulih-client/1", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        self._is_reading = True
        return connection.getresponse()

    def _body(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        if response.status != HTTPStatus.OK:
            if response.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
                for _ in self._parts_of(response):  # to its end, so that the connection can be kept
                    pass
            raise DownloadHTTPError(f"it answered {response.status}", response.status)
        yield from self._parts_of(response)

    def _parts_of(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        while part := response.read1(_CHUNK_BYTES):
            yield part
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        response.close()
        self._is_reading = False

    def left_s(self, at_most: float) -> float:
        """Return how long the next step may take, seconds.

        Raises:
            TimeoutError: All the time this mirror was given is over.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"it took more than {self._limits.mirror_s:g} s")
        return min(left, at_most)

    def connect(self, host: str, port: int) -> socket.socket:
        """Connect to the first of its addresses that takes the connection."""
        failure: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(self.left_s(self._limits.connect_s))
                made.connect(place)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                made.close()
                failure = error
            else:
                return made
        raise failure

    def bound(self, made: socket.socket) -> Bounded:
        """Return a socket that keeps the limits."""
        return Bounded(made, self, self._meter, self._limits.gap_s)


class Fetcher(FetcherInterface):
    """What `tuf.ngclient` reads files with.

    Args:
        mirror: Where it reads them.
        timestamp: The timestamp that was read already; it is not read twice.

    Attributes:
        url: The file that was asked for last.
        content: What was read last, whole.
    """

    def __init__(self, mirror: Mirror, timestamp: bytes) -> None:
        self._mirror = mirror
        self._timestamp = timestamp
        self.url = ""
        self.content = b""

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Read a file; see `FetcherInterface.download_bytes`."""
        self.content = super().download_bytes(url, max_length)
        return self.content

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.url = url
        if url.endswith("/timestamp.json"):
            return iter((self._timestamp,))
        return self._mirror.read(url)


class Meter:
    """Counts bytes.

    Attributes:
        sent: In all.
        received: In all.
    """

    def __init__(self) -> None:
        self.sent = self.received = self._most = 0

    def begin(self, answer_bytes: int) -> None:
        """An answer begins that may have so many bytes."""
        self._most = self.received + answer_bytes

    def take(self, count: int) -> None:
        """Count what came.

        Raises:
            DownloadLengthMismatchError: The answer is longer than any may be.
        """
        self.received += count
        if self.received > self._most:
            raise DownloadLengthMismatchError("the answer has no end")


class Bounded:
    """As much of a socket as `http.client` uses, with a limit for each step."""

    def __init__(self, made: socket.socket, mirror: Mirror, meter: Meter, gap_s: float) -> None:
        self._socket = made
        self._mirror = mirror
        self._meter = meter
        self._gap_s = gap_s

    def sendall(self, data: bytes) -> None:
        """Send all."""
        self._socket.settimeout(self._mirror.left_s(self._gap_s))
        self._socket.sendall(data)
        self._meter.sent += len(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return what comes as a file."""
        if mode != "rb":
            raise ValueError(f"mode {mode}: this file is only read")
        return io.BufferedReader(_Incoming(self._socket, self._mirror, self._meter, self._gap_s), _CHUNK_BYTES)

    def close(self) -> None:
        """Close it, once the file that reads from it is closed too."""
        self._socket.close()


class _Incoming(io.RawIOBase):
    def __init__(self, made: socket.socket, mirror: Mirror, meter: Meter, gap_s: float) -> None:
        self._socket = made
        self._file = made.makefile("rb", buffering=0)
        self._mirror = mirror
        self._meter = meter
        self._gap_s = gap_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        self._socket.settimeout(self._mirror.left_s(self._gap_s))
        count = self._file.readinto(buffer)
        self._meter.take(count or 0)
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, host: str, port: int | None, context: ssl.SSLContext | None, mirror: Mirror) -> None:
        default = http.client.HTTPS_PORT if context else http.client.HTTP_PORT
        super().__init__(host, port or default)
        self.default_port = default  # so that the Host header names it only where it is another
        self._context = context
        self._mirror = mirror

    def connect(self) -> None:
        made = self._mirror.connect(self.host, self.port)
        try:
            if self._context is not None:
                made.settimeout(self._mirror.left_s(30))
                made = self._context.wrap_socket(made, server_hostname=self.host)
        except BaseException:
            made.close()
            raise
        self.sock = self._mirror.bound(made)  # type: ignore[assignment] # it has all that is used of one


@contextmanager
def _named() -> Generator[None]:
    """Give the ways in which a transfer fails the names that `tuf` has for them."""
    try:
        yield
    except TimeoutError as error:
        raise SlowRetrievalError(f"it took too long: {error}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadError(f"{type(error).__name__}: {error}") from error
