"""Conducts a plan: waves in their order, canaries first, everyone within the limits, one unit's failure a value.

Knows no terminal, file or clock of its own: it tells observers what happens and returns what became of every unit. The
same code conducts a routine deployment, a recovery and a drill.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from recovery.apply import Visit, apply_unit
from recovery.errors import UnitError
from recovery.gate import Breaker, hold, replacement
from recovery.model.bundle import Bundle
from recovery.model.estate import DataCentreName, Estate, ServiceName, UnitName
from recovery.model.events import (
    PlacementIntended,
    PlacementWritten,
    RunFinished,
    RunStarted,
    UnitFinished,
    UnitRetried,
    UnitStarted,
    WaveFinished,
    WaveHeld,
    WaveStarted,
)
from recovery.model.outcome import Cause, Outcome, RunResult, ServiceTarget, State
from recovery.model.plan import Step, Wave
from recovery.model.story import Scene
from recovery.order import Halt, Order, World
from recovery.slots import Slots
from recovery.transport.base import Session
from recovery.verify import Question, probe_unit
from recovery.visits import Host, Hosts, visit
from recovery.waves import closure

_Place = tuple[ServiceName, DataCentreName]


async def conduct(order: Order, world: World) -> RunResult:
    """Bring every step of a plan to its declared state.

    Returns:
        What became of each; units that failed are quarantined in it, and nothing is raised for them.
    """
    return await _Conductor(order, world).conduct()


class _Conductor:
    def __init__(self, order: Order, world: World) -> None:
        self.order = order
        self.world = world
        self.slots = Slots(order.estate.limits, order.parallel)
        self.hosts = Hosts(order.estate)
        self.halt: Halt | None = None
        self.outcomes: dict[UnitName, Outcome] = {}
        self.failed_endpoints: dict[_Place, Outcome] = {}
        self.needs = {name: closure(order.estate.services, {name}) for name in order.estate.service}
        self.units = {unit.name: (region, office, unit) for region, office, unit in order.estate.places()}
        self.endpoints = {endpoint.name: endpoint for endpoint in order.estate.endpoint.values()}
        earlier = (*order.before.units, *order.before.endpoints) if order.before else ()
        self.earlier = {outcome.name: outcome for outcome in earlier}
        self.started = order.before.started_at if order.before else world.clock.now()

    async def conduct(self) -> RunResult:
        order, plan = self.order, self.order.plan
        now = self.world.clock.now()
        begun = self._result(now)
        scene = Scene.of(order.estate, plan)
        self.world.tell(
            RunStarted(run=order.run, verb=order.verb, epoch=order.epoch, result=begun, scene=scene, at=now)
        )
        for wave in plan.endpoint_waves:
            await self._wave(wave)
        if self._halted() is None:
            self._write_placement()
        for wave in plan.unit_waves:
            await self._wave(wave)
        finished = self.world.clock.now()
        result = self._result(finished)
        self.world.tell(RunFinished(result=result, at=finished))
        return result

    def _halted(self) -> Halt | None:
        """Whether to stop; once it is so it stays so."""
        self.halt = self.halt or self.world.halted()
        return self.halt

    def _write_placement(self) -> None:
        """Write the moves whose target serves; what could not be proven stays where it was declared."""
        proven = tuple(
            move
            for move in self.order.plan.moves
            if not any((name, move.target) in self.failed_endpoints for name in self.needs[move.service])
        )
        if proven:
            self.world.tell(PlacementIntended(moves=proven, at=self.world.clock.now()))
            if self._halted() is not None:
                return  # that it is about to happen could not be recorded, or the run was overtaken
            self.world.write_placement(proven)
            self.world.tell(PlacementWritten(moves=proven, at=self.world.clock.now()))

    async def _wave(self, wave: Wave) -> None:
        if self._halted() is not None:
            return
        self.world.tell(WaveStarted(wave=wave.name, at=self.world.clock.now()))
        trip = Breaker(wave)
        await self._together(wave.canaries, trip, is_canary=True)
        rest = list(wave.rest)
        second: list[Step] = []
        for canary in wave.canaries:
            outcome = self.outcomes.get(canary.name)
            if outcome is not None and outcome.state is State.QUARANTINED:
                other = replacement(canary, rest)
                if other is not None:
                    rest.remove(other)
                    second.append(other)
        await self._together(second, trip, is_canary=True)
        passed = False
        if await self._passes(wave, trip):
            await self._together((step for step in rest if step.name not in self.outcomes), trip, is_canary=False)
            if wave is self.order.plan.waves[-1] and trip.reason is None:
                # Nobody comes behind it: there is nothing left to hold.
                passed = hold(wave, self._finished(wave), self.order.estate.wave_pass) is None
            else:
                passed = await self._passes(wave, trip)
        self.world.tell(WaveFinished(wave=wave.name, passed=passed, at=self.world.clock.now()))

    async def _passes(self, wave: Wave, trip: Breaker) -> bool:
        """Whether the wave may go on, asking when it is held; halts the run when the answer is no."""
        if self._halted() is not None:
            return False
        reason = trip.reason or hold(wave, self._finished(wave), self.order.estate.wave_pass)
        if reason is None or trip.overruled:
            return True
        trip.overruled = await self.world.go_on(wave, reason)
        self.world.tell(WaveHeld(wave=wave.name, reason=reason, went_on=trip.overruled, at=self.world.clock.now()))
        if not trip.overruled:
            held = Halt(cause=Cause.CANCELLED, reason=f"the run was held: {reason}", exit_code=5)
            self.halt = self._halted() or held  # Ctrl-C is an answer too
            return False
        if trip.reason:
            trip.reason = None
            left = [step for step in wave.steps if step.name not in self.outcomes]
            await self._together(left, trip, is_canary=False)
        return self._halted() is None

    def _finished(self, wave: Wave) -> list[Outcome]:
        return [self.outcomes[step.name] for step in wave.steps if step.name in self.outcomes]

    async def _together(self, steps: Iterable[Step], trip: Breaker, *, is_canary: bool) -> None:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(self._step(step, trip, is_canary=is_canary))

    async def _step(self, step: Step, trip: Breaker, *, is_canary: bool) -> None:
        blocker = self._blocker(step)
        if blocker is not None:
            reason = f"it needs {blocker.name}, which is {blocker.state}: {blocker.reason}"
            self._note(self._outcome(step, State.SKIPPED, cause=blocker.cause, reason=reason))
            return
        async with self.slots.place(step):
            if self._halted() is not None or trip.reason is not None:
                return
            loop = asyncio.get_running_loop()
            began = loop.time()
            self.world.tell(UnitStarted(step=step, at=self.world.clock.now()))
            try:
                bundle, sent = await self._apply(step)
                if is_canary:
                    await self._prove(step, bundle)
            except UnitError as error:
                outcome = self._outcome(
                    step, State.QUARANTINED, seconds=loop.time() - began, cause=Cause(error.cause), reason=error.reason
                )
            except Exception as error:  # whatever it is, it is this unit's alone; the others go on
                outcome = self._outcome(
                    step,
                    State.QUARANTINED,
                    seconds=loop.time() - began,
                    cause=Cause.INTERNAL,
                    reason=f"a fault of pulih itself: {type(error).__name__}: {error}",
                )
            else:
                state = State.VERIFIED if sent else State.UNCHANGED
                outcome = self._outcome(step, state, seconds=loop.time() - began, digest=bundle.digest)
        self._note(outcome)
        trip.note(outcome)

    async def _apply(self, step: Step) -> tuple[Bundle, bool]:
        bundle, host = self._bundle(step), self.hosts.of(step)
        order = self.order
        trip = Visit(
            unit=step.name,
            root=host.root,
            service=step.service,
            data_centre=step.data_centre,
            epoch=order.epoch,
            run=order.run,
        )
        sent = False

        def note_sent() -> None:
            nonlocal sent
            sent = True

        async def conversation(session: Session) -> None:
            await apply_unit(session, trip, bundle, on_send=note_sent)

        await visit(
            self.world.transport,
            host,
            conversation,
            chance=self.world.chance,
            before_retry=lambda attempt, error: self._retried(step, attempt, error),
            before_try=lambda: self._check_right(step),
        )
        return bundle, sent

    async def _prove(self, step: Step, bundle: Bundle) -> None:
        """Hold a test transaction over a new connection: the one that applied it might have outlived a closed door."""
        host = self.hosts.of(step)
        question = ask(step, host, bundle, self.world.chance)

        async def conversation(session: Session) -> None:
            await probe_unit(session, question)

        await visit(
            self.world.transport,
            host,
            conversation,
            chance=self.world.chance,
            before_retry=lambda attempt, error: self._retried(step, attempt, error),
            before_try=lambda: self._check_right(step),
        )

    def _bundle(self, step: Step) -> Bundle:
        if step.is_endpoint:
            return self.order.renderer.endpoint(self.endpoints[step.name])
        return self.order.renderer.unit(*self.units[step.name])

    def _check_right(self, step: Step) -> None:
        """A try is a write as much as a new unit is: none without the right to it."""
        halt = self._halted()
        if halt is not None:
            raise UnitError(step.name, f"not tried again: {halt.reason}", cause=halt.cause)

    def _retried(self, step: Step, attempt: int, error: UnitError) -> None:
        self.world.tell(UnitRetried(name=step.name, attempt=attempt, reason=error.reason, at=self.world.clock.now()))

    def _blocker(self, step: Step) -> Outcome | None:
        """The endpoint that a step needs and that this run could not bring up."""
        if not self.failed_endpoints:
            return None
        placement = self.order.estate.placement
        for service in sorted(self.needs[step.service]):
            if step.is_endpoint and service == step.service:
                continue
            failed = self.failed_endpoints.get((service, placement.of(service, step.region)))
            if failed is not None:
                return failed
        return None

    def _outcome(
        self,
        step: Step,
        state: State,
        *,
        seconds: float = 0.0,
        digest: str | None = None,
        cause: Cause | None = None,
        reason: str = "",
    ) -> Outcome:
        return Outcome(
            name=step.name,
            office=step.office,
            region=step.region,
            service=step.service,
            data_centre=step.data_centre,
            state=state,
            digest=digest,
            seconds=seconds,
            finished_at=self.world.clock.now(),
            cause=cause,
            reason=reason,
        )

    def _note(self, outcome: Outcome) -> None:
        self.outcomes[outcome.name] = outcome
        if outcome.region is None and not outcome.is_verified:
            self.failed_endpoints[outcome.service, outcome.data_centre] = outcome
        self.world.tell(UnitFinished(outcome=outcome, at=self.world.clock.now()))

    def _result(self, finished: datetime) -> RunResult:
        order, plan = self.order, self.order.plan
        names = [step.name for wave in plan.unit_waves for step in wave.steps]
        place = {name: index for index, name in enumerate(self.units)}
        steps = {step.name: step for step in plan.steps()}
        units = tuple(self._final(steps[name]) for name in sorted(names, key=place.__getitem__))
        endpoints = tuple(self._final(step) for wave in plan.endpoint_waves for step in wave.steps)
        verified = all(outcome.is_verified for outcome in (*units, *endpoints))
        return RunResult(
            run=order.run,
            verb=order.verb,
            estate_name=order.estate.name,
            estate_digest=plan.estate_digest,
            plan_hash=plan.hash,
            lost=plan.lost,
            to=plan.to,
            started_at=self.started,
            finished_at=finished,
            lost_at=order.lost_at or self.started,
            exit_code=self.halt.exit_code if self.halt else 0 if verified else 3,
            units=units,
            endpoints=endpoints,
            services=tuple(service_target(order.estate, name) for name in plan.order),
        )

    def _final(self, step: Step) -> Outcome:
        """What a report says of a step: what became of it now, or, when its turn did not come, earlier in the run."""
        now, earlier = self.outcomes.get(step.name), self.earlier.get(step.name)
        if now is None:
            if earlier is not None and earlier.state is not State.NOT_STARTED:
                return earlier
            halt = self.halt
            return replace(
                self._outcome(
                    step,
                    State.NOT_STARTED,
                    cause=halt.cause if halt else None,
                    reason=halt.reason if halt else "",
                ),
                finished_at=None,
            )
        return now.after(earlier)


def service_target(estate: Estate, name: ServiceName) -> ServiceTarget:
    """Return what a report says of a service's recovery time objective."""
    service = estate.service[name]
    return ServiceTarget(name=name, title=service.title, rto_s=service.rto_s)


def ask(step: Step, host: Host, bundle: Bundle, chance: random.Random) -> Question:
    """Return a test transaction for a step, with a nonce of its own."""
    return Question(
        unit=step.name,
        root=host.root,
        service=step.service,
        data_centre=step.data_centre,
        digest=bundle.digest,
        nonce=f"{chance.getrandbits(128):032x}",
    )
