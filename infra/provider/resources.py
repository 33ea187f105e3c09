"""The life of a resource: check, diff, create, read, update, delete, in plain values.

Create and update are the same visit as `pulih apply`'s: a unit that runs its bundle already is adopted, and what it
runs is known by asking it. A failure is told in words that stand alone, when the others are through.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.declaration import ENDPOINT, UNIT, Declaration, Deployable, declaration
from infra.provider.changes import Change, changes
from infra.provider.checking import Fault, Properties, faults, name_of
from infra.provider.quiet import Quiet
from infra.provider.rights import Right, Rights
from infra.provider.seen import outputs, state
from recovery.apply import Visit, apply_unit, forget_unit
from recovery.cli.connecting import transport
from recovery.cli.loading import refuse_illustrative
from recovery.diff import differences
from recovery.errors import PlanError, PulihError, UnitError
from recovery.model.visit import Observed, Receipt
from recovery.observe import read_unit
from recovery.protocol import applier_command
from recovery.slots import Slots
from recovery.transport.base import MAX_PARALLEL, Session, Transport
from recovery.visits import Hosts, visit


class Teller(Protocol):
    """Tells whoever watches the deployment about one resource."""

    async def warn(self, urn: str, text: str) -> None:
        """Show a warning that stays; returns when it has arrived."""
        ...

    def note(self, urn: str, text: str) -> None:
        """Show what is happening just now."""
        ...


@dataclass(frozen=True, slots=True)
class Urn:
    """What a resource's URN says: `urn:pulumi:STACK::PROJECT::TYPE::NAME`."""

    text: str

    @property
    def stack(self) -> str:
        """The stack: a region or a data centre."""
        return self.text.split("::")[0].removeprefix("urn:pulumi:")

    @property
    def kind(self) -> str:
        """The type of the resource, without its parents'."""
        return self.text.split("::")[2].rpartition("$")[2]


class UnreadError(PulihError):
    """A unit could not be read; its resource stays as it was last known."""


class Site:
    """What one stack's resources share: the declaration, the way to its units, who may be in flight, the leases."""

    def __init__(self, declared: Declaration) -> None:
        self.declared = declared
        self.hosts = Hosts(declared.estate)
        # The engine's --parallel bounds steps, the estate's limits bound lines and bastions; no third number here.
        self.slots = Slots(declared.estate.limits, MAX_PARALLEL)
        self.rights = Rights(declared.estate, declared.check_unchanged)
        self.chance = random.SystemRandom()
        self._transport: Transport | None = None

    @property
    def transport(self) -> Transport:
        """The way to units, made when the first is visited: a preview needs no key."""
        if self._transport is None:
            refuse_illustrative(self.declared.estate)
            self._transport = transport(self.declared.estate, MAX_PARALLEL)
        return self._transport

    async def close(self) -> None:
        """Interrupt what still runs, give back the leases."""
        if self._transport is not None:
            await self._transport.close()
        self.rights.release()


class Resources:
    """Units and endpoints, as the engine asks for them.

    Attributes:
        folder: The estate's; known before the first resource is asked for.
    """

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._site: Site | None = None
        self._opening: asyncio.Task[Site] | None = None
        self._quiet = Quiet()
        self._asked_for: set[str] = set()
        self.folder = Path()

    async def check(self, urn: Urn, given: Properties) -> tuple[Fault, ...]:
        """Return every bad input, with its property path."""
        self._quiet.stir()
        _known(urn.kind)
        declared = (await self._open(urn)).declared
        self._asked_for.add(name_of(urn.kind, given))
        return faults(urn.kind, given, declared.deployables.get(name_of(urn.kind, given)))

    async def diff(self, urn: Urn, before: Properties, inputs: Properties) -> tuple[Change, ...]:
        """Return what an update would change, file by file; nothing is visited."""
        self._quiet.stir()
        return changes(_known(urn.kind), before, inputs)

    async def apply(self, urn: Urn, inputs: Properties) -> dict[str, object]:
        """Bring a unit to its declared state, adopting what it runs already, and return the resource's state.

        Raises:
            UnitError: It failed; it runs what it ran before.
            RefusedError: The estate is illustrative, before the first packet.
            HeldError: Somebody else writes to its region.
        """
        site = await self._open(urn)
        try:
            async with self._quiet.at_work():
                declared = self._declared(site, urn, inputs)
                carrier, right = site.transport, await site.rights.of(declared.scope)
                receipt = await self._visit(urn, site, declared, carrier, right)
        except UnitError as error:
            await self._quiet.wait()
            raise _told(error) from error
        except PulihError:
            raise
        except Exception as error:  # a fault of ours, but of this unit's visit alone; the others go on
            await self._quiet.wait()
            raise _told(UnitError(name_of(urn.kind, inputs), _fault(error))) from error
        return outputs(inputs, receipt)

    async def read(self, urn: Urn, name: str, before: Properties, inputs: Properties) -> tuple[Properties, Properties]:
        """Read what a unit runs.

        Args:
            urn: Of the resource.
            name: Its id.
            before: Its state; empty when it is being imported.
            inputs: Its inputs; empty when it is being imported.

        Returns:
            Its state and its inputs.

        Raises:
            UnreadError: It can't be read now.
            PlanError: It is being imported, and not declared.
        """
        _known(urn.kind)
        site = await self._open(urn)
        declared = site.declared.deployables.get(name)
        if declared is None:
            if not inputs:
                raise PlanError(f"{name} is not among what the declaration deploys in the stack {urn.stack}")
            return before, inputs
        carrier = site.transport
        try:
            observed = await self._look(site, declared, carrier)
        except UnitError as error:
            raise UnreadError(str(_told(error))) from error
        found = differences(declared.bundle, observed)
        is_new = not inputs or not found
        return state(inputs, declared, observed, found), declared.inputs if is_new else inputs

    async def delete(self, urn: Urn, name: str) -> None:
        """Make a unit forget its receipt; it goes on serving, and nothing here can hold up a deployment.

        A unit that this stack does not deploy any more (moved, renamed, retired) is not even visited, nor one that the
        program still asks for: it has changed its place there, or was imported under a second name.
        """
        try:
            site = await self._open(urn)
            declared = site.declared.deployables.get(name)
            if declared is None or name in self._asked_for:
                return
            carrier, right = site.transport, await site.rights.of(declared.scope)
            async with site.slots.place(declared.step):
                right.check(name)
                await self._forget(site, declared, carrier, right)
        except Exception as error:  # whatever it is
            text = str(error) if isinstance(error, PulihError) else _fault(error)
            await self._teller.warn(urn.text, f"{text} It is forgotten here all the same and goes on as it is.")

    def stop(self) -> None:
        """Let units in flight finish and start none."""
        self._quiet.end()
        if self._site is not None:
            self._site.rights.stop()

    async def close(self) -> None:
        """End everything; units in flight are left to their appliers, which finish or swap back."""
        self.stop()
        if self._site is not None:
            await self._site.close()

    async def _open(self, urn: Urn) -> Site:
        """Return what the stack's resources share; an estate is read once, also one that can't be."""

        async def opened() -> Site:
            self._site = Site(await asyncio.to_thread(declaration, self.folder, urn.stack))
            return self._site

        if self._opening is None:
            self._opening = asyncio.create_task(opened())
        return await asyncio.shield(self._opening)

    def _declared(self, site: Site, urn: Urn, inputs: Properties) -> Deployable:
        """Return what is declared, if the inputs say the same."""
        name = name_of(urn.kind, inputs)
        declared = site.declared.deployables.get(name)
        wrong = faults(urn.kind, inputs, declared)
        if declared is None or wrong:
            raise PlanError("; ".join(f"{name}: {fault.path}: {fault.reason}" for fault in wrong))
        return declared

    async def _visit(
        self, urn: Urn, site: Site, declared: Deployable, carrier: Transport, right: Right
    ) -> Receipt | None:
        step = declared.step
        trip = _trip(site, declared, right)

        async def conversation(session: Session) -> Receipt | None:
            return await apply_unit(session, trip, declared.bundle, on_send=lambda: None)

        def retried(attempt: int, error: UnitError) -> None:
            self._teller.note(urn.text, f"try {attempt} failed: {error.reason}")

        async with site.slots.place(step):
            return await visit(
                carrier,
                site.hosts.of(step),
                conversation,
                chance=site.chance,
                before_retry=retried,
                before_try=lambda: right.check(step.name),
            )

    async def _look(self, site: Site, declared: Deployable, carrier: Transport) -> Observed:
        host = site.hosts.of(declared.step)

        async def conversation(session: Session) -> Observed:
            return await read_unit(session, declared.step.name, host.root)

        async with site.slots.place(declared.step):
            return await visit(carrier, host, conversation, chance=site.chance)

    async def _forget(self, site: Site, declared: Deployable, carrier: Transport, right: Right) -> None:
        """One try: whoever destroys a stack should not wait for hosts that are gone."""
        host = site.hosts.of(declared.step)
        trip = _trip(site, declared, right)

        async def conversation(session: Session) -> None:
            await forget_unit(session, trip)

        await carrier.run(host.target, applier_command(), conversation, within_s=host.target.timeouts.unit_s)


def _known(kind: str) -> str:
    if kind not in (UNIT, ENDPOINT):
        raise PlanError(f"pulih has no resource {kind}; it has {UNIT} and {ENDPOINT}")
    return kind


def _trip(site: Site, declared: Deployable, right: Right) -> Visit:
    step = declared.step
    return Visit(
        unit=step.name,
        root=site.hosts.of(step).root,
        service=step.service,
        data_centre=step.data_centre,
        epoch=right.lease.epoch,
        run=right.lease.run,
    )


def _fault(error: Exception) -> str:
    return f"a fault of pulih itself, please file it: {type(error).__name__}: {error}"


def _told(error: UnitError) -> UnitError:
    """Return a failure with its cause in the text: the engine shows nothing else of it."""
    return UnitError(error.unit, f"{error.cause}: {error.reason}", cause=error.cause)
