"""The way to units, made from the estate and the environment."""

from __future__ import annotations

from recovery.cli.context import ssh_key
from recovery.model.estate import Estate
from recovery.transport.base import Transport


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
