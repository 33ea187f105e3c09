"""A unit and the network around it, in two network namespaces: what a rendered egress list lets through.

Started by `test_real_egress.py` under `unshare --map-root-user --net`; reads JSON from stdin, prints JSON. This
process is the unit; a child of it is everybody else, at the other end of a cable.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

CLONE_NEWNET = 0x40000000
WAIT_S = 0.3
"""How long a connection may take; packets that are dropped are waited for this long."""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def add(address: str, device: str) -> None:
    ip(
        "address",
        "add",
        f"{address}/{64 if ':' in address else 24}",
        "dev",
        device,
        *(["nodad"] if ":" in address else []),
    )


def listen(address: str, port: int) -> socket.socket:
    server = socket.socket(family(address), socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen()
    return server


def connects(source: str, address: str, port: int) -> bool:
    """Say whether a TCP connection from `source` comes about."""
    with socket.socket(family(address), socket.SOCK_STREAM) as client:
        client.settimeout(WAIT_S)
        try:
            client.bind((source, 0))
            client.connect((address, port))
        except OSError:
            return False
        return True


def answers(address: str, port: int) -> bool:
    """Say whether a datagram gets there and its answer back."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as client:
        client.settimeout(WAIT_S)
        try:
            client.sendto(b"?", (address, port))
            return client.recv(10) == b"?"
        except OSError:
            return False


def all_at_once(tries: list[tuple[str, Callable[[], bool]]]) -> dict[str, bool]:
    """Try everything at the same time: most of it waits for packets that never come."""
    with ThreadPoolExecutor(len(tries)) as pool:
        return {name: went.result() for name, went in [(name, pool.submit(attempt)) for name, attempt in tries]}


def echo(address: str, port: int) -> None:
    with socket.socket(family(address), socket.SOCK_DGRAM) as server:
        server.bind((address, port))
        while True:
            server.sendto(*server.recvfrom(10))


def outside(plan: dict[str, list[list[str]]], orders: int, results: int) -> None:
    """Be everybody else: hold what may be talked to, and do what the unit's side orders, a line of JSON at a time."""
    ctypes.CDLL(None).unshare(CLONE_NEWNET)
    os.write(results, b"ready\n")
    servers: list[socket.socket] = []
    session: socket.socket | None = None
    for line in os.fdopen(orders):
        what, *words = json.loads(line)
        answer: object = True
        if what == "set-up":
            ip("link", "set", "outside", "up")
            ip("link", "set", "lo", "up")
            for address in dict.fromkeys(address for _, address, _ in plan["outside"]):
                add(address, "outside")
            for kind, address, port in plan["outside"]:
                if kind == "tcp":
                    servers.append(listen(address, int(port)))
                elif kind == "udp":
                    threading.Thread(target=echo, args=(address, int(port)), daemon=True).start()
        elif what == "connect":
            answer = all_at_once(
                [(f"in {source} {port}", partial(connects, source, address, port)) for source, address, port in words]
            )
        elif what == "log-in":
            session = socket.create_connection((words[1], int(words[2])), WAIT_S, (words[0], 0))
        elif what == "hear":
            assert session is not None
            answer = bool(select.select([session], [], [], WAIT_S)[0]) and session.recv(10).decode()
        os.write(results, json.dumps(answer).encode() + b"\n")


def main() -> None:
    """Build the two sides, try everything, print what went through."""
    plan = json.load(sys.stdin)
    orders_in, orders_out = os.pipe()
    results_in, results_out = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(orders_out)
        with suppress(BrokenPipeError):
            outside(plan, orders_in, results_out)
        os._exit(0)
    os.close(orders_in)
    os.close(results_out)
    results = os.fdopen(results_in)

    def order(*words: object) -> Any:
        os.write(orders_out, json.dumps(words).encode() + b"\n")
        return json.loads(results.readline())

    results.readline()
    ip("link", "add", "unit", "type", "veth", "peer", "name", "outside", "netns", str(child))
    ip("link", "set", "lo", "up")
    ip("link", "set", "unit", "up")
    here = {":" in address: address for address in plan["unit"]}
    for address in plan["unit"]:
        add(address, "unit")
    servers = [listen(address, int(port)) for address in plan["unit"] for port in plan["unit_ports"]]
    order("set-up")
    # IPv6 addresses of a fresh cable need a moment before they can be used.
    for _ in range(50):
        if all(
            connects(here[":" in address], address, int(port))
            for kind, address, port in plan["outside"]
            if kind == "tcp"
        ):
            break
        time.sleep(0.1)

    found: dict[str, object] = {}
    bastion, port = plan["log_in"]
    order("log-in", bastion, here[":" in bastion], port)
    session = next(
        server for server in servers if server.getsockname()[:2] == (here[":" in bastion], int(port))
    ).accept()[0]
    listings: list[bytes] = []
    for round_, name in enumerate(("older", "reloaded")):
        subprocess.run(["nft", "-f", "-"], input=plan["rules"], text=True, check=True)
        listings.append(
            subprocess.run(["nft", "list", "table", "inet", "pulih"], check=True, stdout=subprocess.PIPE).stdout
        )
        session.send(f"{round_}".encode())
        found[f"the session {name}"] = order("hear") == f"{round_}"
    found["replaced whole"] = listings[0] == listings[1]
    own = listen("127.0.0.1", 0)
    tries: list[tuple[str, Callable[[], bool]]] = [
        ("loopback", partial(connects, "127.0.0.1", "127.0.0.1", own.getsockname()[1]))
    ]
    for kind, address, port in plan["outside"]:
        if kind == "tcp":
            tries.append((f"out tcp {address} {port}", partial(connects, here[":" in address], address, int(port))))
        elif kind == "udp":
            tries.append((f"out udp {address} {port}", partial(answers, address, int(port))))
    found |= all_at_once(tries)
    sources = dict.fromkeys(address for _, address, _ in plan["outside"])
    found |= order("connect", *((source, here[":" in source], own) for source in sources for own in plan["unit_ports"]))
    os.close(orders_out)
    os.waitpid(child, 0)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
