"""Between the declaration and the publisher: what is declared, whose keys sign, what the next time hears of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

from recovery.cli import loading
from recovery.cli.context import now
from recovery.cli.output import write_file
from recovery.declared import load
from recovery.errors import PublishError, RefusedError
from recovery.files import read_regular
from recovery.model.estate import Estate
from recovery.model.publish import Publish
from recovery.publish import keys, manifest, places, publisher, request, token
from recovery.publish.looking import Found
from recovery.publish.publisher import Published
from recovery.publish.request import Request
from recovery.report.text import json_text

RECORD = "published.json"
"""What was published last from this machine, in the state folder: for warnings only, nothing hangs on it."""
MAX_RECORD_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An estate that publishes."""

    estate: Estate
    publish: Publish


def declared_publish(folder: Path) -> Declared:
    """Read an estate that publishes. What its units are made of is not looked at: apps are told nothing of it.

    Raises:
        DeclarationError: Every mistake of its files.
        RefusedError: It is illustrative.
        PublishError: It publishes nothing.
    """
    estate = load(folder)
    loading.refuse_illustrative(estate)
    if estate.publish is None:
        raise PublishError(f"{estate.folder / 'estate.yaml'} declares no `publish:` (docs/estate.md)")
    return Declared(estate=estate, publish=estate.publish)


def asked(found: Found, estate: Estate, publish: Publish, *, settle: bool = False) -> Request:
    """Ask for what the placement leads to now; with `settle` in any case, above all that any mirror tells."""
    return request.of_news(found, manifest.content(estate, publish), now(), settle=settle)


def sign(asked: Request, words: Iterable[str | Path], passphrases: keys.Passphrases, *, practice: bool) -> list[str]:
    """Sign with the keys of people, and return what was signed, by key.

    Args:
        asked: What is to be signed.
        words: The keys: files, or `hsm:…` for those on a token.
        passphrases: Tells them, and the PINs of tokens.
        practice: Whether files may be used that are not encrypted.

    Raises:
        PublishError: A key can't be read or opened.
        RefusedError: It is not encrypted, and this is not for practice.
    """
    done: list[str] = []
    for word in words:
        if isinstance(word, str) and token.is_token(word):
            name, signer = word, token.read(word, passphrases)
        else:
            pair = keys.read(Path(word), passphrases)
            if not pair.is_encrypted and not practice:
                raise RefusedError(
                    f"{word} is not encrypted: whoever has had the file may have signed with it. Replace that key "
                    "(`pulih keys change`)"
                )
            name, signer = pair.name, pair.signer
        names = request.sign(asked, [signer])
        done.append(f"{name} signed {', '.join(names)}" if names else f"{name} has nothing to sign here")
    return done


def bring(found: Found, asked: Request, publish: Publish, state: Path) -> Published:
    """Bring what was signed to every mirror.

    Raises:
        PublishError: Signatures or keys are missing; nothing was written.
    """
    online = [pair.signer for pair in places.online(publish)]
    done = publisher.publish(found, asked, online, publish.roots, now())
    if any(mirror.error is None for mirror in done.mirrors):
        write_file(state / RECORD, json_text(to_json(done), indent=1) + "\n")
    return done


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


def recorded(state: Path) -> dict[str, datetime]:
    """Return until when each role was good when this machine published last; empty where it never has."""
    try:
        stored = json.loads(read_regular(state / RECORD, MAX_RECORD_BYTES))
        moments = cast("dict[str, str]", stored["expires"])
        return {role: datetime.fromisoformat(moment) for role, moment in moments.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
