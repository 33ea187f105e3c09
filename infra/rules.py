"""Rules that the resources of a stack keep, whoever wrote the program that declares them. Pure.

The policy pack in `infra/policy` asks them of every resource. What the estate itself must keep is in `recovery.policy`,
how far one change may reach in `recovery.review.reach`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from recovery.model.estate import Estate, Login
from recovery.report.masking import masked

Inputs = Mapping[str, object]

REMOTE = "command:remote:"
"""What the types of pulumi-command begin with that connect to a host."""

_DIGESTS = ("pulih:index:Unit", "pulih:index:Endpoint")
"""Their `files` are digests by path; a path such as `gateway/password.conf` names no secret."""


def unpinned(kind: str, inputs: Inputs, estate: Estate | None) -> Iterator[str]:
    """Say why a resource would connect to a host that could be any.

    pulumi-command takes whatever key a host shows, unless it is given one.

    Args:
        kind: Type of the resource.
        inputs: Its inputs.
        estate: Says which key a declared host has; None where it can't be read.
    """
    if not kind.startswith(REMOTE):
        return
    connection = _map(inputs.get("connection"))
    yield from _connection("connection", connection, estate)
    if connection.get("proxy"):
        yield from _connection("connection.proxy", _map(connection.get("proxy")), estate)


def _connection(path: str, connection: Inputs, estate: Estate | None) -> Iterator[str]:
    key, host = connection.get("hostKey"), connection.get("host")
    if not isinstance(key, str) or not key.strip():
        yield (
            f"{path}.hostKey is missing: without it pulumi-command sends its commands to whoever answers at {host}. "
            "Give the host's declared key."
        )
        return
    for login in _logins(estate):
        port = connection.get("port") or 22
        if (login.address, login.port) == (host, int(str(port).partition(".")[0])) and login.host_key != key:
            yield f"{path}.hostKey is not the key that the estate declares for {host}. Give that one."


def _logins(estate: Estate | None) -> Iterator[Login]:
    if estate is not None:
        yield from (bastion.login for bastion in estate.bastions.values())
        yield from (endpoint.login for endpoint in estate.endpoint.values())
        yield from (unit.login for _, _, unit in estate.places() if not unit.retired)


def secrets(kind: str, inputs: Inputs) -> Iterator[str]:
    """Say which inputs look like secrets; never repeats one.

    Encrypted ones are no exception: the passphrase may burn with the data centre, and a host reads its own secrets.
    """
    for path, name, text in _texts("", "", inputs):
        if kind in _DIGESTS and path.startswith("files["):
            name = ""
        lines = [*text.splitlines(), f"{name} = {text}" if name and text else ""]
        if any(shown != line for shown, line in zip(masked(lines), lines, strict=True)):
            yield (
                f"{path} looks like a secret: inputs are kept in the state and shown in previews, so they must hold "
                "none. Let the host read it from its private folder, and log in with keys of an SSH agent."
            )


def _texts(path: str, name: str, value: object) -> Iterator[tuple[str, str, str]]:
    """Yield every text inside a value, with its path and the name it stands under."""
    if isinstance(value, str):
        yield path, name, value
    elif isinstance(value, Mapping):
        for key, inner in cast(Mapping[str, object], value).items():
            simple = key.replace("_", "").isalnum()
            step = (f".{key}" if path else key) if simple else f'["{key}"]'
            yield from _texts(path + step, key, inner)
    elif isinstance(value, Sequence):
        for place, inner in enumerate(cast(Sequence[object], value)):
            yield from _texts(f"{path}[{place}]", name, inner)


def _map(value: object) -> Inputs:
    return cast(Inputs, value) if isinstance(value, Mapping) else {}
