"""Reads an nginx configuration as far as the lab needs it: its shape, where it listens, where the probe goes. Pure.

What nginx itself thinks of the same file is proved in `tests/cases`, with the real program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PROBE_PATH = "/pulih/probe"
_TOKEN = re.compile(r"""\s+|\#[^\n]*|(?P<mark>[{};])|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s{};"']+)""")
_URL = re.compile(r"https?://(?P<place>[^/]+)(?:/.*)?")


class ShapeError(ValueError):
    """The text is not a configuration; says what is wrong with it, in words for the unit's transcript."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive, with the ones in its braces."""

    name: str
    words: tuple[str, ...]
    block: tuple[Directive, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What a loaded configuration does.

    Attributes:
        listens: Addresses and TCP ports it takes connections at.
        probe_goes_to: Address and TCP port to which it passes `GET /pulih/probe`.
    """

    listens: frozenset[tuple[str, int]]
    probe_goes_to: tuple[str, int]


def parse(text: str) -> tuple[Directive, ...]:
    """Return the directives of a configuration.

    Raises:
        ShapeError: It is empty, or its braces, quotes or semicolons don't fit.
    """
    tokens = _tokens(text)
    directives = _block(tokens, depth=0)
    if not directives:
        raise ShapeError("the file is empty")
    return directives


def gateway(directives: tuple[Directive, ...]) -> Gateway:
    """Return what a parsed configuration does.

    Raises:
        ShapeError: It listens nowhere, or passes the probe nowhere.
    """
    everything = tuple(_all(directives))
    listens = frozenset(
        _place(directive.words[0]) for directive in everything if directive.name == "listen" and directive.words
    )
    if not listens:
        raise ShapeError("no `listen`")
    upstreams = {
        directive.words[0]: _place(server.words[0])
        for directive in everything
        if directive.name == "upstream" and directive.words
        for server in (directive.block or ())[:1]
        if server.name == "server" and server.words
    }
    return Gateway(listens=listens, probe_goes_to=_probe(everything, upstreams))


def _probe(everything: tuple[Directive, ...], upstreams: dict[str, tuple[str, int]]) -> tuple[str, int]:
    best: tuple[int, str] | None = None
    for location in everything:
        if location.name != "location" or not location.words or location.words[0].startswith("~"):
            continue
        path, is_exact = location.words[-1], location.words[0] == "="
        if not (path == PROBE_PATH if is_exact else PROBE_PATH.startswith(path)):
            continue
        rank = len(path) + is_exact
        for directive in location.block or ():
            if directive.name == "proxy_pass" and directive.words and (best is None or rank > best[0]):
                best = (rank, directive.words[0])
    if best is None:
        raise ShapeError(f"no `proxy_pass` for {PROBE_PATH}")
    url = _URL.fullmatch(best[1])
    if url is None:
        raise ShapeError(f"`proxy_pass {best[1]}` is not a URL")
    place = url["place"]
    return upstreams[place] if place in upstreams else _place(place)


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ShapeError(f"`{text}` is not an address and a port")
    return host.strip("[]"), int(port)


def _all(directives: tuple[Directive, ...]) -> Iterator[Directive]:
    for directive in directives:
        yield directive
        yield from _all(directive.block or ())


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Yield words and marks; the flag tells the marks `{`, `}` and `;`."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ShapeError(f"line {text.count(chr(10), 0, position) + 1}: a quote that does not end")
        position = match.end()
        if match["mark"]:
            yield match["mark"], True
        elif match.lastgroup is not None:
            yield match[match.lastgroup], False


def _block(tokens: Iterator[tuple[str, bool]], depth: int) -> tuple[Directive, ...]:
    found: list[Directive] = []
    words: list[str] = []
    for text, is_mark in tokens:
        if not is_mark:
            words.append(text)
        elif text == "}":
            if words:
                raise ShapeError(f"`{words[0]}` is not ended by `;`")
            if depth == 0:
                raise ShapeError("a `}` too many")
            return tuple(found)
        elif not words:
            raise ShapeError(f"`{text}` without a directive")
        else:
            block = _block(tokens, depth + 1) if text == "{" else None
            found.append(Directive(words[0], tuple(words[1:]), block))
            words = []
    if words:
        raise ShapeError(f"`{words[0]}` is not ended by `;`")
    if depth:
        raise ShapeError("a `}` is missing")
    return tuple(found)
