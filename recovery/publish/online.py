"""What a machine signs alone: the snapshot where one is due, and always a new timestamp. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from recovery.errors import PublishError, UntrustedError
from recovery.publish import metadata
from recovery.publish.formats import Root, Signer, Snapshot, Targets
from recovery.publish.looking import Found
from recovery.publish.trust import Chain, Content, fitting, read, verified


def renewed(
    chain: Chain, targets: bytes, manifest: bytes, found: Found, signers: Iterable[Signer], now: datetime
) -> Content:
    """Return what is to be published.

    Args:
        chain: All roots, those to be published with it included.
        targets: The targets metadata, signed by people.
        manifest: What it names.
        found: What the mirrors hold.
        signers: The keys that lie on this machine; those sign whose role it is, now or until now.
        now: The moment.

    Raises:
        PublishError: A key is missing.
        UntrustedError: The targets metadata isn't signed for the newest root.
    """
    root, signers = chain.newest, list(signers)
    counting = [chain.at(version) for version in range(found.chain.version, chain.version + 1)]
    signing = {
        role: [each for each in signers if any(each.public_key.keyid in past.roles[role].keyids for past in counting)]
        for role in metadata.ONLINE
    }
    for role, having in signing.items():
        check_enough(root, role, having)
    targets_version = verified(root, Targets, targets, "targets.json").version
    newest, highest = found.newest, found.highest
    snapshot = None if newest is None else newest.snapshot
    if snapshot is None or _is_due(snapshot, targets, targets_version, counting, now):
        version = metadata.first_version(now) if highest is None else highest.snapshot + 1
        fresh = metadata.snapshot(targets, targets_version, version, now)
        snapshot = metadata.to_bytes(metadata.signed_by(fresh, signing["snapshot"]))
    version = metadata.first_version(now) if highest is None else highest.timestamp + 1
    named = read(Snapshot, snapshot, "snapshot.json").signed.version
    stamped = metadata.signed_by(metadata.timestamp(snapshot, named, version, now), signing["timestamp"])
    return fitting(metadata.to_bytes(stamped), snapshot, targets, manifest)


def check_enough(root: Root, role: str, signers: Iterable[Signer]) -> None:
    """Check that the keys of a role are there.

    Raises:
        PublishError: They aren't; says what to do.
    """
    wanted = root.roles[role]
    there = {signer.public_key.keyid for signer in signers}
    if len(there.intersection(wanted.keyids)) < wanted.threshold:
        raise PublishError(
            f"the key of {role} that root {root.version} names is not in the folder of `online` keys. Bring it there; "
            f"when it is lost, people with root keys replace it: pulih keys change --replace {role}"
        )


def _is_due(snapshot: bytes, targets: bytes, targets_version: int, roots: Iterable[Root], now: datetime) -> bool:
    """Whether a snapshot says too little, is good for less than half its time, or isn't signed for one of the roots."""
    found = read(Snapshot, snapshot, "snapshot.json").signed
    meta = found.meta["targets.json"]
    if meta.version != targets_version or (meta.hashes or {}) != (
        metadata.snapshot(targets, targets_version, 1, now).meta["targets.json"].hashes
    ):
        return True
    if found.expires - now < metadata.LIFETIMES["snapshot"] / 2:
        return True
    try:
        for root in roots:
            verified(root, Snapshot, snapshot, "snapshot.json")
    except UntrustedError:
        return True
    return False
