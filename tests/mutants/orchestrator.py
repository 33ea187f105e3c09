"""Bugs of the orchestrator: the campaign finds each, but for the one whose harm a heartbeat in time prevents."""

from __future__ import annotations

from tests.mutants.planting import Mutant

MUTANTS = (
    Mutant(
        name="a unit is visited before the journal says so",
        file="recovery/runbook.py",
        old="""            self.world.tell(UnitStarted(step=step, at=self.world.clock.now()))
            try:
                bundle, sent = await self._apply(step)
""",
        new="""            try:
                bundle, sent = await self._apply(step)
                self.world.tell(UnitStarted(step=step, at=self.world.clock.now()))
""",
    ),
    Mutant(
        name="the epoch is kept on resume",
        file="recovery/lease.py",
        old="number = 1 + max((holder.epoch.number for _, holder in found.values()), default=0)",
        new="number = max((holder.epoch.number for _, holder in found.values()), default=1)",
    ),
    Mutant(
        name="dependencies across waves are ignored",
        file="recovery/runbook.py",
        old="""        if not self.failed_endpoints:
            return None
""",
        new="""        if self.failed_endpoints is not None:
            return None
""",
    ),
    Mutant(
        name="the waves of units run all at once",
        file="recovery/runbook.py",
        old="""        for wave in plan.unit_waves:
            await self._wave(wave)
""",
        new="""        await asyncio.gather(*(self._wave(wave) for wave in plan.unit_waves))
""",
    ),
    Mutant(
        name="a wrong host key or a refused login is tried again",
        file="recovery/visits.py",
        old="isinstance(error, UnreachableError | CommandTimeoutError | BadAnswerError | VerifyError)",
        new="isinstance(error, UnitError)",
    ),
    Mutant(
        name="a quarantined unit counts as verified",
        file="recovery/model/outcome.py",
        old="return self.state in (State.VERIFIED, State.UNCHANGED)",
        new="return self.state in (State.VERIFIED, State.UNCHANGED, State.QUARANTINED)",
    ),
    Mutant(
        name="the totals count quarantined units as verified",
        file="recovery/report/facts.py",
        old="verified=counts[State.VERIFIED] + counts[State.UNCHANGED],",
        new="verified=counts[State.VERIFIED] + counts[State.UNCHANGED] + counts[State.QUARANTINED],",
    ),
    Mutant(
        name="the placement is written last",
        file="recovery/runbook.py",
        old="""        if self._halted() is None:
            self._write_placement()
        for wave in plan.unit_waves:
            await self._wave(wave)
""",
        new="""        for wave in plan.unit_waves:
            await self._wave(wave)
        if self._halted() is None:
            self._write_placement()
""",
    ),
    Mutant(
        name="the placement is written before the target is proven",
        file="recovery/runbook.py",
        old="""        for wave in plan.endpoint_waves:
            await self._wave(wave)
        if self._halted() is None:
            self._write_placement()
""",
        new="""        if self._halted() is None:
            self._write_placement()
        for wave in plan.endpoint_waves:
            await self._wave(wave)
""",
    ),
    Mutant(
        name="the journal is not synced where it should last",
        file="recovery/journal.py",
        old="""        if durable:
            os.fsync(self._descriptor)
""",
        new="",
    ),
    Mutant(
        name="the lease is not looked after before a unit",
        file="recovery/cli/watch.py",
        old="""        if self._halt is None:
            self._renew()
        if self._halt is None and self._is_cancel_requested():
""",
        new="""        if self._halt is None and self._is_cancel_requested():
""",
        tests=("tests/unit/test_lease.py::test_whoever_asks_whether_to_stop_before_a_unit_looks_after_the_lease",),
    ),
    Mutant(
        name="a visit that ends without its last line is a success",
        file="recovery/apply.py",
        old="""    while True:
        word, rest = await answers.next()
        if word == "answer":
""",
        new="""    while True:
        try:
            word, rest = await answers.next()
        except (UnreachableError, BadAnswerError):
            return receipt
        if word == "answer":
""",
    ),
    Mutant(
        name="canaries are not proven over a new connection",
        file="recovery/runbook.py",
        old="                if is_canary:\n",
        new="                if is_canary and not sent:\n",
    ),
    Mutant(
        name="canaries go together with the rest",
        file="recovery/runbook.py",
        old="await self._together(wave.canaries, trip, is_canary=True)",
        new="await self._together(wave.steps, trip, is_canary=True)",
    ),
    Mutant(
        name="the leases of a living holder are taken over",
        file="recovery/lease.py",
        old="if silent <= TIME_TO_LIVE:",
        new="if silent < timedelta(0):",
    ),
    Mutant(
        name="a lost acknowledgement of the store is somebody else's write",
        file="recovery/store_s3.py",
        old="if found is not None and found.content == content:",
        new="if found is not None and found.content == content and not isinstance(written, ConflictError):",
    ),
    Mutant(
        name="a store that is away counts as a renewed lease",
        file="recovery/cli/watch.py",
        old="            if not self._lease.is_fresh():\n",
        new="            if self._halt is not None:\n",
    ),
    Mutant(
        name="a torn last line is an edited journal",
        file="recovery/journal.py",
        old='            if not raw.endswith(b"\\n") and _is_torn(raw):\n                break\n',
        new="",
    ),
    Mutant(
        name="a writer goes on with a journal that another has gone on with",
        file="recovery/journal.py",
        old="if os.fstat(self._descriptor).st_size != self._size_bytes:",
        new="if os.fstat(self._descriptor).st_size < 0:",
    ),
    Mutant(
        name="the placement moves although its record did not fit on the disk",
        file="recovery/runbook.py",
        old="                return  # that it is about to happen could not be recorded, or the run was overtaken\n",
        new="                pass\n",
    ),
    Mutant(
        name="a wave that lost more than it may holds nobody",
        file="recovery/gate.py",
        old="    if len(failed) <= allowed:\n        return None\n",
        new="    if len(failed) <= allowed + len(wave.steps):\n        return None\n",
    ),
    Mutant(
        name="a region's limit is not kept",
        file="recovery/slots.py",
        old='            found.append((("region", region), self.limits.region))\n',
        new='            found.append((("region", region), self.parallel))\n',
    ),
    Mutant(
        name="the engine goes on with a declaration that a recovery has moved",
        file="infra/provider/rights.py",
        old="        try:\n            self._check()\n",
        new="        try:\n            pass\n",
    ),
    Mutant(
        name="a resumed run forgets who was brought up before it was broken off",
        file="recovery/retold.py",
        old="self._outcomes[outcome.name] = outcome.after(self._outcomes.get(outcome.name))\n",
        new="self._outcomes.setdefault(outcome.name, outcome)\n",
    ),
    Mutant(
        name="break-glass draws no larger epoch than the units have",
        file="recovery/lease.py",
        old="number = max(number, above + 1)",
        new="number = max(number, above)",
    ),
    Mutant(
        name="a dead holder does not free its scopes",
        file="recovery/lease.py",
        old="if holder.released or self.processes.is_dead(holder.process):",
        new="if holder.released:",
    ),
    Mutant(
        name="giving back takes from the new holder",
        file="recovery/lease.py",
        old="self.held[scope] = (fresh, self._leases.store.put(_name(scope), fresh.to_json(), over=version))",
        new="""found = self._leases.store.get(_name(scope)) if released else None
                version = found.version if found else version
                self.held[scope] = (fresh, self._leases.store.put(_name(scope), fresh.to_json(), over=version))""",
    ),
    Mutant(
        name="leases are not given back when a run ends",
        file="recovery/cli/begun.py",
        old="""        stack.callback(_tell_of, "the lease could not be given back", lease.release)
""",
        new="",
    ),
    Mutant(
        name="leases are not renewed while units are at work",
        file="recovery/cli/watch.py",
        old="            if not self._is_lost():\n                self._renew()\n",
        new="            pass\n",
    ),
    Mutant(
        name="the leases of a run that was lost with its machine stay held whatever glass is broken",
        file="recovery/lease.py",
        old="            if is_glass_broken:\n                return True\n",
        new="",
    ),
    Mutant(
        name="a run asks the store whether it was overtaken when another goes on with its journal",
        file="recovery/cli/begun.py",
        old="self._watch.lose(str(error))",
        new="self._watch.is_overtaken()",
        tests=(
            "tests/unit/test_lease.py::test_a_run_stops_whose_journal_another_goes_on_with_though_its_lease_seems_fine",
        ),
    ),
    Mutant(
        name="a bastion's limit is not kept",
        file="recovery/slots.py",
        old='found.append((("bastion", bastion), self.limits.bastion))',
        new='found.append((("bastion", bastion), self.parallel))',
    ),
    Mutant(
        name="a class of line's limit is not kept",
        file="recovery/slots.py",
        old='(("link", link), self.limits.link[link])',
        new='(("link", link), self.parallel)',
    ),
    Mutant(
        name="a request to cancel is not seen",
        file="recovery/cli/watch.py",
        old="if self._halt is None and self._is_cancel_requested():",
        new="if self._halt is None and False:",
    ),
    Mutant(
        name="a unit is tried again although the run was told to stop",
        file="recovery/runbook.py",
        old="        if halt is not None:\n            raise UnitError",
        new="        if False:\n            raise UnitError",
    ),
    Mutant(
        name="units whose turn did not come do not say why",
        file="recovery/runbook.py",
        old='reason=halt.reason if halt else "",',
        new='reason="",',
    ),
    Mutant(
        name="a unit is given up after its first try",
        file="recovery/visits.py",
        old="late or retry_state.attempt_number > self._retries",
        new="True or late",
    ),
    Mutant(
        name="a unit is believed that the lost data centre answers",
        file="recovery/apply.py",
        old="if not answered.startswith(wanted):",
        new="if not answered:",
    ),
    Mutant(
        name="who goes in a failed canary's place is not proven over a new connection",
        file="recovery/runbook.py",
        old="await self._together(second, trip, is_canary=True)",
        new="await self._together(second, trip, is_canary=False)",
    ),
    Mutant(
        name="a unit that was sent its bundle is called unchanged",
        file="recovery/runbook.py",
        old="            sent = True\n",
        new="            sent = False\n",
    ),
    Mutant(
        name="a writer whose store has long not heard of it goes on",
        file="recovery/lease.py",
        old="< TIME_TO_LIVE * 2 / 3",
        new="< TIME_TO_LIVE * 4",
    ),
    Mutant(
        name="a plan is carried out though the declaration has moved since",
        file="recovery/cli/begun.py",
        old="        agreed = _as_it_is_now(outside, agreed, planner)\n",
        new="",
        tests=("tests/unit/test_cli_running.py::test_an_estate_changed_while_somebody_was_asked_is_planned_again",),
    ),
)
