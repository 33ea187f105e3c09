"""The life of a resource, on units in memory: who is visited, who waits, what a failure says."""

from __future__ import annotations

import ast
import asyncio
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.declaration import ROOT, UNIT, Declaration, declaration
from infra.provider import resources as module
from infra.provider.quiet import Quiet
from infra.provider.resources import Resources, UnreadError, Urn
from infra.provider.rights import Rights
from recovery.errors import (
    DeclarationError,
    HeldError,
    PlanError,
    PulihError,
    RefusedError,
    UnitError,
    UnreachableError,
)
from recovery.lease import Leases
from recovery.model.estate import Estate, UnitName
from recovery.processes import LinuxProcesses, Process
from recovery.store import FileStore
from tests.cli_world import Units, small_estate

AIRPORT = ("airport-border-crossing", "airport-passport")


class Teller:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []

    async def warn(self, urn: str, text: str) -> None:
        assert urn
        self.warnings.append(text)

    def note(self, urn: str, text: str) -> None:
        assert urn
        self.notes.append(text)


class World:
    """A provider over units in memory."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, estate: Path, stack: str) -> None:
        self.estate = estate
        self.units = Units(estate)
        self.teller = Teller()
        self.state = FileStore(folder / "state")
        self.declared: Declaration = declaration(estate, stack)

        def transport(_estate: Estate, _parallel: int) -> Units:
            return self.units

        patch.setenv("PULIH_STATE", str(self.state.folder))
        patch.setattr(module, "transport", transport)

    def run(self, work: Callable[[Resources], Awaitable[Any]]) -> Any:
        """Do something with a provider of its own, as an engine does."""

        async def whole() -> Any:
            provider = Resources(self.teller)
            provider.folder = self.estate
            try:
                return await asyncio.wait_for(work(provider), 10)
            finally:
                await provider.close()

        return asyncio.run(whole())

    def inputs(self, name: str) -> dict[str, object]:
        return dict(self.declared.deployables[name].inputs)

    def leases(self) -> list[str]:
        return self.state.names("leases/")


def urn(name: str, stack: str = "west") -> Urn:
    return Urn(f"urn:pulumi:{stack}::pulih::pulih:index:Office${UNIT}::{name}")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch, small_estate(tmp_path), "west")


def names(world: World) -> list[str]:
    return list(world.declared.deployables)


def test_every_unit_is_applied_under_one_lease_that_is_given_back(world: World) -> None:
    async def work(provider: Resources) -> Any:
        return await asyncio.gather(*(provider.apply(urn(name), world.inputs(name)) for name in names(world)))

    states = world.run(work)
    assert [state["unit"] for state in states] == names(world)
    assert all(state["digest"] == world.declared.deployables[state["unit"]].bundle.digest for state in states)
    assert world.leases() == ["leases/west.json"]
    stored = world.state.get("leases/west.json")
    assert stored is not None
    assert b'"released": true' in stored.content


def test_a_failure_is_told_when_the_others_are_through_and_stands_alone(world: World) -> None:
    sick, *well = names(world)
    world.units.fails[UnitName(sick)] = UnreachableError(sick, "no route to host")
    world.units.pause_s = 0.05
    ended: list[str] = []

    async def one(provider: Resources, name: str) -> None:
        try:
            await provider.apply(urn(name), world.inputs(name))
        finally:
            ended.append(name)

    async def work(provider: Resources) -> None:
        first = asyncio.create_task(one(provider, sick))
        await asyncio.sleep(0.2)
        for name in well:  # the engine starts the next only now: it must still get its turn
            await one(provider, name)
        with pytest.raises(UnitError, match=rf"^{sick}: unreachable: no route to host$"):
            await first

    world.run(work)
    assert ended == [*well, sick]


def test_a_cancelled_deployment_starts_no_further_unit_and_waits_for_nobody(world: World) -> None:
    name = names(world)[0]

    async def work(provider: Resources) -> None:
        await provider.apply(urn(name), world.inputs(name))
        visits = len(world.units.visited)
        provider.stop()
        with pytest.raises(UnitError, match="cancelled: nothing more is begun on it"):
            await provider.apply(urn(name), world.inputs(name))
        assert len(world.units.visited) == visits

    world.run(work)


def test_a_deployment_that_is_cancelled_while_a_lease_is_being_taken_begins_nothing_with_it(world: World) -> None:
    async def work() -> bool:
        rights = Rights(world.declared.estate, lambda: rights.stop())
        try:
            return (await rights.of("west")).watch.is_stopping()
        finally:
            rights.release()

    assert asyncio.run(work())


def test_a_resource_of_a_type_that_there_is_not_is_named(world: World) -> None:
    other = Urn("urn:pulumi:west::pulih::pulih:index:Ofice::airport")

    async def work(provider: Resources) -> Any:
        return await provider.check(other, world.inputs(names(world)[0]))

    with pytest.raises(PlanError, match="no resource pulih:index:Ofice; it has"):
        world.run(work)


def test_reading_takes_no_lease_and_a_unit_that_can_not_be_read_says_why(world: World) -> None:
    name = names(world)[0]

    async def read(provider: Resources) -> Any:
        return await provider.read(urn(name), name, {}, {})

    state, inputs = world.run(read)
    assert (state["digest"], inputs) == ("none", world.inputs(name))
    world.units.fails[UnitName(name)] = UnreachableError(name, "no route to host")
    with pytest.raises(UnreadError, match=rf"^{name}: unreachable: no route to host$"):
        world.run(read)
    assert world.leases() == []


def test_a_unit_that_this_stack_no_longer_deploys_is_forgotten_without_a_visit(world: World) -> None:
    world.run(lambda provider: provider.delete(urn("somewhere-else"), "somewhere-else"))
    assert (world.units.visited, world.teller.warnings, world.leases()) == ([], [], [])


def test_a_unit_that_the_program_still_asks_for_is_not_forgotten_with_what_else_stood_for_it(world: World) -> None:
    moved, imported_twice = names(world)

    async def work(provider: Resources) -> None:
        for name in (moved, imported_twice):
            assert await provider.check(urn(name), world.inputs(name)) == ()
        await provider.apply(urn(moved), world.inputs(moved))
        await provider.delete(urn(moved), moved)
        await provider.delete(urn("x"), imported_twice)

    world.run(work)
    assert world.units.visited == [("apply", moved)]


def test_an_unreachable_unit_holds_up_no_delete(world: World) -> None:
    name = names(world)[0]
    world.units.fails[UnitName(name)] = UnreachableError(name, "no route to host")
    world.run(lambda provider: provider.delete(urn(name), name))
    (warning,) = world.teller.warnings
    assert warning.startswith(f"{name}: no route to host")
    assert "goes on as it is" in warning


def test_leases_that_can_not_be_used_stop_an_update_and_hold_up_no_delete(world: World) -> None:
    name = names(world)[0]
    world.state.folder.mkdir(exist_ok=True)
    (world.state.folder / "leases").write_text("not a folder")
    with pytest.raises(PulihError, match=r"^the leases beside .* can't be used: .* Nothing was touched\.$"):
        world.run(lambda provider: provider.apply(urn(name), world.inputs(name)))
    world.run(lambda provider: provider.delete(urn(name), name))
    (warning,) = world.teller.warnings
    assert "goes on as it is" in warning
    assert world.units.visited == []


def test_no_fault_of_ours_holds_up_a_delete(world: World) -> None:
    name = names(world)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "forget_unit", None)
        world.run(lambda provider: provider.delete(urn(name), name))
    (warning,) = world.teller.warnings
    assert warning.startswith("a fault of pulih itself, please file it: TypeError: ")


def test_an_estate_with_mistakes_is_read_once_whoever_asks(world: World) -> None:
    first, second = names(world)
    services = world.estate / "services.yaml"
    kept = services.read_text()
    services.write_text("nothing\n")

    async def work(provider: Resources) -> None:
        with pytest.raises(DeclarationError):
            await provider.read(urn(first), first, {}, {})
        services.write_text(kept)
        with pytest.raises(DeclarationError):
            await provider.read(urn(second), second, {}, {})

    world.run(work)


def test_a_scope_that_somebody_else_holds_is_refused_and_never_deleted_into(world: World) -> None:
    name = names(world)[0]

    def held(_self: Leases, scopes: list[str], run: str) -> None:
        raise HeldError(f"{scopes[0]} is held by somebody, not by {run[:4]}.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Leases, "take", held)
        with pytest.raises(HeldError, match=r"west is held by somebody.* Nothing was touched"):
            world.run(lambda provider: provider.apply(urn(name), world.inputs(name)))
        world.run(lambda provider: provider.delete(urn(name), name))
    assert world.units.visited == []
    assert "west is held by somebody" in world.teller.warnings[0]


def test_a_placement_that_moved_meanwhile_is_not_undone(world: World) -> None:
    name = names(world)[0]

    async def work(provider: Resources) -> None:
        assert await provider.check(urn(name), world.inputs(name)) == ()
        placement = world.estate / "placement.yaml"
        placement.write_text(placement.read_text().replace("pdns-2", "cloud-1"))
        with pytest.raises(RefusedError, match="was changed while this deployment was being prepared"):
            await provider.apply(urn(name), world.inputs(name))

    world.run(work)
    assert world.units.visited == []
    stored = world.state.get("leases/west.json")
    assert stored is not None
    assert b'"released": true' in stored.content


def test_a_silent_engine_is_taken_over_and_a_silent_recovery_is_not(world: World) -> None:
    name = names(world)[0]
    long_ago = Clock(datetime(2024, 6, 20, tzinfo=UTC))
    for verb, is_held in (("up", False), ("recover", True)):
        run = f"20240620T005400Z-{verb}-3f9a1c"
        lease = Leases(world.state, long_ago, ElsewhereAlive(), random.Random(1)).take(["west"], run)
        said = world.run(lambda provider: ended(provider.apply(urn(name), world.inputs(name))))
        assert isinstance(said, HeldError) is is_held, said
        assert (run in str(said)) is is_held
        lease.release()


async def ended(work: Awaitable[Any]) -> Any:
    """Return what came of it, or why it was held."""
    try:
        return await work
    except HeldError as error:
        return error


@dataclass
class Clock:
    """Stands still."""

    at: datetime

    def now(self) -> datetime:
        return self.at


class ElsewhereAlive(LinuxProcesses):
    """A process of another machine."""

    def __init__(self) -> None:
        super().__init__("somebody@elsewhere")

    def me(self) -> Process:
        return replace(super().me(), machine="elsewhere", boot="another")


def test_an_illustrative_estate_is_refused_before_a_lease_or_a_visit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, monkeypatch, ROOT / "infra" / "estate", "amerika")
    name = names(world)[0]

    async def apply(provider: Resources) -> None:
        await provider.apply(urn(name, "amerika"), world.inputs(name))

    async def read(provider: Resources) -> None:
        await provider.read(urn(name, "amerika"), name, {}, {})

    for work in (apply, read):
        with pytest.raises(RefusedError, match=r"is illustrative: .* nothing connects to it"):
            world.run(work)
    assert (world.units.visited, world.leases()) == ([], [])


def test_inputs_that_are_not_the_declarations_touch_nothing(world: World) -> None:
    name = names(world)[0]
    inputs = {**world.inputs(name), "digest": "sha256:" + "0" * 64}
    with pytest.raises(Exception, match="program and provider have not read the same files"):
        world.run(lambda provider: provider.apply(urn(name), inputs))
    assert world.units.visited == []


def test_quiet_waits_for_whoever_is_at_work_and_a_moment_longer() -> None:
    async def work() -> list[str]:
        quiet, seen = Quiet(settled_s=0.1), list[str]()

        async def busy() -> None:
            async with quiet.at_work():
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.05)  # shorter than a moment
            async with quiet.at_work():
                await asyncio.sleep(0.1)
            seen.append("busy")

        task = asyncio.create_task(busy())
        await asyncio.sleep(0)
        await quiet.wait()
        seen.append("quiet")
        await task
        return seen

    assert asyncio.run(work()) == ["busy", "quiet"]


def test_a_preview_does_not_wait_for_ssh_to_be_imported() -> None:
    code = "import sys, infra.provider.serving; sys.exit('paramiko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_the_servers_module_reaches_into_the_sdks_unpublished_parts() -> None:
    found: set[str] = set()
    for file in [*(ROOT / "infra").rglob("*.py"), *(ROOT / "recovery").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.startswith("pulumi.provider") for name in names):
                found.add(file.relative_to(ROOT).as_posix())
    assert found == {"infra/provider/serving.py"}
