"""A model of what each unit of a small lab must serve, and an operator who types commands at random beside it.

The model is ten lines (`Model.ended`, `Model.cut_off` and `Model.lost_it`): a command that ends brings every well unit
in its scope to where it pulls, one that is cut off brings some of them, and nothing else changes a unit. Everything
is read from the units' own disks and gateways, never from what pulih says.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from recovery import declared, lab
from recovery.model.estate import DataCentreName
from recovery.model.plan import Move
from recovery.render import Renderer, Templates
from tests.drill.watching import begin, pulih, roots
from tests.engine.practice import Practice
from tests.labs import processes

FIRST, SECOND = "pdns-2", "cloud-1"
QUICK = ("wrong-host-key", "disk-full", "validate-fails", "probe-fails", "unreachable")
UNREADABLE = ("wrong-host-key", "unreachable", "hang")
MOST_SICK = 2
"""More would hold most waves; two hold some."""
SETTLED_WITHIN_S = 40
"""The longest that the appliers of a killed run can be at work: each of their waits has 25 s."""


@dataclass
class Model:
    """What each unit may serve now.

    Attributes:
        serves: By unit, the data centres whose bundle it may have; None stands for no release.
        at: Data centres that the placement may name.
        sick: By unit, what is wrong with it.
        lost: Whether the first data centre is.
        is_open: Whether the newest run, which pulled to `goal`, has something left to do.
    """

    serves: dict[str, set[str | None]]
    at: set[str] = field(default_factory=lambda: {FIRST})
    sick: dict[str, str] = field(default_factory=dict[str, str])
    lost: bool = False
    is_open: bool = False
    goal: str = FIRST

    def can_serve(self, goal: str) -> bool:
        """Whether a data centre's endpoints are there to be reached."""
        return not (self.lost and goal == FIRST)

    def ended(self, goal: str, scope: Iterable[str]) -> None:
        """A command came to its end: every well unit in its scope serves what was pulled to."""
        for unit in scope:
            if unit not in self.sick and self.can_serve(goal):
                self.serves[unit] = {goal}

    def cut_off(self, goal: str, scope: Iterable[str]) -> None:
        """A command was held, cancelled or killed: some of its well units do."""
        for unit in scope:
            if unit not in self.sick and self.can_serve(goal):
                self.serves[unit] = self.serves[unit] | {goal}

    def lost_it(self) -> None:
        """The first data centre is lost, with the releases of every unit that it served."""
        self.lost = True
        self.serves = {unit: {None if dc == FIRST else dc for dc in may} for unit, may in self.serves.items()}

    def codes(self, goal: str) -> set[int]:
        """Return the exit codes that a run to a data centre may end with."""
        if not self.can_serve(goal):
            return {3, 5}
        return {0} if not self.sick else {3} if len(self.sick) == 1 else {3, 5}


class Operator:
    """Types commands at random that make sense in the moment, and holds the lab against the model after each.

    Attributes:
        typed: What was typed, to be typed again.
    """

    def __init__(self, home: Path, seed: int, practice: Practice | None = None) -> None:
        self.home = home
        self.estate = str(home / "estate")
        self.practice = practice
        self.typed: list[str] = []
        self.chance = random.Random(seed)
        self.roots = roots(home)
        self.model = Model(serves={unit: {None} for unit in self.roots})
        self.endpoints: set[str] = set()
        self._bundles = _bundles(home)
        self._regions = _regions(home)

    def play(self, steps: int) -> None:
        """Type so many commands, the first of them an apply, and one that mends everything at the end."""
        self.apply()
        for _ in range(steps):
            self.chance.choice(self.possible())()
        if self.model.sick:
            self.heal()
        if self.model.lost and self.placed() == FIRST:
            self.recover()
        self.apply()
        self.verify()
        self.drift()
        assert {dc for may in self.model.serves.values() for dc in may} == {self.placed()}

    def possible(self) -> list[Callable[[], None]]:
        """Return what makes sense to type now."""
        can_recover = self.model.can_serve(self._other(self.placed()))
        able = [self.apply, self.drift, self.verify, self.kill, self.kill, self.resume]
        able += [self.recover, self.recover, self.cancel] if can_recover else []
        able += [] if self.model.lost else [self.lose]
        able += [self.break_] if len(self.model.sick) < MOST_SICK else []
        able += [self.heal, self.heal] if self.model.sick else []
        able += [self.up, self.up, self.refresh] if self.practice is not None else []
        return able

    # What can be typed.

    def apply(self) -> None:
        goal = self.placed()
        self.run_to(goal, "apply")

    def recover(self) -> None:
        self.run_to(self._other(self.placed()), *self._recovery())

    def resume(self) -> None:
        goal = self.model.goal
        said = self._pulih("resume")
        self._expect(said, self._codes_of_resume())
        self._after(said.returncode, goal)

    def kill(self) -> None:
        """Begin something that writes, and kill it at any moment."""
        can_recover = self.model.can_serve(self._other(self.placed()))
        words = self.chance.choice([("apply",), *([self._recovery()] * 2 if can_recover else []), ("resume",)])
        goal = self.model.goal if words == ("resume",) else self._goal(words)
        records, before = self.chance.randrange(45), self._records()
        line = (*words, "--parallel", "2", "--estate", self.estate)
        self._type(f"pulih {' '.join(line)}  # killed after {records} records of its journal")
        process = begin(*line)
        while process.poll() is None and self._records() - before < records:
            time.sleep(0.002)
        process.kill()
        out, _ = process.communicate()
        code = process.wait()
        self.settle()
        if code < 0:
            self.model.at |= {goal} if words[0] != "apply" else set()
            self.model.cut_off(goal, self.roots)
            self.model.is_open, self.model.goal = True, goal
        else:
            assert code in (self._codes_of_resume() if words == ("resume",) else self.model.codes(goal)), out
            self._after(code, goal)
        self.look()

    def cancel(self) -> None:
        """Begin a recovery and cancel it while it runs."""
        words = self._recovery()
        goal = self._goal(words)
        before = self._runs()
        line = (*words, "--parallel", "1", "--estate", self.estate)
        self._type(f"pulih {' '.join(line)} &")
        process = begin(*line)
        while process.poll() is None and not (self._runs() - before):
            time.sleep(0.01)
        fresh = self._runs() - before
        if fresh:
            stopped = self._pulih("cancel", next(iter(fresh)))
            assert stopped.returncode in (0, 1), stopped.stderr  # 1: it had ended already
        out, _ = process.communicate(timeout=180)
        assert process.returncode in {130} | self.model.codes(goal), out
        self.settle()
        self.model.at |= {goal}
        self.model.cut_off(goal, self.roots)
        self.model.is_open, self.model.goal = process.returncode == 130, goal
        self.look()

    def lose(self) -> None:
        self._type(f"pulih lab lose {FIRST} --dir {self.home}")
        lab.lose(self.home, FIRST)
        self.model.lost_it()
        self.look()

    def break_(self) -> None:
        unit = self.chance.choice(sorted(set(self.roots) - set(self.model.sick)))
        how = self.chance.choice(QUICK)
        self._type(f"pulih lab break {unit} --how {how} --dir {self.home}")
        lab.break_unit(self.home, unit, how)
        self.model.sick[unit] = how
        self.look()

    def heal(self) -> None:
        self._type(f"pulih lab heal --dir {self.home}")
        lab.heal_unit(self.home, None)
        self.model.sick.clear()
        self.look()

    def drift(self) -> None:
        said = self._pulih("drift")
        goal = self.placed()
        read = [unit for unit in self.roots if self.model.sick.get(unit) not in UNREADABLE]
        if any(self.served(unit) != goal for unit in read):
            expected = {2}
        elif len(read) < len(self.roots) or not self.model.can_serve(goal):
            expected = {3}
        else:
            expected = {0}
        self._expect(said, expected)
        self.look()

    def verify(self) -> None:
        said = self._pulih("verify")
        goal = self.placed()
        well = not self.model.sick and self.model.can_serve(goal)
        works = set(self.model.sick.values()) <= {"disk-full", "validate-fails"} and self.model.can_serve(goal)
        all_there = all(self.served(unit) == goal for unit in self.roots)
        self._expect(said, {0} if all_there and (well or works) else {3})
        self.look()

    def up(self) -> None:
        """Deploy one region with the literal pulumi."""
        assert self.practice is not None
        region = self.chance.choice(sorted(set(self._regions.values())))
        scope = [unit for unit, of in self._regions.items() if of == region]
        goal = self.placed()
        self._type(f"pulumi up --stack {region} --yes --skip-preview")
        said = self.practice.up(region)
        is_well = not set(scope) & set(self.model.sick) and self.model.can_serve(goal)
        if is_well:
            assert said.code == 0, said.out
            self.model.ended(goal, scope)
        else:
            self.model.cut_off(goal, scope)
        self.look()

    def refresh(self) -> None:
        assert self.practice is not None
        region = self.chance.choice(sorted(set(self._regions.values())))
        self._type(f"pulumi refresh --stack {region} --yes")
        said = self.practice.pulumi("refresh", "--stack", region, "--yes", "--skip-preview", "--suppress-outputs")
        unread = any(self.model.sick.get(unit) in UNREADABLE for unit, of in self._regions.items() if of == region)
        assert said.code == 0 or unread, said.out
        self.look()

    def run_to(self, goal: str, *words: str) -> None:
        """Let a run come to its end."""
        said = self._pulih(*words)
        self._expect(said, self.model.codes(goal))
        self._after(said.returncode, goal)
        self.look()

    def _codes_of_resume(self) -> set[int]:
        """What ended well has nothing left to do; the rest goes on, unless the declaration has moved on since."""
        if not self.model.is_open:
            return {0}
        return self.model.codes(self.model.goal) | ({5} if self.placed() != self.model.goal else set())

    def _after(self, code: int, goal: str) -> None:
        if code in (0, 3) and self.placed() == goal:
            self.model.ended(goal, self.roots)
            self.model.at = {goal}
        else:
            self.model.at |= {goal}
            self.model.cut_off(goal, self.roots)
        self.model.is_open, self.model.goal = code != 0, goal

    # What is seen.

    def served(self, unit: str) -> str | None:
        """Return the data centre whose bundle a unit's disk has as current; None for no release."""
        current = self.roots[unit] / "current"
        if not current.exists():
            return None
        digest = current.readlink().name.split(".")[0]
        return self._bundles.get((unit, digest), f"a bundle that nobody declared: {digest}")

    def placed(self) -> str:
        """Return the data centre that the placement names."""
        placement = declared.load(self.home / "estate").placement
        (at,) = set(placement.default.values())
        return at

    def look(self) -> None:
        """Hold every unit, the placement and the gateways against the model."""
        assert self.placed() in self.model.at, (self.placed(), self.model.at)
        self.model.at = {self.placed()}
        for unit, may in self.model.serves.items():
            found = self.served(unit)
            assert found in may, f"{unit} has the bundle of {found}, where {may} may be"
            self.model.serves[unit] = {found}
        reached = sum(self.model.can_serve(dc) for (dc,) in self.model.serves.values() if dc is not None)
        assert lab.status(self.home).serving == reached

    def settle(self) -> None:
        """Wait until the appliers that a killed run has left behind have come to their end."""
        deadline = time.monotonic() + SETTLED_WITHIN_S
        quiet = 0
        while quiet < 2:
            lab.status(self.home)
            busy = [words for words in processes(self.home) if "pulih/1" in words]
            quiet = 0 if busy else quiet + 1
            assert time.monotonic() < deadline, busy
            time.sleep(0.05)

    def _other(self, data_centre: str) -> str:
        return SECOND if data_centre == FIRST else FIRST

    def _recovery(self) -> tuple[str, ...]:
        lost = self.placed()
        return ("recover", "--lost", lost, "--to", self._other(lost), "--yes")

    def _goal(self, words: tuple[str, ...]) -> str:
        return self._other(self.placed()) if words[0] == "recover" else self.placed()

    def _runs(self) -> set[str]:
        return {path.name for path in (self.home / ".pulih" / "runs").iterdir() if path.name[0] != "."}

    def _records(self) -> int:
        return sum(path.read_bytes().count(b"\n") for path in self.home.glob(".pulih/runs/*/journal.jsonl"))

    def _type(self, line: str) -> None:
        self.typed.append(line.replace(str(self.home), "lab"))

    def _pulih(self, *words: str) -> subprocess.CompletedProcess[str]:
        self._type(f"pulih {' '.join(words)} --estate {self.estate}")
        return pulih(*words, "--estate", self.estate)

    def _expect(self, said: subprocess.CompletedProcess[str], codes: set[int]) -> None:
        assert said.returncode in codes, f"exit {said.returncode}, expected {codes}\n{said.stdout}{said.stderr}"


def _regions(home: Path) -> dict[str, str]:
    return {unit.name: region.name for region, _, unit in declared.load(home / "estate").places()}


def _bundles(home: Path) -> dict[tuple[str, str], str]:
    """Return the data centre of each bundle that may be on a unit, by unit and digest."""
    estate = declared.load(home / "estate")
    templates = Templates.load(estate.templates)
    found: dict[tuple[str, str], str] = {}
    for at in (FIRST, SECOND):
        moves = [
            Move(service=service, region=None, source=source, target=DataCentreName(at))
            for service, source in estate.placement.default.items()
        ]
        moved = declared.with_placement(estate, moves)
        renderer = Renderer(moved, templates)
        found |= {(place[2].name, renderer.unit(*place).digest): at for place in moved.places()}
    return found
