"""What people are asked to sign: new roots, new targets metadata, or both; and how far they have come. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from recovery.errors import PublishError, UntrustedError
from recovery.publish import metadata
from recovery.publish.change import Change, changed
from recovery.publish.formats import Metadata, Root, Signer, Targets
from recovery.publish.keys import name_of
from recovery.publish.looking import Found
from recovery.publish.manifest import Manifest
from recovery.publish.trust import Chain, signed_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What people are asked to sign.

    Attributes:
        current: The newest root that stands; None for the very first.
        roots: The next ones, in their order; empty where keys stay as they are.
        targets: None where what is published stays as it is.
        manifest: What the targets name; None with them.
    """

    current: Root | None
    roots: tuple[Metadata[Root], ...] = ()
    targets: Metadata[Targets] | None = None
    manifest: bytes | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not self.roots and self.targets is None

    @property
    def standing(self) -> tuple[Root, ...]:
        """The roots one after the other, the one that stands now first."""
        return (*([] if self.current is None else [self.current]), *(each.signed for each in self.roots))


def of_news(found: Found, told: Mapping[str, object], now: datetime, *, settle: bool = False) -> Request:
    """Ask for what is to be told now; for nothing where what is published says the same and is good for long enough.

    Args:
        found: What the mirrors hold.
        told: What is to be told.
        now: The moment.
        settle: Ask for it in any case, above all that any mirror tells.
    """
    request, newest, highest = Request(current=found.chain.newest), found.newest, found.highest
    if newest is None or highest is None:
        begun = metadata.first_version(now)
        return _asking(request, begun, Manifest(config_epoch=begun, content=told), now)
    if settle or newest.told.content != told:
        # 0 where there are only a thief's, which leave no room above: apps take a lower one once the keys are others.
        epoch = highest.config_epoch + 1 if highest.config_epoch else metadata.first_version(now)
        manifest = Manifest(config_epoch=epoch, content=told)
    elif newest.expires["targets"] - now <= metadata.LIFETIMES["targets"] / 2 or not signed_for(
        found.chain.newest, newest.targets
    ):
        manifest = newest.told
    else:
        return request
    return _asking(request, highest.targets + 1, manifest, now)


def of_change(found: Found, change: Change, now: datetime) -> Request:
    """Ask for other keys; and for what is published to be signed again where too few of its signatures would count.

    Raises:
        PublishError: The change names a key that isn't there, or leaves a role with too few.
    """
    roots = changed(found.chain.newest, change, now)
    request, newest, highest = Request(current=found.chain.newest, roots=roots), found.newest, found.highest
    if newest is None or highest is None or signed_for(roots[-1].signed, newest.targets):
        return request
    return _asking(request, highest.targets + 1, newest.told, now)


def _asking(request: Request, version: int, manifest: Manifest, now: datetime) -> Request:
    written = manifest.to_bytes()
    return replace(request, targets=Metadata(metadata.targets(written, version, now)), manifest=written)


def sign(request: Request, signers: Iterable[Signer]) -> list[str]:
    """Add the signatures of some keys wherever they count.

    A key that leaves a role signs for it once more: so what clients take holds under the old root and under the new.

    Returns:
        What was signed, by name.
    """
    done: list[str] = []
    for signer in signers:
        keyid = signer.public_key.keyid
        for made, counting in _rooted(request):
            if any(keyid in root.roles["root"].keyids for root in counting):
                made.sign(signer, append=True)
                done.append(f"{made.signed.version}.root.json")
        if request.targets is not None and any(keyid in root.roles["targets"].keyids for root in request.standing):
            request.targets.sign(signer, append=True)
            done.append("targets.json")
    return list(dict.fromkeys(done))


def missing(request: Request) -> Iterator[str]:
    """Say which signatures are missing, one sentence for each file and root."""
    for made, counting in _rooted(request):
        for root in counting:
            whose = "its own keys" if root is made.signed else f"the keys of root {root.version}"
            yield from _missing(root, made, f"{made.signed.version}.root.json", whose)
    if request.targets is not None:
        for root in request.standing[1:] or request.standing:
            yield from _missing(root, request.targets, "targets.json", f"the keys of root {root.version}")


def _rooted(request: Request) -> Iterator[tuple[Metadata[Root], list[Root]]]:
    """Yield each new root with those whose keys must sign it: the one before, and itself."""
    before = request.current
    for made in request.roots:
        yield made, [*([] if before is None else [before]), made.signed]
        before = made.signed


def _missing(root: Root, made: Metadata[Root] | Metadata[Targets], name: str, whose: str) -> Iterator[str]:
    result = root.get_verification_result(made.signed.type, made.signed_bytes, made.signatures)
    if not result:
        waiting = ", ".join(sorted(name_of(key) for key in result.unsigned.values()))
        yield f"{name} has {len(result.signed)} of {result.threshold} signatures by {whose}; missing of {waiting}"


def left(request: Request, found: Found) -> Request:
    """Return what of a request is not published yet: it may have been broken off half way.

    Raises:
        PublishError: Something else was published since it was made.
    """
    chain, newest = found.chain, found.newest
    roots = list(request.roots)
    while roots and roots[0].signed.version <= chain.version:
        made = roots.pop(0)
        if chain.at(made.signed.version) != made.signed:
            raise PublishError(
                f"this makes root {made.signed.version}, and there is another one by now: keys were changed meanwhile. "
                "Begin again from what is there now"
            )
    rest = replace(request, current=chain.newest, roots=tuple(roots))
    if request.targets is None or newest is None or found.highest is None:
        return rest
    version = request.targets.signed.version
    if version > found.highest.targets:
        return rest
    if newest.versions.targets == version and newest.manifest == request.manifest:
        return replace(rest, targets=None, manifest=None)
    raise PublishError(
        f"this makes version {version} of targets.json, and version {found.highest.targets} is published by now. "
        "Prepare it again from what is there now"
    )


def carried(request: Request, found: Found) -> tuple[Chain, bytes, bytes]:
    """Return the chain, targets metadata and manifest that are to be published.

    Raises:
        PublishError: Signatures are missing; says which.
    """
    lacking = list(missing(request))
    if lacking:
        raise PublishError("\n".join(lacking))
    chain = extended(found.chain, request)
    if request.targets is not None and request.manifest is not None:
        return chain, metadata.to_bytes(request.targets), request.manifest
    if found.newest is None:
        raise UntrustedError("nothing is published yet: `pulih publish` begins with what people sign")
    return chain, found.newest.targets, found.newest.manifest


def extended(chain: Chain, request: Request) -> Chain:
    """Return a chain with the roots of a request.

    Raises:
        UntrustedError: Signatures are missing.
    """
    for made in request.roots:
        chain = chain.with_next(metadata.to_bytes(made))
    return chain
