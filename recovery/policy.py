"""Rules of a sound estate that need its rendered files, or all of it. Pure.

What one file or a look across the files can show is `declared`'s; here is what an operator would regret: a template
that misses a variable, a firewall that shuts pulih out, a bundle too big for the lines it travels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

from recovery import firewall
from recovery.errors import DeclarationError, Mistake
from recovery.firewall import Fate, Packet
from recovery.model.bundle import Bundle
from recovery.model.estate import (
    BastionName,
    Endpoint,
    Estate,
    HostKey,
    Login,
    Office,
    Region,
    ServiceClass,
    ServiceName,
    Unit,
)

MAX_BUNDLE_BYTES = 256 * 1024
"""A bundle this big takes two seconds over a satellite line of 1 Mbit/s; ordinary ones have 10 to 20 KiB."""

ENDPOINT_HOST = "endpoint-host"
_OWN = "that is pulih's own way in"


class _Source(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def source(self) -> Path: ...


class _Kind(Protocol):
    @property
    def files(self) -> Sequence[_Source]: ...


class _Templates(Protocol):
    @property
    def folder(self) -> Path: ...
    @property
    def kinds(self) -> Mapping[str, _Kind]: ...


class Renderer(Protocol):
    """What renders units and endpoints (`recovery.render.Renderer`)."""

    @property
    def templates(self) -> _Templates:
        """The templates it renders."""
        ...

    def unit(self, region: Region, office: Office, unit: Unit) -> Bundle:
        """Render one unit."""
        ...

    def endpoint(self, endpoint: Endpoint) -> Bundle:
        """Render the host of one endpoint."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    """A unit or endpoint to render."""

    name: str
    kind: str
    login: Login
    bastion: BastionName | None
    render: Callable[[], Bundle]


def check(estate: Estate, renderer: Renderer) -> tuple[Mistake, ...]:
    """Render every unit that is not retired, and every endpoint, and judge what comes out.

    Returns:
        All mistakes in the order of file and line; one that a template makes at many units is named once, with the
        first of them.
    """
    found: dict[tuple[Path, int, str, str], tuple[Mistake, list[str]]] = {}

    def note(mistake: Mistake, rule: str, host: str) -> None:
        found.setdefault((mistake.file, mistake.line, mistake.path, rule), (mistake, []))[1].append(host)

    for host in _hosts(estate, renderer):
        try:
            bundle = host.render()
        except DeclarationError as error:
            for mistake in error.mistakes:
                note(mistake, "renders", host.name)
            continue
        for rule, mistake in _faults(estate, renderer.templates, host, bundle):
            note(mistake, rule, host.name)
    mistakes = [_with_count(mistake, hosts) for mistake, hosts in found.values()]
    return tuple(sorted(mistakes, key=lambda mistake: (str(mistake.file), mistake.line, mistake.path)))


def warnings(estate: Estate) -> tuple[str, ...]:
    """Return what is allowed and still worth a sentence: no standby, a host key that is not one host's alone."""
    return (*without_standby(estate), *shared_host_keys(estate))


def shared_host_keys(estate: Estate) -> tuple[str, ...]:
    """Name hosts that pin the same host key: each of them can pass for the others."""
    holders: dict[HostKey, list[str]] = {}
    for bastion in estate.bastions.values():
        holders.setdefault(bastion.login.host_key, []).append(bastion.name)
    for endpoint in estate.endpoint.values():
        holders.setdefault(endpoint.login.host_key, []).append(endpoint.name)
    for _, _, unit in estate.places():
        if not unit.retired:
            holders.setdefault(unit.login.host_key, []).append(unit.name)
    return tuple(
        f"{names[0]} and {names[1]}{f' and {len(names) - 2} more' if len(names) > 2 else ''} pin the same host key: "
        "whoever holds its private half can pass for each of them"
        for names in holders.values()
        if len(names) > 1
    )


def without_standby(estate: Estate) -> tuple[str, ...]:
    """Name services that could not be recovered elsewhere."""
    used = {unit.service for _, _, unit in estate.places() if not unit.retired}
    wanted: set[ServiceName] = set()
    waiting = [name for name in used if estate.service[name].service_class is ServiceClass.SERVING]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += estate.service[name].after
    sentences: list[str] = []
    for service in estate.services:
        centres = [centre.name for centre in estate.data_centres if (service.name, centre.name) in estate.endpoint]
        if service.name in wanted and len(centres) < 2:
            where = f"at {centres[0]} only" if centres else "nowhere"
            sentences.append(
                f"{service.name} has an endpoint {where}: when that is lost there is no data centre to recover it to"
            )
    return tuple(sentences)


def _hosts(estate: Estate, renderer: Renderer) -> Iterator[_Host]:
    for centre in estate.data_centres:
        for endpoint in centre.endpoints:
            yield _Host(
                name=endpoint.name,
                kind=ENDPOINT_HOST,
                login=endpoint.login,
                bastion=centre.bastion,
                render=lambda endpoint=endpoint: renderer.endpoint(endpoint),
            )
    for region, office, unit in estate.places():
        if not unit.retired:
            yield _Host(
                name=unit.name,
                kind=estate.service[unit.service].unit_kind or "",
                login=unit.login,
                bastion=office.bastion,
                render=lambda region=region, office=office, unit=unit: renderer.unit(region, office, unit),
            )


def _with_count(mistake: Mistake, hosts: Sequence[str]) -> Mistake:
    if len(hosts) == 1:
        return mistake
    others = f"{len(hosts) - 1} other{'s' if len(hosts) > 2 else ''}"
    message = f"{mistake.message} (and so for {others})"
    return Mistake(file=mistake.file, line=mistake.line, path=mistake.path, message=message)


def _faults(estate: Estate, templates: _Templates, host: _Host, bundle: Bundle) -> Iterator[tuple[str, Mistake]]:
    """Yield what is wrong with a bundle, each with the rule it breaks."""
    unit_yaml = templates.folder / host.kind / "unit.yaml"
    size = sum(len(file.content) for file in bundle.files)
    if size > MAX_BUNDLE_BYTES:
        words = f"makes a bundle of {size} bytes for {host.name}, expected at most {MAX_BUNDLE_BYTES}"
        yield "size", Mistake(file=unit_yaml, line=1, path="files", message=words)
    if not bundle.files:
        words = f"makes a bundle without a file for {host.name}, expected at least one"
        yield "size", Mistake(file=unit_yaml, line=1, path="files", message=words)
    for file in bundle.files:
        if file.path.endswith(".nft"):
            source = _source(templates, host.kind, file.path)
            for rule, words in _closed(estate, host, file.content.decode(errors="replace")):
                yield rule, Mistake(file=source, line=1, path="(template)", message=f"{file.path} {words}")


def _source(templates: _Templates, kind: str, path: str) -> Path:
    """Return the template that a file of a bundle is made from."""
    files = templates.kinds[kind].files if kind in templates.kinds else ()
    return next((file.source for file in files if file.path == path), templates.folder / kind / "unit.yaml")


def _closed(estate: Estate, host: _Host, text: str) -> Iterator[tuple[str, str]]:
    """Yield what an nftables file shuts that pulih needs: its own way in, and connections that stand.

    Without the first a unit that took this file could never be given another one; without the second the very
    connection that brought it would break before the answer.
    """
    rules = firewall.read(text)
    port, bastion = host.login.port, None if host.bastion is None else estate.bastions[host.bastion]
    source = None if bastion is None else ip_address(bastion.login.address)
    packet = Packet(state="new", source=source, target=ip_address(host.login.address), port=port)
    sender = "anywhere" if bastion is None else f"bastion {bastion.name} ({bastion.login.address})"
    way = f"new connections to TCP port {port} from {sender}"
    match _verdict(rules.fates("input", packet)):
        case None:
            yield (
                "input",
                f"has no input chain for {host.name}, expected one that accepts {way}: {_OWN}",
            )
            return
        case Fate.ACCEPTED:
            pass
        case Fate.DROPPED:
            yield (
                "ssh",
                f"drops, or may drop, {way} to {host.name} before a rule accepts them: {_OWN}",
            )
        case _:
            yield "ssh", f"has no rule that accepts {way} to {host.name}: {_OWN}"
    standing = Packet(state="established")
    if _verdict(rules.fates("input", standing)) is not Fate.ACCEPTED:
        words = "expected `ct state established,related accept` before any drop"
        yield "established", f"breaks established connections in the input chain of {host.name}; {words}"
    if _verdict(rules.fates("output", standing)) in (Fate.DROPPED, Fate.DROPPED_BY_POLICY):
        words = "expected `ct state established,related accept` before any drop"
        yield "replies", f"breaks established connections in the output chain of {host.name}; {words}"


def _verdict(fates: Iterable[Fate]) -> Fate | None:
    """Return what several chains at one hook do together; None when there is none.

    To be accepted by a policy is not enough: the next change of the policy would shut the door.
    """
    every = set(fates)
    for fate in (Fate.DROPPED, Fate.DROPPED_BY_POLICY, Fate.ACCEPTED, Fate.ACCEPTED_BY_POLICY):
        if fate in every:
            return fate
    return None
