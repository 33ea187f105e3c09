"""What a practice estate has published before it loses a data centre: last month's manifest, and two roots since."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from recovery.model.estate import Estate
from recovery.model.publish import Publish
from recovery.publish import ceremony, keys, manifest, places, publisher, request
from recovery.publish.change import Change
from recovery.publish.keys import name_of

_TURNED = "timestamp"
"""The role whose key is replaced. One that is not root's takes two roots to be."""


def publish_last_month(estate: Estate, publish: Publish) -> None:
    """Publish what was true last month: the same places, and another message.

    Raises:
        PublishError: It can't be.
    """
    then = replace(publish, message={"id": "Latihan: bulan lalu.", "en": "Practice: last month."})
    found = places.found(publish)
    _bring(request.of_news(found, manifest.content(estate, then), datetime.now(UTC)), publish)


def turn_keys(publish: Publish) -> int:
    """Replace an online key, as after a theft; return the version of the newest root.

    Raises:
        PublishError: It can't be.
    """
    found = places.found(publish)
    old = [found.chain.newest.keys[keyid] for keyid in found.chain.newest.roles[_TURNED].keyids]
    new = ceremony.machine_key(publish.online, _TURNED)
    change = Change(add=[(_TURNED, new.key)], remove=[name_of(key) for key in old])
    return _bring(request.of_change(found, change, datetime.now(UTC)), publish)


def _bring(asked: request.Request, publish: Publish) -> int:
    found = places.found(publish)
    people = [] if publish.offline is None else places.files_in(publish.offline)
    request.sign(asked, [keys.read(file, lambda _name: ()).signer for file in people])
    online = [pair.signer for pair in places.online(publish)]
    return publisher.publish(found, asked, online, publish.roots, datetime.now(UTC)).chain.version
