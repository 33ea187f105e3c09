"""What is declared of the manifest that citizens' apps read: where it is published, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recovery.model.estate import ServiceName


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPlace:
    """A place that clients read from.

    Attributes:
        name: As it is declared: a folder that a web server shows, or `s3://BUCKET/PREFIX?region=…&endpoint=…`.
        directory: The folder, absolute; None for a bucket.
    """

    name: str
    directory: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """The block `publish:` of an estate.

    Attributes:
        service: The service whose apps read the manifest; nothing is published before its wave has passed.
        services: Those whose endpoints it names.
        mirrors: At least one.
        roots: Folder of the public root metadata, `1.root.json` and on, kept with the estate.
        online: Folder of `snapshot.pem` and `timestamp.pem`, the keys that sign without anybody there.
        offline: Folder where the offline keys are while somebody has them there; None where they never are.
        minimum_version: Of the app, such as `4.2.0`.
        message: What people are told, by language: `id` and `en`.
        reset: What the app forgets when the configuration changes, such as `sessions`.
        keep: What it never forgets.
    """

    service: ServiceName
    services: tuple[ServiceName, ...]
    mirrors: tuple[MirrorPlace, ...]
    roots: Path
    online: Path
    offline: Path | None
    minimum_version: str
    message: Mapping[str, str]
    reset: tuple[str, ...]
    keep: tuple[str, ...]
