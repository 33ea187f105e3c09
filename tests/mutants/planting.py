"""A planted bug: what it is in a sentence, where it goes, and who has to find it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("recovery", "infra", "templates", "tests", "pyproject.toml", "Pulumi.yaml")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".pulih", "estate")


class StalePatchError(Exception):
    """The code that a bug was to be planted in is not there any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One bug.

    Attributes:
        name: The bug, in a sentence.
        file: Where it is planted, from the root of the repository.
        old: The text that is there, once.
        new: The text that takes its place.
        tests: Who finds it: pytest's names; empty means the campaign.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()

    def plant(self, tree: Path) -> None:
        """Plant it in a copy of the repository.

        Raises:
            StalePatchError: The old text is not there, or more than once, or the new one is no program.
        """
        path = tree / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise StalePatchError(f"{self.name}: found {text.count(self.old)} times in {self.file}: {self.old[:60]!r}")
        mutated = text.replace(self.old, self.new)
        if path.suffix == ".py":
            compile(mutated, self.file, "exec")
        elif subprocess.run(["sh", "-n"], input=mutated, text=True, timeout=10).returncode != 0:
            raise StalePatchError(f"{self.name}: {self.file} would be no program of the shell any more")
        path.write_text(mutated, encoding="utf-8")


def copied(folder: Path) -> Path:
    """Return a copy of the repository in a folder, without what only its own estate needs."""
    tree = folder / "tree"
    tree.mkdir()
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=_LEFT_OUT)
        else:
            shutil.copy2(source, tree / name)
    return tree
