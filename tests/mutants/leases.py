"""Bugs of the leases: of who may write, and of what ends a run."""

from __future__ import annotations

from tests.mutants.planting import Mutant

MUTANTS = (
    Mutant(
        name="the epoch is kept on resume",
        file="recovery/lease.py",
        old="number = 1 + max((holder.epoch.number for _, holder in found.values()), default=0)",
        new="number = max((holder.epoch.number for _, holder in found.values()), default=1)",
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
        name="the engine goes on with a declaration that a recovery has moved",
        file="infra/provider/rights.py",
        old="        try:\n            self._check()\n",
        new="        try:\n            pass\n",
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
        name="a request to cancel is not seen",
        file="recovery/cli/watch.py",
        old="if self._halt is None and self._is_cancel_requested():",
        new="if self._halt is None and False:",
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
    Mutant(
        name="a document of the leases is written over whatever version stands there",
        file="recovery/store.py",
        old="            if (found.version if found else None) != over:\n                raise",
        new="            if False:\n                raise",
    ),
    Mutant(
        name="whoever resumes any run may take over a silent one",
        file="recovery/lease.py",
        old="if is_engine or holder.run == over:",
        new="if is_engine or over is not None:",
    ),
    Mutant(
        name="a silent engine holds its scopes for ever",
        file="recovery/lease.py",
        old="if is_engine or holder.run == over:",
        new="if holder.run == over:",
    ),
    Mutant(
        name="broken glass takes from the living",
        file="recovery/lease.py",
        old="        if silent <= TIME_TO_LIVE:\n",
        new="        if silent <= TIME_TO_LIVE and not is_glass_broken:\n",
    ),
    Mutant(
        name="a lease is renewed with the heartbeat of before",
        file="recovery/lease.py",
        old="                heartbeat=now,\n                released=released,",
        new="                heartbeat=holder.heartbeat,\n                released=released,",
    ),
    Mutant(
        name="whoever loses the race for one scope keeps the others",
        file="recovery/lease.py",
        old="            except ConflictError as error:\n                lease.release()\n",
        new="            except ConflictError as error:\n",
        tests=("tests/unit/test_lease.py::test_whoever_loses_a_race_for_one_scope_gives_the_others_back",),
    ),
    Mutant(
        name="the leases of data centres are not taken",
        file="recovery/cli/begun.py",
        old="step.data_centre if step.region is None else step.region for step in plan.steps()",
        new="step.region for step in plan.steps() if step.region is not None",
    ),
    Mutant(
        name="Ctrl-C is not heard",
        file="recovery/cli/watch.py",
        old="reason=BEFORE_ITS_TURN, exit_code=EXIT_CODE)\n",
        new="reason=BEFORE_ITS_TURN, exit_code=EXIT_CODE) if False else None\n",
    ),
    Mutant(
        name="a second Ctrl-C is not heard",
        file="recovery/cli/begun.py",
        old="                conducting.cancel()",
        new="                pass",
    ),
    Mutant(
        name="whoever was overtaken leaves a report",
        file="recovery/cli/begun.py",
        old="if not self.watch.is_overtaken():",
        new="if self.watch is not None:",
    ),
    Mutant(
        name="a unit's newer epoch makes nobody doubt the lease",
        file="recovery/cli/watch.py",
        old="        if stale and self._halt is None:",
        new="        if stale and self._halt is not None:",
        tests=("tests/unit/test_lease.py::test_a_unit_that_has_seen_a_newer_epoch_lets_the_run_ask_the_store_at_once",),
    ),
    Mutant(
        name="a request to cancel outlives the run that it was for",
        file="recovery/runs.py",
        old='        (folder / "cancel").unlink(missing_ok=True)\n',
        new="",
    ),
    Mutant(
        name="the engine does not renew its leases while units are at work",
        file="infra/provider/rights.py",
        old="asyncio.create_task(watch.keep_lease())",
        new="asyncio.create_task(asyncio.sleep(0))",
    ),
    Mutant(
        name="the engine looks after its lease before no unit",
        file="infra/provider/rights.py",
        old="        halt = self.watch.halted()\n        if halt is not None:",
        new="        halt = None\n        if halt is not None:",
    ),
    Mutant(
        name="the engine does not give its leases back",
        file="infra/provider/rights.py",
        old="                    right.lease.release()",
        new="                    pass",
    ),
)
