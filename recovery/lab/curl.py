"""The lab's curl: asks through the gateway of a host, over a real TCP connection to the endpoint's listener.

TLS is left out: the lab's gateways and endpoints talk plain HTTP on loopback, and `tests/cases` proves mutual TLS with
a real nginx on the same files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from recovery.lab import http
from recovery.lab.hosts import Host
from recovery.lab.sickness import How

# Source: curl(1), EXIT CODES.
_BAD_OPTION, _NO_HOST, _REFUSED, _HTTP_ERROR, _TIMED_OUT, _EMPTY = 2, 6, 7, 22, 28, 52

_HEAD_BYTES = 256
"""What a test transaction puts on an office's line in each direction, about; TLS is left out, as everywhere here."""

_FLAGS = frozenset({"--silent", "--show-error", "--fail", "-s", "-S", "-f", "-sS", "-fsS", "-sSf", "--fail-with-body"})
_VALUED = frozenset({"--max-time", "--connect-timeout", "--noproxy", "--header", "-H", "--connect-to"})
_TLS = frozenset({"--cacert", "--cert", "--key"})


class CurlError(Exception):
    """A transfer failed.

    Attributes:
        status: curl's exit status for it.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Curl:
    """One transfer.

    Attributes:
        address: IP address to connect to, `--connect-to` applied.
        port: TCP port there.
        path: Path of the URL.
        headers: As given, `Name: value`.
        within_s: Limit for all of it, seconds.
        is_failing: Whether an HTTP error is a failure (`--fail`).
    """

    address: str
    port: int
    path: str
    headers: tuple[str, ...]
    within_s: float
    is_failing: bool

    @staticmethod
    def read(words: Sequence[str]) -> Curl:
        """Read a command line.

        Raises:
            CurlError: An option that the lab doesn't know, no URL, or a name that would need DNS.
        """
        headers: list[str] = []
        values: dict[str, str] = {}
        flags: set[str] = set()
        url = ""
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word in _VALUED or word in _TLS:
                if not rest:
                    raise CurlError(_BAD_OPTION, f"option {word}: requires parameter")
                value = rest.pop(0)
                if word in ("--header", "-H"):
                    headers.append(value)
                else:
                    values[word] = value
            elif word in _FLAGS:
                flags.add(word)
            elif word.startswith("-") or url:
                raise CurlError(_BAD_OPTION, f"option {word}: the lab doesn't know it")
            else:
                url = word
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CurlError(_BAD_OPTION, "no URL specified")
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        name, port = _connect_to(values.get("--connect-to", ""), parts.hostname, port)
        try:
            address = str(ip_address(name))
        except ValueError:
            raise CurlError(_NO_HOST, f"Could not resolve host: {name}") from None
        return Curl(
            address=address,
            port=port,
            path=parts.path or "/",
            headers=tuple(headers),
            within_s=float(values.get("--max-time", "0")) or 300,
            is_failing=any(flag.startswith("--fail") or (flag[1] != "-" and "f" in flag) for flag in flags),
        )

    async def _transfer(self, host: Host, place: tuple[str, int]) -> tuple[int, str]:
        if host.service is None and host.sick is How.PROBE_FAILS:
            return 502, "bad gateway\n"
        line = host.line
        await line.cross(line.up, _HEAD_BYTES)
        answer = await http.get(place, self.path, self.headers)
        await line.cross(line.down, _HEAD_BYTES)
        return answer

    async def run(self, host: Host) -> list[str]:
        """Make the transfer at a host and return the lines of the body.

        Raises:
            CurlError: It failed.
        """
        gateway = host.gateway
        if gateway is None or (self.address, self.port) not in gateway.listens:
            raise CurlError(_REFUSED, f"Failed to connect to {self.address} port {self.port}: Connection refused")
        # A unit's gateway is played here, so the connection goes where it would pass the request to. An endpoint's
        # front door is a listener of its own, at which the endpoint's host knocks like everyone else.
        place = gateway.probe_goes_to if host.service is None else (self.address, self.port)
        try:
            async with asyncio.timeout(self.within_s):
                status, body = await self._transfer(host, place)
        except TimeoutError:
            raise CurlError(_TIMED_OUT, f"Operation timed out after {self.within_s * 1000:.0f} ms") from None
        except http.NoAnswerError:
            if host.service is not None:
                raise CurlError(_EMPTY, "Empty reply from server") from None
            status, body = 502, "bad gateway\n"
        except OSError as error:
            if host.service is not None:
                raise CurlError(_REFUSED, f"Failed to connect: {error.strerror}") from None
            status, body = 502, "bad gateway\n"
        if status >= 400 and self.is_failing:
            raise CurlError(_HTTP_ERROR, f"The requested URL returned error: {status}")
        return body.splitlines()


def _connect_to(rule: str, host: str, port: int) -> tuple[str, int]:
    """Apply one `--connect-to HOST1:PORT1:HOST2:PORT2`, in which an address of IPv6 stands in brackets."""
    if not rule:
        return host, port
    fields: list[str] = []
    for field in rule.split(":"):
        if fields and fields[-1].startswith("[") and not fields[-1].endswith("]"):
            fields[-1] += ":" + field
        else:
            fields.append(field)
    if len(fields) != 4:
        raise CurlError(_BAD_OPTION, f"--connect-to {rule}: expected HOST1:PORT1:HOST2:PORT2")
    from_host, from_port, to_host, to_port = fields
    if from_host.strip("[]") in ("", host) and from_port in ("", str(port)):
        return to_host.strip("[]") or host, int(to_port or port)
    return host, port
