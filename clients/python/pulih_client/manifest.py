"""What a manifest says, checked: `citizen-app.json`, schema `pulih/citizen-app/v1`; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import cast
from urllib.parse import urlsplit

from pulih_client.reasons import Reason, RefusedError

SCHEMA = "pulih/citizen-app/v1"

MAX_EPOCH = 2**53 - 1
"""The largest whole number that every JSON reader keeps. Source: RFC 8259, section 6."""

MAX_PLACES = 1000
MAX_URL = 2000
MAX_TEXT = 2000

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,62})")
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a service is, at one data centre."""

    data_centre: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a manifest says.

    Attributes:
        config_epoch: Grows with each change of the content.
        minimum_version: Of the app; an older one follows the manifest all the same, and asks to be updated.
        services: By service, its places, the preferred one first.
        reset: What the app is to forget.
        keep: What it is not to forget, whatever `reset` says.
        message: What people are told when it is taken into use, by language: `id` and `en`; may be empty.
        raw: The text itself.
    """

    config_epoch: int
    minimum_version: str
    services: Mapping[str, tuple[Place, ...]]
    reset: tuple[str, ...]
    keep: tuple[str, ...]
    message: Mapping[str, str]
    raw: str

    def asks_for_update_of(self, version: str) -> bool:
        """Whether a version of the app is older than the minimum."""
        return _numbers(version) < _numbers(self.minimum_version)


def read(data: bytes) -> Manifest:
    """Read a manifest; fields that are unknown are left alone, so that later versions may add some.

    Raises:
        RefusedError: It is not one that this client can follow.
    """
    try:
        raw = data.decode("utf-8")
        document: object = json.loads(raw, parse_constant=_no_number)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _bad(f"it is not JSON: {str(error)[:100]}") from error
    fields = _object(document, "the manifest")
    if (schema := fields.get("schema")) != SCHEMA:
        raise _bad(f"schema is {str(schema)[:60]!r}, expected {SCHEMA!r}")
    epoch = fields.get("config_epoch")
    if type(epoch) is not int or not 1 <= epoch <= MAX_EPOCH:
        raise _bad("config_epoch is not a whole number from 1 to 2^53 - 1")
    minimum = fields.get("minimum_version", "0")
    if not isinstance(minimum, str) or _VERSION.fullmatch(minimum) is None:
        raise _bad("minimum_version is not a version such as 4.2.0")
    return Manifest(
        config_epoch=epoch,
        minimum_version=minimum,
        services=_services(fields.get("services")),
        reset=_names(fields.get("reset", []), "reset"),
        keep=_names(fields.get("keep", []), "keep"),
        message=_message(fields.get("message", {})),
        raw=raw,
    )


def _services(value: object) -> Mapping[str, tuple[Place, ...]]:
    services: dict[str, tuple[Place, ...]] = {}
    count = 0
    for name, listed in _object(value, "services").items():
        if _NAME.fullmatch(name) is None:
            raise _bad(f"services has {name[:60]!r}, which is no name of a service")
        places = tuple(_place(place, name) for place in _list(listed, f"services.{name}"))
        count += len(places)
        if not places or count > MAX_PLACES:
            raise _bad(f"services.{name} has no place, or there are more than {MAX_PLACES} in all")
        services[name] = places
    if not services:
        raise _bad("services is empty")
    return services


def _place(value: object, service: str) -> Place:
    fields = _object(value, f"services.{service}")
    data_centre, url = fields.get("data_centre"), fields.get("url")
    if not isinstance(data_centre, str) or _NAME.fullmatch(data_centre) is None:
        raise _bad(f"services.{service} has no name of a data centre")
    if not isinstance(url, str) or not is_allowed(url):
        raise _bad(f"services.{service}: {str(url)[:100]!r} is no https address")
    return Place(data_centre=data_centre, url=url)


def is_allowed(url: str) -> bool:
    """Whether an address may be connected to: https, or plain http to this machine itself, for practice."""
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or port == 0 or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _message(value: object) -> Mapping[str, str]:
    texts = _object(value, "message")
    if not all(isinstance(text, str) and len(text) <= MAX_TEXT for text in texts.values()):
        raise _bad("message is not a text by language")
    return cast(dict[str, str], texts)


def _names(value: object, field: str) -> tuple[str, ...]:
    names = _list(value, field)
    if not all(isinstance(name, str) and len(name) <= MAX_TEXT for name in names):
        raise _bad(f"{field} is not a list of names")
    return tuple(cast(list[str], names))


def _object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _bad(f"{what} is not an object")
    return cast(dict[str, object], value)


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise _bad(f"{what} is not a list")
    return cast(list[object], value)


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def _bad(text: str) -> RefusedError:
    return RefusedError(Reason.BAD_MANIFEST, "manifest", text)
