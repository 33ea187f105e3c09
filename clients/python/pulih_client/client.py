"""Asks the mirrors, and takes a new configuration into use when there is one that may be trusted."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from random import Random, SystemRandom

from tuf.api.exceptions import DownloadError

from pulih_client import manifest
from pulih_client.fetch import Mirror
from pulih_client.limits import LIMITS, Limits
from pulih_client.manifest import Manifest
from pulih_client.reasons import Reason, Refusal, RefusedError
from pulih_client.state import Applied, Seen, State
from pulih_client.trust import Trust, refusal

TIMESTAMP = "metadata/timestamp.json"

NO_ETAGS: Mapping[str, str] = {}

_NOBODY = frozenset({Reason.UNREACHABLE, Reason.TOO_SLOW})


class Outcome(StrEnum):
    """How a poll ended."""

    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    """No mirror could be followed, and at least one of them answered."""
    OFFLINE = "offline"
    """No mirror answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What came of a poll.

    Attributes:
        refusals: By mirror that could not be followed, in the order in which they were tried.
        sent_bytes: Over HTTP, without TLS and what lies below.
        received_bytes: As well.
    """

    outcome: Outcome
    refusals: tuple[Refusal, ...]
    sent_bytes: int
    received_bytes: int


class Client:
    """One installation of the app.

    Args:
        state: Its folder.
        root: The root metadata that came with the app: what all trust begins with.
        mirrors: Addresses of the mirrors that came with the app.
        limits: What is taken from a mirror.
        random: Decides the order of the mirrors.
        context: How TLS is checked; the machine's own authorities by default.
    """

    def __init__(
        self,
        state: State,
        root: bytes,
        mirrors: Sequence[str],
        *,
        limits: Limits = LIMITS,
        random: Random | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.state = state
        self._root = root
        self._mirrors = tuple(mirrors)
        self._limits = limits
        self._random = random or SystemRandom()
        self._context = context

    @property
    def configuration(self) -> Manifest | None:
        """The configuration in use; None when there never was one."""
        applied = self.state.applied()
        return None if applied is None else applied.manifest

    def poll(self, now: datetime) -> Poll:
        """Ask the mirrors in random order until one can be followed.

        Args:
            now: The device's clock.

        Raises:
            BusyError: Another process polls with the same state.
        """
        refusals: list[Refusal] = []
        sent = received = 0
        with self.state.alone():
            # A clock that was set back does not bring back what has expired. It can't be caught ahead either: a poll
            # counts only while all metadata is valid, a day for the timestamp.
            checked_at = self.state.seen().checked_at
            moment = now if checked_at is None else max(now, checked_at)
            for url in self._random.sample(self._mirrors, min(len(self._mirrors), self._limits.mirrors)):
                mirror = Mirror(url, self._limits, self._context)
                try:
                    outcome = self._follow(mirror, moment)
                except RefusedError as refused:
                    refusals.append(Refusal(reason=refused.reason, file=refused.file, mirror=url, text=refused.text))
                    continue
                finally:
                    mirror.close()
                    sent, received = sent + mirror.sent_bytes, received + mirror.received_bytes
                return Poll(outcome=outcome, refusals=tuple(refusals), sent_bytes=sent, received_bytes=received)
        nobody = all(refused.reason in _NOBODY for refused in refusals)
        outcome = Outcome.OFFLINE if nobody else Outcome.REFUSED
        return Poll(outcome=outcome, refusals=tuple(refusals), sent_bytes=sent, received_bytes=received)

    def _follow(self, mirror: Mirror, moment: datetime) -> Outcome:
        seen, trusted = self.state.seen(), self.state.timestamp_digest()
        is_known = bool(seen.timestamp) and seen.timestamp == trusted and self.state.applied() is not None
        try:
            answer = mirror.ask(TIMESTAMP, self._limits.timestamp_bytes, seen.etags.get(mirror.url, "") * is_known)
        except DownloadError as error:
            raise refusal(error, TIMESTAMP) from error
        if is_known and (answer.body is None or _digest(answer.body) == trusted):
            if seen.valid_until is None or moment >= seen.valid_until:
                raise RefusedError(
                    Reason.EXPIRED, seen.expires, f"it has no newer {seen.expires} than one that expired"
                )
            self._record(seen, mirror, answer.etag, moment)
            return Outcome.UNCHANGED
        timestamp = answer.body or b""
        trust = Trust(self.state.trusted, self._root, mirror, timestamp, limits=self._limits, now=moment)
        offer = trust.look()
        outcome = Outcome.UNCHANGED
        if self._is_new(offer.target.hashes):
            outcome = self._take(trust.manifest(offer), offer.targets_keys)
        kept = self.state.timestamp_digest()
        fresh = Seen(
            timestamp=kept,
            etags=seen.etags if seen.timestamp == kept else NO_ETAGS,
            valid_until=offer.valid_until,
            expires=offer.expires,
        )
        # A timestamp of the same version as the trusted one is not kept, and has no name of its own then.
        self._record(fresh, mirror, answer.etag if kept == _digest(timestamp) else "", moment)
        return outcome

    def _is_new(self, digests: dict[str, str]) -> bool:
        applied = self.state.applied()
        return applied is None or digests.get("sha256") != applied.digest

    def _take(self, content: bytes, targets_keys: tuple[str, ...]) -> Outcome:
        """Take a manifest into use.

        Raises:
            RefusedError: It says nothing that can be followed, or is older than the one in use.
        """
        new, applied = manifest.read(content), self.state.applied()
        # Once the keys that sign manifests are others, the epoch may be lower: whoever stole the old ones may have
        # signed the highest there is. The same rule as for metadata in section 5.3.11 of the TUF specification.
        if applied is not None and (not applied.targets_keys or applied.targets_keys == targets_keys):
            epochs = f"config_epoch is {new.config_epoch}, {applied.manifest.config_epoch} is in use"
            if new.config_epoch < applied.manifest.config_epoch:
                raise RefusedError(Reason.CONFIG_EPOCH_ROLLBACK, "manifest", epochs)
            if new.config_epoch == applied.manifest.config_epoch and new.raw != applied.manifest.raw:
                raise RefusedError(Reason.CONFIG_EPOCH_REUSED, "manifest", f"{epochs}, with another content")
        try:
            self.state.apply(Applied(manifest=new, targets_keys=targets_keys))
        except OSError as error:
            raise RefusedError(Reason.OWN_DISK, "manifest", str(error)) from error
        return Outcome.UPDATED

    def _record(self, seen: Seen, mirror: Mirror, etag: str, moment: datetime) -> None:
        etags = {**seen.etags, mirror.url: etag} if etag else {k: v for k, v in seen.etags.items() if k != mirror.url}
        try:
            self.state.record(
                Seen(
                    timestamp=seen.timestamp,
                    etags=etags,
                    checked_at=moment,
                    valid_until=seen.valid_until,
                    expires=seen.expires,
                )
            )
        except OSError as error:
            raise RefusedError(Reason.OWN_DISK, "timestamp", str(error)) from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
