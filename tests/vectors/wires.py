"""Mirrors that are unlike others in how they use a connection."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificates import Authority
from tests.vectors.serving import Files, Site, serving


@contextmanager
def over_tls(folder: Path, files: Files) -> Generator[tuple[str, ssl.SSLContext]]:
    """Have a mirror over TLS, of an authority that nobody knows; returns its address and who knows it."""
    authority = Authority("an authority")
    authority.issue("localhost", folder, is_server=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    known = ssl.create_default_context(cadata=authority.pem)
    with serving(files, context=context) as site:
        yield site.url.replace("http://127.0.0.1", "https://localhost"), known


@contextmanager
def listening() -> Generator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        yield server


def accepted(server: socket.socket, stop: threading.Event) -> Iterator[socket.socket]:
    while not stop.is_set():
        try:
            made, _ = server.accept()
        except TimeoutError:
            continue
        made.settimeout(5)
        with made:
            yield made


@contextmanager
def counted(site: Site) -> Generator[tuple[str, list[int]]]:
    """Have a relay before a mirror that counts the bytes of each connection, in each direction."""
    count: list[int] = []
    stop = threading.Event()

    def carry(source: socket.socket, target: socket.socket, at: int) -> None:
        while part := source.recv(65_536):
            count[at] += len(part)
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)

    def serve(server: socket.socket) -> None:
        host, port = site.url.removeprefix("http://").rstrip("/").split(":")
        for made in accepted(server, stop):
            with socket.create_connection((host, int(port))) as beyond:
                count.extend((0, 0))
                back = threading.Thread(target=carry, args=(beyond, made, len(count) - 1))
                back.start()
                carry(made, beyond, len(count) - 2)
                back.join()

    with listening() as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/", count
        finally:
            stop.set()
            thread.join()


@contextmanager
def closing(files: dict[str, bytes]) -> Generator[str]:
    """Have a mirror of HTTP/1.0 that promises to keep each connection and closes it."""
    stop = threading.Event()

    def serve(server: socket.socket) -> None:
        for made in accepted(server, stop):
            path = made.recv(4096).split()[1].decode().lstrip("/")
            found = files.get(path)
            head = f"HTTP/1.1 {404 if found is None else 200} X\r\nContent-Length: {len(found or b'')}\r\n\r\n"
            made.sendall(head.encode() + (found or b""))

    with listening() as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            stop.set()
            thread.join()


@contextmanager
def dripping(said: bytes) -> Generator[str]:
    """Have a mirror that says something, then a byte every 100 ms."""
    stop = threading.Event()

    def serve(server: socket.socket) -> None:
        for made in accepted(server, stop):
            try:
                made.sendall(said)
                while said and not stop.wait(0.1):
                    made.sendall(b"x")
                stop.wait()
            except OSError:
                continue

    with listening() as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            stop.set()
            thread.join()
