"""The way to units, made from the estate and the environment."""

from __future__ import annotations

from pathlib import Path

from recovery.cli.context import environment_leases, ssh_key
from recovery.cli.output import note
from recovery.errors import PulihError
from recovery.model.estate import Estate
from recovery.store import FileStore, Store
from recovery.transport.base import Transport


def leases_store(estate: Estate, state: Path) -> Store:
    """Return where an estate's leases are kept: the declared store, else files beside the estate.

    `PULIH_LEASES=file` keeps them in files although a store is declared, for when that store was lost too.

    Raises:
        PulihError: The variable says anything else, or the store's address is not one.
    """
    asked = environment_leases()
    if asked not in (None, "file"):
        raise PulihError(f"PULIH_LEASES is {asked!r}; the only value it may have is `file`")
    if estate.leases is None:
        return FileStore(state)
    if asked == "file":
        note(f"break-glass: leases are kept in {state}, not in {estate.leases}; see that nobody else is at work")
        return FileStore(state)
    from recovery.store_s3 import S3Store

    return S3Store(estate.leases)


def transport(estate: Estate, parallel: int) -> Transport:
    """Return the transport to an estate's units.

    Args:
        estate: A practice estate may name its key file.
        parallel: Most connections at once.

    Raises:
        LoginKeyError: There is no usable key.
    """
    from recovery.transport.ssh import SshTransport

    return SshTransport(ssh_key=estate.ssh_key, environment_key=ssh_key(), parallel=parallel)
