"""A practice estate of two regions, deployed with the literal `pulumi` from a copy of the project.

The copy has the checkout's Pulumi.yaml, program, stack files and provider; the engine writes its salt into the copy's
stack files, so the checkout stays clean.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.declaration import ROOT
from recovery import declared, lab
from recovery.model.estate import Estate
from tests.drill.watching import pulih, roots
from tests.engine.engines import environment, need_engine

REGIONS = ("amerika", "jawa-barat")
"""One over satellite and one over fibre and radio."""

AT_ONCE = "64"


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str

    @property
    def summary(self) -> dict[str, int]:
        """The counts below `Resources:`, by word: created, updated, unchanged, deleted, errored."""
        lines = self.out.partition("Resources:\n")[2].partition("\n\n")[0].splitlines()
        words = [line.strip(" +-~=").split() for line in lines]
        return {word[-1]: int(word[0]) for word in words if len(word) in (2, 3) and word[0].isdigit()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """A lab, a project, a backend.

    Attributes:
        home: Folder of the lab.
        project: Folder of the copy of the project.
    """

    home: Path
    project: Path
    environment: Mapping[str, str]

    @staticmethod
    def begin(folder: Path, units: int = 6, regions: tuple[str, ...] = REGIONS) -> Practice:
        """Bring up a lab and make a project with a backend in a folder; end it with `end`."""
        engine = need_engine()
        shipped = declared.load(ROOT / "infra" / "estate")
        source = replace(
            shipped,
            regions=tuple(region for region in shipped.regions if region.name in regions),
            folder=folder / "src",
        )
        declared.write(source, source.folder)
        lab.up(units, folder / "lab", source=source.folder)
        (folder / "state").mkdir()
        words = environment(engine, folder / "home", f"file://{folder / 'state'}")
        home = folder / "lab"
        return Practice(
            home=home,
            project=copy_of_the_project(folder / "project"),
            environment={**words, "PULUMI_PARALLEL": AT_ONCE, "PULIH_ESTATE": str(home / "estate")},
        )

    def end(self) -> None:
        """End the lab."""
        lab.down(self.home, purge=True)

    def with_environment(self, **words: str) -> Practice:
        """Return the same practice with other words in the environment."""
        return replace(self, environment={**self.environment, **words})

    def command(self, *words: str) -> list[str]:
        """Return a command line of pulumi."""
        return ["pulumi", *words, "--non-interactive"]

    def pulumi(self, *words: str, timeout_s: float = 240) -> Said:
        """Run one command line of pulumi to its end, as typed."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.project,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
        return Said(done.returncode, done.stdout)

    def init(self, *stacks: str) -> None:
        """Make stacks."""
        for stack in stacks:
            made = self.pulumi("stack", "init", stack, "--no-select")
            assert made.code == 0, made.out

    def up(self, stack: str, *words: str) -> Said:
        """Deploy a stack."""
        return self.pulumi("up", "--stack", stack, "--yes", "--skip-preview", "--suppress-outputs", *words)

    def preview(self, stack: str, *words: str) -> Said:
        """Preview a stack."""
        return self.pulumi("preview", "--stack", stack, "--suppress-outputs", *words)

    def deploy(self, *stacks: str) -> None:
        """Make and deploy stacks."""
        self.init(*stacks)
        for stack in stacks:
            done = self.up(stack)
            assert done.code == 0, done.out

    def resources(self, stack: str) -> list[dict[str, Any]]:
        """Return what the state holds of a stack's units and endpoints."""
        said = self.pulumi("stack", "export", "--stack", stack)
        assert said.code == 0, said.out
        found = json.loads(said.out)["deployment"].get("resources", [])
        return [made for made in found if made["type"] in ("pulih:index:Unit", "pulih:index:Endpoint")]

    def pulih(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command line of pulih on the lab's estate."""
        return pulih(*words, "--estate", str(self.home / "estate"))

    def units(self, region: str | None = None) -> dict[str, Path]:
        """Return the folders of the lab's units, or of one region's."""
        card = json.loads((self.home / "lab.json").read_text())["units"]
        return {name: root for name, root in roots(self.home).items() if region in (None, card[name]["region"])}

    def receipts(self) -> dict[str, str]:
        """Return the receipt of every unit that has one, as it stands on the unit."""
        files = {name: root / "receipt.json" for name, root in self.units().items()}
        return {name: file.read_text() for name, file in files.items() if file.exists()}

    def releases(self) -> dict[str, list[tuple[str, int]]]:
        """Return the releases on every unit, with the moment at which each came there."""
        folders = {name: root / "releases" for name, root in self.units().items()}
        return {
            name: sorted((release.name, release.stat().st_ctime_ns) for release in folder.iterdir())
            for name, folder in folders.items()
            if folder.exists()
        }

    def estate(self) -> Estate:
        """Return the lab's estate as it is declared now."""
        return declared.load(self.home / "estate")

    def status(self) -> lab.LabStatus:
        """Return how the lab is."""
        return lab.status(self.home)


def copy_of_the_project(folder: Path) -> Path:
    """Copy what makes the project, so that engines write into the copy; its virtual environment is the checkout's."""
    (folder / "infra" / "provider").mkdir(parents=True)
    for name in ("Pulumi.yaml", "infra/__main__.py", "infra/provider/pulumi-resource-pulih"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "infra" / "stacks", folder / "infra" / "stacks")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder
