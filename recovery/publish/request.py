"""What people are asked to sign: new roots, new targets metadata, or both; and how far they have come. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from recovery.errors import PublishError, UntrustedError
from recovery.publish import metadata
from recovery.publish.formats import Metadata, Root, Signer, Targets
from recovery.publish.keys import name_of
from recovery.publish.looking import Found
from recovery.publish.manifest import Manifest
from recovery.publish.trust import Chain


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What people are asked to sign.

    Attributes:
        roots: The next ones, in their order; empty where keys stay as they are.
        targets: None where what is published stays as it is.
        manifest: What the targets name; None with them.
    """

    roots: tuple[Metadata[Root], ...] = ()
    targets: Metadata[Targets] | None = None
    manifest: bytes | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not self.roots and self.targets is None

    def last_root(self, chain: Chain) -> Root:
        """Return the root that stands when all is published."""
        return self.roots[-1].signed if self.roots else chain.newest


def news(
    found: Found, told: Mapping[str, object], now: datetime, *, renew: bool
) -> tuple[Metadata[Targets], bytes] | None:
    """Return targets metadata to sign; None where what is published says the same and is good for long enough.

    Args:
        found: What the mirrors hold.
        told: What is to be told now.
        now: The moment.
        renew: Whether it is wanted even where it says the same, because keys change.
    """
    newest, highest = found.newest, found.highest
    if newest is None or highest is None:
        version, manifest = (
            metadata.first_version(now),
            Manifest(config_epoch=metadata.first_version(now), content=told),
        )
        return _unsigned(version, manifest, now)
    is_same = newest.told.content == told
    if is_same and not renew and newest.expires["targets"] - now > metadata.LIFETIMES["targets"] / 2:
        return None
    epoch = newest.told.config_epoch if is_same else highest.config_epoch + 1
    return _unsigned(highest.targets + 1, Manifest(config_epoch=epoch, content=told), now)


def _unsigned(version: int, manifest: Manifest, now: datetime) -> tuple[Metadata[Targets], bytes]:
    written = manifest.to_bytes()
    return Metadata(metadata.targets(written, version, now)), written


def sign(request: Request, chain: Chain, signers: Iterable[Signer]) -> list[str]:
    """Add the signatures of some keys wherever they count.

    A key that leaves a role signs for it once more: so what clients take holds under the old root and under the new.

    Returns:
        What was signed, by name.
    """
    done: list[str] = []
    around = [chain.newest, *(each.signed for each in request.roots)]
    for signer in signers:
        keyid = signer.public_key.keyid
        for before, made in zip(around, request.roots, strict=False):
            if keyid in before.roles["root"].keyids or keyid in made.signed.roles["root"].keyids:
                made.sign(signer, append=True)
                done.append(f"{made.signed.version}.root.json")
        if request.targets is not None and any(keyid in root.roles["targets"].keyids for root in around):
            request.targets.sign(signer, append=True)
            done.append("targets.json")
    return list(dict.fromkeys(done))


def missing(request: Request, chain: Chain) -> Iterator[str]:
    """Say which signatures are missing, one sentence for each file and root."""
    around = [chain.newest, *(each.signed for each in request.roots)]
    for before, made in zip(around, request.roots, strict=False):
        roots = {"the keys of root " + str(before.version): before, "its own keys": made.signed}
        for whose, root in roots.items():
            yield from _missing(root, "root", made, f"{made.signed.version}.root.json", whose)
    if request.targets is not None:
        for root in around[1:] or around:
            yield from _missing(root, "targets", request.targets, "targets.json", f"the keys of root {root.version}")


def _missing(root: Root, role: str, made: Metadata[Root] | Metadata[Targets], name: str, whose: str) -> Iterator[str]:
    result = root.get_verification_result(role, made.signed_bytes, made.signatures)
    if not result:
        waiting = ", ".join(sorted(name_of(key) for key in result.unsigned.values()))
        yield f"{name} has {len(result.signed)} of {result.threshold} signatures by {whose}; missing of {waiting}"


def checked(request: Request, found: Found) -> None:
    """Check that a request still goes on from what is published.

    Raises:
        PublishError: Something else was published since it was made.
    """
    if request.roots and request.roots[0].signed.version != found.chain.version + 1:
        raise PublishError(
            f"this makes root {request.roots[0].signed.version}, and root {found.chain.version} is there by now: keys "
            "were changed meanwhile. Begin again from what is there now"
        )
    if request.targets is not None and found.highest is not None:
        version = request.targets.signed.version
        if version <= found.highest.targets:
            raise PublishError(
                f"this makes version {version} of targets.json, and version {found.highest.targets} is published by "
                "now. Prepare it again from what is there now"
            )


def carried(request: Request, found: Found) -> tuple[Chain, bytes, bytes]:
    """Return the chain, targets metadata and manifest that are to be published.

    Raises:
        PublishError: Signatures are missing; says which.
    """
    lacking = list(missing(request, found.chain))
    if lacking:
        raise PublishError("\n".join(lacking))
    chain = found.chain
    for made in request.roots:
        chain = chain.with_next(metadata.to_bytes(made))
    if request.targets is not None and request.manifest is not None:
        return chain, metadata.to_bytes(request.targets), request.manifest
    if found.newest is None:
        raise UntrustedError("nothing is published yet, and nothing was signed to begin with")
    return chain, found.newest.targets, found.newest.manifest
