"""Reads a rendered nftables file and says what becomes of a packet. Pure.

Understands the block form (`table … { chain … { … } }`) and the usual matches. What it doesn't understand counts
against the file: a match it can't judge never opens the way and may well close it. Whether the file is valid at all is
left to `nft -c`. Source: nft(8), sections "CHAINS", "VERDICT STATEMENTS" and "CONNTRACK EXPRESSIONS".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_WORD = re.compile(r'\\\n|#[^\n]*|"[^"\n]*"|[{};,\n()|&]|!=|==|=|[^\s{};,"#()|&=!]+|\S')
_VERDICTS = frozenset({"accept", "drop", "reject", "return", "jump", "goto", "continue", "queue"})
_LOG_OPTIONS = frozenset({"prefix", "level", "flags", "group", "snaplen", "queue-threshold"})
_MAX_JUMPS = 16
"""Deepest chain of jumps that the kernel takes, too."""


class Fate(StrEnum):
    """What a chain does with a packet."""

    ACCEPTED = "accepted"
    """A rule says so."""
    DROPPED = "dropped"
    """A rule says so, or a rule that may apply."""
    ACCEPTED_BY_POLICY = "accepted by policy"
    DROPPED_BY_POLICY = "dropped by policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet, as far as it is known; None means it could be anything.

    Attributes:
        state: Of its connection: `new` or `established`.
        source: IP address it comes from.
        target: IP address it goes to.
        port: TCP port it goes to; None for a packet of any protocol.
    """

    state: str
    source: IPv4Address | IPv6Address | None = None
    target: IPv4Address | IPv6Address | None = None
    port: int | None = None


@dataclass(slots=True)
class Chain:
    """One chain of a table.

    Attributes:
        hook: `input`, `output` and so on; empty for a chain that only others jump to.
        rules: Their words, in order.
    """

    name: str
    hook: str = ""
    policy: str = "accept"
    rules: list[list[str]] = field(default_factory=list[list[str]])


@dataclass(slots=True)
class Ruleset:
    """The chains of a file, by table and name."""

    tables: dict[str, dict[str, Chain]]

    def fates(self, hook: str, packet: Packet) -> list[Fate]:
        """Return what each chain at a hook does with a packet; it passes when none drops it."""
        return [
            _fate(chain, chains, packet)
            for chains in self.tables.values()
            for chain in chains.values()
            if chain.hook == hook
        ]


def read(text: str) -> Ruleset:
    """Read a file."""
    tables: dict[str, dict[str, Chain]] = {}
    variables: dict[str, list[str]] = {}
    stack: list[str] = []
    chain: Chain | None = None
    for words, end in _statements(text):
        if words[:1] == ["define"] and len(words) > 3 and words[2] == "=":
            variables[f"${words[1]}"] = words[3:]
        words = [word for each in words for word in variables.get(each, [each])]
        if end == "{":
            stack.append(" ".join(words))
            if words[:1] == ["chain"] and len(stack) == 2:
                chain = tables.setdefault(stack[0], {}).setdefault(words[-1], Chain(words[-1]))
        elif chain is not None and words:
            _take(chain, words)
        if end == "}" and stack:
            stack.pop()
            chain = None
    return Ruleset(tables)


def _statements(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield each statement's words and what ends it: a newline, `;`, or the brace of a block."""
    words: list[str] = []
    depth = 0
    for found in _WORD.finditer(text):
        word = found.group()
        if word.startswith("#") or word == "\\\n":
            continue
        if depth == 0 and word == "{" and words and words[0] in ("table", "chain", "set", "map", "flowtable"):
            yield words, "{"
            words = []
        elif depth == 0 and word in ("\n", ";", "}"):
            yield words, word
            words = []
        elif word != "\n":
            depth += {"{": 1, "}": -1}.get(word, 0)
            words.append(word)
    yield words, ""


def _take(chain: Chain, words: list[str]) -> None:
    if words[0] == "type" and "hook" in words[:-1]:
        chain.hook = words[words.index("hook") + 1]
    elif words[0] == "policy":
        chain.policy = words[-1]
    elif words[0] not in ("comment", "devices", "device"):
        chain.rules.append(words)


def _fate(chain: Chain, chains: Mapping[str, Chain], packet: Packet) -> Fate:
    fate = _walk(chain, chains, packet, 0)
    if fate is not None:
        return fate
    return Fate.DROPPED_BY_POLICY if chain.policy == "drop" else Fate.ACCEPTED_BY_POLICY


def _walk(chain: Chain, chains: Mapping[str, Chain], packet: Packet, depth: int) -> Fate | None:
    """Return what the rules do with a packet; None when it falls off their end."""
    for rule in chain.rules:
        applies, verdict = _judge(rule, packet)
        if applies is False:
            continue
        match verdict[:1]:
            case ["accept"] if applies:
                return Fate.ACCEPTED
            case ["drop"] | ["reject"] | ["queue"]:
                return Fate.DROPPED
            case ["return"] if applies:
                return None
            case ["jump"] | ["goto"]:
                target = chains.get(verdict[-1])
                if target is None or depth >= _MAX_JUMPS:
                    return Fate.DROPPED
                fate = _walk(target, chains, packet, depth + 1)
                if fate is Fate.DROPPED or (fate is not None and applies):
                    return fate
                if verdict[0] == "goto" and applies:
                    return None
            case _:
                pass
    return None


def _judge(rule: Sequence[str], packet: Packet) -> tuple[bool | None, list[str]]:
    """Say whether a rule applies (None: perhaps), and its verdict with the chain it names."""
    applies: bool | None = True
    words = list(rule)
    while words:
        if words[0] in _VERDICTS:
            return applies, words[:2]
        if words[:3] == ["ct", "state", "vmap"]:
            return applies, _mapped(words[3:], packet)
        here, used = _match(words, packet)
        words = words[used:]
        if here is False:
            applies = False
        elif here is None and applies:
            applies = None
    return applies, []


def _mapped(words: Sequence[str], packet: Packet) -> list[str]:
    """Return the verdict that a verdict map has for a packet's connection state."""
    found = re.search(rf"\b{packet.state} ?: ?(\w+)(?: (\w+))?", " ".join(words))
    return [word for word in found.groups() if word] if found else []


def _match(words: Sequence[str], packet: Packet) -> tuple[bool | None, int]:
    """Judge the first match of some words; return also how many of them it takes."""
    key = " ".join(words[:2])
    if words[0] in ("iif", "iifname", "oif", "oifname"):
        return _among(words, 1, _interface)
    if key in ("meta iif", "meta iifname", "meta oif", "meta oifname"):
        return _among(words, 2, _interface)
    if key == "ct state":
        return _among(words, 2, lambda value: value == packet.state)
    if key in ("ip saddr", "ip6 saddr", "ip daddr", "ip6 daddr"):
        version = 6 if words[0] == "ip6" else 4
        address = packet.source if words[1] == "saddr" else packet.target
        return _among(words, 2, lambda value: _covers(value, address, version))
    if key in ("tcp dport", "th dport"):
        return _among(words, 2, lambda value: _is_port(value, packet.port))
    if key in ("meta l4proto", "ip protocol", "ip6 nexthdr"):
        return _among(words, 2, lambda value: None if packet.port is None else value in ("tcp", "6"))
    if words[0] in ("udp", "icmp", "icmpv6", "sctp") and packet.port is not None:
        return False, 1
    if words[0] == "counter":
        return True, 5 if words[1:2] == ["packets"] else 1
    if words[0] == "comment":
        return True, 2
    if words[0] == "log":
        used = 1
        while words[used : used + 1] and words[used] in _LOG_OPTIONS:
            used += 2
        return True, used
    return None, 1


def _among(words: Sequence[str], start: int, test: Callable[[str], bool | None]) -> tuple[bool | None, int]:
    """Judge a match on one value, a list or a set, perhaps negated."""
    at = start
    is_negated = words[at : at + 1] == ["!="]
    if is_negated or words[at : at + 1] in (["=="], ["in"]):
        at += 1
    values: list[str] = []
    if words[at : at + 1] == ["{"]:
        end = list(words).index("}", at) if "}" in words[at:] else len(words)
        values, at = [word for word in words[at + 1 : end] if word != ","], end + 1
    else:
        values, at = list(words[at : at + 1]), at + 1
        while words[at : at + 1] == [","]:
            values, at = [*values, *words[at + 1 : at + 2]], at + 2
    answers: list[bool | None] = [test(value.strip('"')) for value in values]
    found = True if True in answers else None if None in answers else False
    return (not found if is_negated and found is not None else found), at


def _interface(name: str) -> bool | None:
    """Packets that matter here come over a wire: over which one is not known."""
    return False if name == "lo" else None


def _covers(value: str, address: IPv4Address | IPv6Address | None, version: int) -> bool | None:
    if address is None:
        return None
    if address.version != version:
        return False
    first, dash, last = value.partition("-")
    try:
        if dash:
            return ip_address(first).packed <= address.packed <= ip_address(last).packed
        return address in ip_network(value, strict=False)
    except ValueError:
        return None


def _is_port(value: str, port: int | None) -> bool | None:
    if port is None:
        return None
    first, dash, last = ("22" if value == "ssh" else value).partition("-")
    if not first.isdigit() or (dash and not last.isdigit()):
        return None
    return int(first) <= port <= int(last or first)
