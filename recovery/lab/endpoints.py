"""The listeners of the data centres' endpoints: the front door and the application behind it, in one.

An endpoint's port is bound from the lab's start, so that nobody else gets it, and listens only while its host runs a
gateway configured for that port. So an endpoint that was never set up, or whose data centre is lost, refuses.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial

from recovery.lab import http
from recovery.lab.hosts import Host, Service
from recovery.lab.nginxconf import PROBE_PATH
from recovery.lab.sickness import How

_REQUEST_WITHIN_S = 5


class Front:
    """The listener of one endpoint.

    Args:
        host: Its host.
        service: What it serves.
        bound: A socket bound to its address and port, not listening yet.
    """

    def __init__(self, host: Host, service: Service, bound: socket.socket) -> None:
        self._host = host
        self._service = service
        self._socket: socket.socket | None = bound
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen, when the host's gateway is configured for it and it does not already."""
        gateway = self._host.gateway
        if gateway is None or self._socket is None or self._server is not None:
            return
        if (self._service.address, self._service.port) in gateway.listens:
            serve = partial(_serve, self._host, self._service)
            self._server = await asyncio.start_server(serve, sock=self._socket)

    def close(self) -> None:
        """Stop listening for good; connections are refused from now on."""
        if self._server is not None:
            self._server.close()
        elif self._socket is not None:
            self._socket.close()
        self._socket = None

    @property
    def is_serving(self) -> bool:
        """Whether it takes connections and has an application behind it that answers."""
        is_open = self._server is not None and self._server.is_serving()
        return is_open and self._host.sick is not How.PROBE_FAILS


async def _serve(host: Host, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        method, path, headers = await http.read_request(reader, _REQUEST_WITHIN_S)
        writer.write(_answer(host, service, method, path, headers.get("x-pulih-nonce", "")))
    except http.BadRequestError:
        writer.write(http.answer(400, "bad request\n"))
    finally:
        writer.close()


def _answer(host: Host, service: Service, method: str, path: str, nonce: str) -> bytes:
    gateway = host.gateway
    if gateway is None or (service.address, service.port) not in gateway.listens:
        return http.answer(502, "bad gateway\n")
    if gateway.probe_goes_to[1] != service.app_port or host.sick is How.PROBE_FAILS:
        return http.answer(502, "bad gateway\n")  # where the request is passed to, no application answers
    if path != PROBE_PATH:
        return http.answer(404, "not found\n")
    if method != "GET":
        return http.answer(405, "method not allowed\n")
    return http.answer(200, f"pulih-probe/1 data-centre={service.data_centre} service={service.name} nonce={nonce}\n")
