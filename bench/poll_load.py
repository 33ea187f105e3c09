"""What installed clients do to the mirrors in the first hour after a manifest is published: calculated, and simulated.

    python -m bench.poll_load [--clients 5000000] [--mirrors 3] [--noticed 1.0]    # two seconds

The bytes of a poll are measured here, over HTTP and over TLS, with the reference client; the waits are those of
`docs/client.md`. The worst case is the default: every client has noticed that its service does not answer, so it asks
at the hurried pace until it has the manifest, and at the regular pace afterwards.
"""

from __future__ import annotations

import argparse
import heapq
import ssl
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pulih_client import Client, State
from pulih_client.schedule import HURRIED_S, REGULAR_S, SPREAD, wait_s

from tests.certificates import Authority
from tests.vectors.repository import BEGAN, a_manifest, a_repository
from tests.vectors.serving import serving

HOUR_S = 3600
SLOT_S = 300
CHAIN_BYTES = 2_500
"""Certificates that a public authority sends beside the mirror's own, about; all else of TLS is measured."""

_STEPS = 600
_SEED = 20240620


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Bytes of a poll in both directions, TLS included; TCP and IP add about a tenth."""

    unchanged: int
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Part of the hour.

    Attributes:
        changed: Polls a second that read the new manifest.
        unchanged: Polls a second that find nothing new.
    """

    changed: float
    unchanged: float

    def mbit_s(self, cost: Cost) -> float:
        """Return the traffic, millions of bits a second."""
        return (self.changed * cost.changed + self.unchanged * cost.unchanged) * 8 / 1e6


def measured() -> tuple[Cost, Cost]:
    """Measure a poll: over HTTP alone, and with TLS."""
    first = a_repository()
    with serving(first.files) as site, tempfile.TemporaryDirectory() as folder:
        client = Client(State(Path(folder)), first.files["metadata/1.root.json"], [site.url])
        client.poll(BEGAN)
        same = client.poll(BEGAN)
        site.files = first.fork().publish(a_manifest(8)).files
        new = client.poll(BEGAN)
    plain = Cost(unchanged=same.sent_bytes + same.received_bytes, changed=new.sent_bytes + new.received_bytes)
    tls = handshake_bytes() + CHAIN_BYTES
    return plain, Cost(unchanged=plain.unchanged + tls, changed=plain.changed + tls)


def handshake_bytes() -> int:
    """Measure what a TLS connection costs before its first request: no session is kept between polls."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority("an authority")
        authority.issue("localhost", Path(folder), is_server=True)
        inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        inside.load_cert_chain(Path(folder, "tls.crt"), Path(folder, "tls.key"))
    outside = ssl.create_default_context(cadata=authority.pem)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        outside.wrap_bio(down, up, server_hostname="localhost"),
        inside.wrap_bio(up, down, server_side=True),
    )
    counted = 0
    for _ in range(3):
        for side, out in zip(sides, (up, down), strict=True):
            before = out.pending
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
            counted += out.pending - before
    return counted


def calculated(clients: int, noticed: float) -> list[Slot]:
    """Return the hour by slots, from the distribution of the waits.

    A client that asks at a mean wait of b is found by the manifest at a random moment of a wait: its next poll comes
    after t with density (1 - F(t)) / b, F that of a wait. The one after it comes a regular wait later.
    """
    width = SLOT_S / _STEPS
    slots: list[Slot] = []
    for start in range(0, HOUR_S, SLOT_S):
        changed = unchanged = 0.0
        for step in range(_STEPS):
            at = start + (step + 0.5) * width
            for share, mean_s in ((noticed, HURRIED_S), (1 - noticed, REGULAR_S)):
                changed += clients * share * _next(at, mean_s) / _STEPS
                unchanged += clients * share * _after(at, mean_s) / _STEPS
        slots.append(Slot(changed=changed, unchanged=unchanged))
    return slots


def _next(at: float, mean_s: float) -> float:
    """Density of the first poll after a moment, in a client that has waited for long already."""
    shortest, longest = mean_s * (1 - SPREAD), mean_s * (1 + SPREAD)
    share = min(max((at - shortest) / (longest - shortest), 0), 1)
    return (1 - share) / mean_s


def _next_sum(at: float, mean_s: float) -> float:
    """The share of clients whose first poll has come."""
    shortest, longest = mean_s * (1 - SPREAD), mean_s * (1 + SPREAD)
    if at <= shortest:
        return max(at, 0) / mean_s
    over = min(at, longest) - shortest
    return (shortest + over - over * over / (2 * (longest - shortest))) / mean_s


def _after(at: float, mean_s: float) -> float:
    """Density of the second poll, a regular wait after the first; a third does not fit into the hour."""
    shortest, longest = REGULAR_S * (1 - SPREAD), REGULAR_S * (1 + SPREAD)
    return (_next_sum(at - shortest, mean_s) - _next_sum(at - longest, mean_s)) / (longest - shortest)


def simulated(clients: int, noticed: float, random: Random) -> list[Slot]:
    """Return the hour by slots, counted in that many clients that wait as the reference client does."""
    warm_s = 2 * (REGULAR_S if noticed < 1 else HURRIED_S * 2)
    changed, unchanged = ([0] * (HOUR_S // SLOT_S) for _ in range(2))
    due = [(random.uniform(0, REGULAR_S if n >= clients * noticed else HURRIED_S), n) for n in range(clients)]
    heapq.heapify(due)
    has_it = [False] * clients
    while due[0][0] < warm_s + HOUR_S:
        at, number = due[0]
        if at >= warm_s:
            slots = unchanged if has_it[number] else changed
            slots[int((at - warm_s) // SLOT_S)] += 1
            has_it[number] = True
        connected = has_it[number] or number >= clients * noticed
        heapq.heapreplace(due, (at + wait_s(random, connected=connected, unanswered=0), number))
    return [Slot(changed=new / SLOT_S, unchanged=same / SLOT_S) for new, same in zip(changed, unchanged, strict=True)]


def table(clients: int, mirrors: int, noticed: float, sample: int) -> list[str]:
    """Return the hour as lines."""
    plain, cost = measured()
    scale = clients / sample
    lines = [
        f"A poll, bytes in both directions: unchanged {plain.unchanged:,} over HTTP, {cost.unchanged:,} with TLS; "
        f"changed {plain.changed:,} and {cost.changed:,}.",
        f"{clients:,} clients, {noticed:.0%} of them at the hurried pace, {mirrors} mirrors; all mirrors together:",
        "",
        f"{'minutes':>9} {'polls/s':>9} {'changed':>9} {'Mbit/s':>8} {'each mirror':>12} {'simulated polls/s':>18}",
    ]
    simulation = simulated(sample, noticed, Random(_SEED))  # noqa: S311 # to be repeated
    for number, (slot, played) in enumerate(zip(calculated(clients, noticed), simulation, strict=True)):
        begin = number * SLOT_S // 60
        polls = slot.changed + slot.unchanged
        lines.append(
            f"{f'{begin}-{begin + SLOT_S // 60}':>9} {polls:>9,.0f} {slot.changed:>9,.0f} {slot.mbit_s(cost):>8,.0f} "
            f"{slot.mbit_s(cost) / mirrors:>12,.0f} {(played.changed + played.unchanged) * scale:>18,.0f}"
        )
    before = Slot(changed=0, unchanged=clients * (noticed / HURRIED_S + (1 - noticed) / REGULAR_S))
    usual = Slot(changed=0, unchanged=clients / REGULAR_S)
    for what, slot in (("Before it is published", before), ("On a usual day", usual)):
        lines.append(f"{what}: {slot.unchanged:,.0f} polls/s, {slot.mbit_s(cost):,.0f} Mbit/s.")
    return lines


def main(words: Sequence[str] | None = None) -> None:
    """Print the hour."""
    parser = argparse.ArgumentParser(prog="python -m bench.poll_load", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=5_000_000)
    parser.add_argument("--mirrors", type=int, default=3)
    parser.add_argument("--noticed", type=float, default=1.0, help="share of clients that ask at the hurried pace")
    parser.add_argument("--sample", type=int, default=50_000, help="clients that are simulated")
    given = parser.parse_args(words)
    print("\n".join(table(given.clients, given.mirrors, given.noticed, given.sample)))


if __name__ == "__main__":
    main()
