"""What a mirror offers, verified by `tuf.ngclient`; each refusal gets its name here."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    SlowRetrievalError,
    UnsignedMetadataError,
)
from tuf.ngclient import TargetFile, Updater, UpdaterConfig

from pulih_client.fetch import Fetcher, Mirror
from pulih_client.limits import Limits
from pulih_client.reasons import Reason, RefusedError

TARGET = "citizen-app.json"

_FILE = re.compile(r"(?:(\d+)\.)?(root|timestamp|snapshot|targets)\.json")
_GONE = (403, 404)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a mirror offers, verified.

    Attributes:
        target: Length and digests of the manifest.
        targets_keys: Ids of the keys that may sign it now.
        valid_until: When the first of the metadata expires.
        expires: Which that is.
    """

    target: TargetFile
    targets_keys: tuple[str, ...]
    valid_until: datetime
    expires: str


class Trust(Updater):
    """The metadata that a client has trusted, and what a mirror has that is newer.

    Args:
        folder: Where it is kept.
        root: The root metadata that came with the app.
        mirror: Where newer metadata is looked for.
        timestamp: The mirror's timestamp, read already.
        now: Against which expiry is judged; the device's own clock, unless it was set back.

    Raises:
        RefusedError: The root that came with the app is none, or the disk can't be written.
    """

    def __init__(
        self, folder: Path, root: bytes, mirror: Mirror, timestamp: bytes, *, limits: Limits, now: datetime
    ) -> None:
        self._mirror = mirror
        self._limits = limits
        self._fetch = Fetcher(mirror, timestamp)
        config = UpdaterConfig(
            max_root_rotations=limits.roots,
            max_delegations=0,
            root_max_length=limits.root_bytes,
            timestamp_max_length=limits.timestamp_bytes,
            snapshot_max_length=limits.snapshot_bytes,
            targets_max_length=limits.targets_bytes,
        )
        with self._named():
            super().__init__(
                str(folder),
                mirror.url + "metadata/",
                str(folder.parent),
                mirror.url + "targets/",
                self._fetch,
                config,
                bootstrap=root,
            )
            self._trusted_set.reference_time = now

    def look(self) -> Offer:
        """Verify all metadata of the mirror.

        Raises:
            RefusedError: Something of it is not to be followed.
        """
        with self._named():
            self.refresh()
            found = self.get_targetinfo(TARGET)
        trusted = self._trusted_set
        if found is None:
            raise RefusedError(Reason.MISSING, "manifest", f"the targets name no {TARGET}")
        if found.length > self._limits.manifest_bytes:
            text = f"it has {found.length} bytes, at most {self._limits.manifest_bytes} are taken"
            raise RefusedError(Reason.TOO_LARGE, "manifest", text)
        ends = [
            (signed.expires, signed.type)
            for signed in (trusted.timestamp, trusted.snapshot, trusted.targets, trusted.root)
        ]
        valid_until, expires = min(ends)
        keys = tuple(sorted(trusted.root.roles["targets"].keyids))
        return Offer(target=found, targets_keys=keys, valid_until=valid_until, expires=expires)

    def manifest(self, offer: Offer) -> bytes:
        """Read the manifest that an offer is about.

        Raises:
            RefusedError: The mirror does not have it, or another.
        """
        with self._named():
            url = f"{self._mirror.url}targets/{next(iter(offer.target.hashes.values()))}.{TARGET}"
            content = self._fetch.download_bytes(url, offer.target.length)
            offer.target.verify_length_and_hashes(content)
            return content

    @contextmanager
    def _named(self) -> Generator[None]:
        try:
            yield
        except (RepositoryError, DownloadError) as error:
            raise refusal(error, self._fetch.url, self._fetch.content) from error
        except OSError as error:
            raise RefusedError(Reason.OWN_DISK, _about(self._fetch.url)[0], str(error)) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:  # of a document that is signed and odd
            raise RefusedError(Reason.MALFORMED, _about(self._fetch.url)[0], str(error)[:200]) from error


def refusal(error: RepositoryError | DownloadError, url: str, content: bytes = b"") -> RefusedError:
    """Return an error of `tuf` as a refusal with its name.

    Args:
        error: What was raised.
        url: The file that was asked for last.
        content: What was read last.
    """
    file, version = _about(url)
    text = str(error) or type(error).__name__
    match error:
        case UnsignedMetadataError():
            return RefusedError(Reason.SIGNATURES, file, text)
        case ExpiredMetadataError():  # an expired timestamp is found out at the snapshot, when it is not a new one
            named = re.search("root|timestamp|snapshot|targets", text)
            return RefusedError(Reason.EXPIRED, named[0] if named else file, text)
        case BadVersionNumberError():
            return RefusedError(_why_version(content, file, version), file, text)
        case LengthOrHashMismatchError():
            return RefusedError(Reason.MIX_AND_MATCH, file, text)
        case DownloadLengthMismatchError():
            return RefusedError(Reason.TOO_LARGE, file, text)
        case SlowRetrievalError():
            return RefusedError(Reason.TOO_SLOW, file, text)
        case DownloadHTTPError():
            gone = error.status_code in _GONE
            return RefusedError(Reason.MISSING if gone else Reason.UNREACHABLE, file, text)
        case DownloadError():
            return RefusedError(Reason.UNREACHABLE, file, text)
        case _ if "is missing info for" in text:  # a snapshot without a file that an earlier one had
            return RefusedError(Reason.ROLLBACK, file, text)
        case _:
            return RefusedError(Reason.MALFORMED, file, text)


def _about(url: str) -> tuple[str, int | None]:
    """Return which file an address is of, and the version in its name."""
    name = urlsplit(url).path.rpartition("/")[2]
    found = _FILE.fullmatch(name)
    if found is None:
        return ("manifest" if name else "root"), None
    return found[2], None if found[1] is None else int(found[1])


def _why_version(content: bytes, file: str, named: int | None) -> Reason:
    """Return what a wrong version means: that the file is older than a trusted one, or that it is not the one named."""
    if named is None:
        return Reason.ROLLBACK
    document = cast(dict[str, dict[str, object]], json.loads(content))
    version = document["signed"]["version"]
    if file == "root":
        return Reason.ROLLBACK if isinstance(version, int) and version < named else Reason.MIX_AND_MATCH
    return Reason.ROLLBACK if version == named else Reason.MIX_AND_MATCH
