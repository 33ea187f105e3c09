"""Bugs of the runbook, of its visits and of its record."""

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
        name="that the placement will move is not synced before it does",
        file="recovery/record.py",
        old='"placement-intended", event.at, {"moves": _moves(event.moves)}, durable=True)',
        new='"placement-intended", event.at, {"moves": _moves(event.moves)})',
    ),
    Mutant(
        name="a file is synced before it is flushed",
        file="recovery/writing.py",
        old="        file.flush()\n        os.fsync(file.fileno())\n",
        new="        os.fsync(file.fileno())\n        file.flush()\n",
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
        name="a torn last line is an edited journal",
        file="recovery/journal.py",
        old='            if not raw.endswith(b"\\n") and _is_torn(raw):\n                break\n',
        new="",
    ),
    Mutant(
        name="a resumed run goes on with the file that its stopped writer has open",
        file="recovery/journal.py",
        old="        write_atomically(path, _bytes(path)[: written.whole_bytes])\n",
        new="""        if not path.exists():
            write_atomically(path, b"")
""",
    ),
    Mutant(
        name="a writer goes on with a journal that another has gone on with",
        file="recovery/journal.py",
        old="if _identity(self._path.stat()) != self._file:",
        new="if _identity(self._path.stat()) == (0, 0):",
        tests=("tests/unit/test_journal.py::test_a_writer_whose_journal_another_has_gone_on_with_writes_no_more",),
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
        name="a resumed run forgets who was brought up before it was broken off",
        file="recovery/retold.py",
        old="self._outcomes[outcome.name] = outcome.after(self._outcomes.get(outcome.name))\n",
        new="self._outcomes.setdefault(outcome.name, outcome)\n",
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
        name="a wave may lose one more than it may",
        file="recovery/gate.py",
        old="    if len(failed) <= allowed:\n        return None\n",
        new="    if len(failed) <= allowed + 1:\n        return None\n",
    ),
    Mutant(
        name="a wave that was held for good goes on",
        file="recovery/runbook.py",
        old="        if not trip.overruled:\n            held =",
        new="        if False:\n            held =",
    ),
    Mutant(
        name="that a wave was held is not recorded",
        file="recovery/record.py",
        old='self._journal.append("wave-held", event.at, held, durable=True)',
        new="pass",
    ),
    Mutant(
        name="a unit whose turn comes when the run was told to stop is begun",
        file="recovery/runbook.py",
        old="            if self._halted() is not None or trip.reason is not None:\n                return\n",
        new="            if trip.reason is not None:\n                return\n",
    ),
    Mutant(
        name="who needs a service needs only that",
        file="recovery/runbook.py",
        old="closure(order.estate.services, {name}) for name",
        new="{name} for name",
    ),
    Mutant(
        name="a place in flight is not given back by a visit that failed",
        file="recovery/slots.py",
        old="        try:\n            yield\n        finally:\n            self._give_back(step)",
        new="        yield\n        self._give_back(step)",
    ),
    Mutant(
        name="a run that had ended and goes on is taken for finished",
        file="recovery/retold.py",
        old="        self._finished, self._held = False, None\n",
        new="        self._held = None\n",
        tests=("tests/unit/test_retold.py::test_a_run_that_had_ended_and_goes_on_is_not_finished",),
    ),
    Mutant(
        name="a unit that leaves steps out is believed",
        file="recovery/apply.py",
        old='    answers.check_done(STEPS if was_sent else ["probe"])\n',
        new="",
        tests=("tests/unit/test_conversations.py::test_a_bundle_is_in_place_only_when_every_step_was_said",),
    ),
    Mutant(
        name="a stored answer passes for that of a test transaction",
        file="recovery/verify.py",
        old="if answered and answered != expected:",
        new='if answered and not answered.startswith(expected.split(" nonce=")[0]):',
        tests=("tests/unit/test_conversations.py::test_a_test_transaction_must_bring_its_own_nonce_back",),
    ),
    Mutant(
        name="a unit that serves another bundle is proven",
        file="recovery/verify.py",
        old="    if digest != question.digest:",
        new="    if False:",
        tests=("tests/unit/test_conversations.py::test_a_unit_that_serves_another_bundle_than_declared_is_not_proven",),
    ),
    Mutant(
        name="tries follow each other without a pause",
        file="recovery/visits.py",
        old="return self._chance.uniform(bound / 4, bound)",
        new="return 0.0",
        tests=("tests/unit/test_visits.py::test_tries_are_as_many_as_declared_and_ever_further_apart_by_chance",),
    ),
    Mutant(
        name="a try begins when a unit's time is used up",
        file="recovery/visits.py",
        old="return late or",
        new="return",
        tests=("tests/unit/test_visits.py::test_no_try_begins_when_a_unit_s_time_is_used_up",),
    ),
    Mutant(
        name="the breaker stops no wave",
        file="recovery/gate.py",
        old="        if count * 2 > finished:",
        new="        if False:",
        tests=("tests/unit/test_gate.py::test_the_breaker_needs_eight_units_and_more_than_half_with_one_cause",),
    ),
)
