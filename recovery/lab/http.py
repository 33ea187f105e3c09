"""As much HTTP/1.0 as a test transaction needs: one request and one answer a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

_MAX_HEAD_BYTES = 8192
_MAX_ANSWER_BYTES = 65_536
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 502: "Bad Gateway"}


class NoAnswerError(Exception):
    """The other side closed the connection without an answer, or with something that is none."""


class BadRequestError(Exception):
    """The other side sent something that is no request."""


async def get(place: tuple[str, int], path: str, headers: Sequence[str]) -> tuple[int, str]:
    """Make one request and return the status and the body of its answer.

    Raises:
        NoAnswerError: No HTTP answer came.
        OSError: No connection came about.
    """
    reader, writer = await asyncio.open_connection(*place)
    try:
        lines = [f"GET {path} HTTP/1.0", f"Host: {place[0]}:{place[1]}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        answer = await _read_all(reader)
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        raise NoAnswerError(str(error)) from error
    finally:
        writer.close()
    head, found, body = answer.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if not found or len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise NoAnswerError("no HTTP answer")
    return int(words[1]), body.decode(errors="replace")


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    answer = b""
    while len(answer) < _MAX_ANSWER_BYTES and (part := await reader.read(_MAX_ANSWER_BYTES)):
        answer += part
    return answer


async def read_request(reader: asyncio.StreamReader, within_s: float) -> tuple[str, str, Mapping[str, str]]:
    """Read one request; return its method, its path and its headers by lower-case name.

    Raises:
        BadRequestError: It is no request, too long, or did not come in time.
    """
    try:
        async with asyncio.timeout(within_s):
            head = await reader.readuntil(b"\r\n\r\n")
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError) as error:
        raise BadRequestError(str(error)) from error
    first, *rest = head[:_MAX_HEAD_BYTES].decode(errors="replace").splitlines()
    words = first.split()
    if len(words) != 3:
        raise BadRequestError(f"no request: {first[:80]}")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return words[0], words[1], headers


def answer(status: int, body: str) -> bytes:
    """Return an answer as it goes over the line."""
    content = body.encode()
    lines = [
        f"HTTP/1.0 {status} {_REASONS[status]}",
        "Content-Type: text/plain",
        f"Content-Length: {len(content)}",
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + content
