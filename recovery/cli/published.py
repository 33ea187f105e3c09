"""Between the declaration and the publisher: what is declared, which keys are there, what is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from recovery.cli import loading
from recovery.errors import PublishError, RefusedError
from recovery.model.estate import Estate
from recovery.model.publish import Publish
from recovery.publish import keys
from recovery.publish.publisher import Published
from recovery.report.text import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An estate that publishes."""

    estate: Estate
    publish: Publish


def declared_publish(folder: Path) -> Declared:
    """Read an estate that publishes.

    Raises:
        DeclarationError: Every mistake that was found.
        RefusedError: It is illustrative.
        PublishError: It publishes nothing.
    """
    estate = loading.connectable(folder).estate
    if estate.publish is None:
        raise PublishError(f"{estate.folder / 'estate.yaml'} declares no `publish:` (docs/estate.md)")
    return Declared(estate=estate, publish=estate.publish)


def people(files: Iterable[Path], passphrases: keys.Passphrases, *, practice: bool) -> list[keys.Pair]:
    """Read the keys of people.

    Raises:
        PublishError: One can't be read or opened.
        RefusedError: One is not encrypted, and this is not for practice.
    """
    found: list[keys.Pair] = []
    for file in files:
        pair = keys.read(file, passphrases)
        if not pair.is_encrypted and not practice:
            raise RefusedError(
                f"{file} is not encrypted: whoever has had the file may have signed with it. Replace that key "
                "(`pulih keys change`)"
            )
        found.append(pair)
    return found


def to_json(published: Published) -> dict[str, object]:
    """Return a publication as JSON, `pulih/publish/v1`."""
    content = published.content
    return {
        "schema": "pulih/publish/v1",
        "config_epoch": content.versions.config_epoch,
        "is_news": published.is_news,
        "versions": {
            "root": published.chain.version,
            "targets": content.versions.targets,
            "snapshot": content.versions.snapshot,
            "timestamp": content.versions.timestamp,
        },
        "expires": {role: moment.isoformat() for role, moment in expiries(published).items()},
        "mirrors": [
            {"name": each.name, "files": each.files, "was": each.was, "error": each.error} for each in published.mirrors
        ],
    }


def expiries(published: Published) -> dict[str, datetime]:
    """Return until when each role is good."""
    return {"root": published.chain.newest.expires, **published.content.expires}


def lines(published: Published) -> Iterator[str]:
    """Say what was published, and where."""
    content = published.content
    what = "published" if published.is_news else "renewed"
    reached = sum(mirror.error is None for mirror in published.mirrors)
    epoch, count = content.versions.config_epoch, len(published.mirrors)
    yield f"{what}: config_epoch {epoch} at {reached} of {count} mirror{'' if count == 1 else 's'}"
    for mirror in published.mirrors:
        if mirror.error is not None:
            yield printable(f"failed: {mirror.error}")
        elif mirror.was is not None:
            yield printable(f"brought up: {mirror.name}: {mirror.was}")
    for role, moment in expiries(published).items():
        yield f"{role} good until {moment:%Y-%m-%d %H:%M} UTC"
