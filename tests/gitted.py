"""An estate in a git repository of a test, with its templates beside it, and changes to it as commits."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recovery.declared.folders import OWN_TEMPLATES
from tests.estates import write_files
from tests.tools import need

_NOBODY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass(frozen=True, slots=True)
class Gitted:
    """A repository with `estate/` and `templates/`.

    Attributes:
        top: Its work tree.
    """

    top: Path

    @staticmethod
    def make(top: Path, estate: Path | None = None) -> Gitted:
        """Make a repository of the small estate, or of a copy of another, with one commit tagged `base`."""
        need("git")
        if estate is None:
            write_files(top / "estate")
        else:
            shutil.copytree(estate, top / "estate", ignore=shutil.ignore_patterns("source", "*.py", "__pycache__"))
        shutil.copytree(OWN_TEMPLATES, top / "templates")
        repository = Gitted(top)
        repository.edit("estate/estate.yaml", "\nname: ", "\ntemplates: ../templates\nname: ")
        repository.git("init", "--quiet", "--initial-branch=main")
        repository.commit("Begin")
        repository.git("tag", "base")
        return repository

    @property
    def estate(self) -> Path:
        """The estate's folder."""
        return self.top / "estate"

    def git(self, *arguments: str) -> str:
        """Run git."""
        command = ["git", "-C", str(self.top), *arguments]
        environment = {**os.environ, **_NOBODY}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=30).stdout

    def commit(self, message: str) -> str:
        """Commit everything, and return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file of the work tree."""
        path = self.top / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} does not hold {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def write(self, files: Mapping[str, str]) -> None:
        """Write files of the work tree."""
        for name, text in files.items():
            (self.top / name).parent.mkdir(parents=True, exist_ok=True)
            (self.top / name).write_text(text, encoding="utf-8")
