"""From what is declared to mirrors that can be read and written, and to the keys that lie on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from recovery.errors import PublishError
from recovery.model.publish import MirrorPlace, Publish
from recovery.publish import keys, looking
from recovery.publish.looking import Found
from recovery.publish.mirrors import Folder, Mirror
from recovery.publish.trust import Chain


def mirror(place: MirrorPlace) -> Mirror:
    """Return a mirror that is declared; nothing is sent yet.

    Raises:
        PublishError: This machine's AWS settings can't be used.
    """
    if place.directory is not None:
        return Folder(name=place.name, folder=place.directory)
    from recovery.publish.bucket import BucketMirror

    return BucketMirror(place.name)


def chain(publish: Publish) -> Chain:
    """Return the roots that lie with the estate.

    Raises:
        PublishError: There are none yet, or they are no chain.
    """
    found = looking.roots_in(publish.roots)
    if found is None:
        raise PublishError(
            f"there is no root in {publish.roots} yet, so nothing can be signed: `pulih keys new` makes the keys and "
            "the first root (docs/keys.md)"
        )
    return found


def found(publish: Publish) -> Found:
    """Read every mirror that is declared.

    Raises:
        PublishError: There is no root yet.
    """
    return looking.look(chain(publish), [mirror(place) for place in publish.mirrors])


def files_in(folder: Path) -> list[Path]:
    """Return the files of private keys in a folder; none where it isn't there."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".pem")
    except OSError:
        return []


def people(publish: Publish, chain: Chain, role: str) -> list[Path]:
    """Return the files of people's keys of a role that are here now, known by the public halves beside them."""
    if publish.offline is None:
        return []
    return [file for file in files_in(publish.offline) if is_of_role(file, chain, role)]


def is_of_role(file: Path, chain: Chain, role: str) -> bool:
    """Whether a private key's file is of a role, as far as the public half beside it says so."""
    try:
        return keys.read_public(keys.public_file(file)).keyid in chain.newest.roles[role].keyids
    except PublishError:
        return False


def online(publish: Publish) -> Iterator[keys.Pair]:
    """Yield the keys that sign without anybody there.

    Raises:
        PublishError: One can't be read, or is encrypted: nobody will be there to open it.
    """
    for file in files_in(publish.online):
        yield keys.read(file, lambda _name: ())
