"""An estate that publishes, and apps that read it: python-tuf's own client, over the files of a mirror."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from tests.cli_world import Said, pulih
from tests.estates import sound_files, write_files

WORDS = "correct horse battery"
"""The passphrase of every key."""
PUBLISH = """
publish:
  service: passport
  mirrors:
    - ../mirrors/a
    - ../mirrors/b
  online: ../online
  minimum_version: 4.2.0
  message:
    id: Layanan telah pulih.
    en: The services are back.
"""


def publishing_estate(folder: Path, publish: str = PUBLISH) -> Path:
    """Write the small estate with a block `publish:`, and a passphrase beside it; return its folder."""
    files = sound_files()
    files["estate.yaml"] = files["estate.yaml"].rstrip("\n") + "\n" + publish
    (folder / "passphrase").write_text(WORDS + "\n")
    return write_files(folder / "estate", files)


class _Files(FetcherInterface):
    """Fetches from a folder what stands behind `mirror:/`."""

    def __init__(self, mirror: Path) -> None:
        self.mirror = mirror

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            yield (self.mirror / url.removeprefix("mirror:/")).read_bytes()
        except FileNotFoundError:
            raise DownloadHTTPError("not there", 404) from None


class App:
    """One installation: the root it was shipped with, and what it has seen.

    Attributes:
        folder: What it keeps.
    """

    def __init__(self, folder: Path, root: bytes) -> None:
        self.folder = folder
        self.root = root
        (folder / "metadata").mkdir(parents=True)
        (folder / "targets").mkdir()

    def read(self, mirror: Path) -> dict[str, Any]:
        """Return what it is told at a mirror.

        Raises:
            RepositoryError: It trusts nothing there.
        """
        updater = Updater(
            str(self.folder / "metadata"),
            "mirror:/metadata/",
            str(self.folder / "targets"),
            "mirror:/targets/",
            fetcher=_Files(mirror),
            bootstrap=self.root,
        )
        updater.refresh()
        file = updater.get_targetinfo("citizen-app.json")
        assert file is not None
        return json.loads(Path(updater.download_target(file)).read_bytes())

    def twin(self, folder: Path) -> App:
        """Return another installation that has seen the same."""
        shutil.copytree(self.folder, folder)
        twin = object.__new__(App)
        twin.folder, twin.root = folder, self.root
        return twin


@functools.cache
def _command(app: typer.Typer, build: Callable[[typer.Typer], object] = typer.main.get_command) -> object:
    """Making the command line of all verbs takes longer than most of what they do here."""
    return build(app)


class Office:
    """Where keys are kept and ceremonies held."""

    def __init__(
        self,
        folder: Path,
        capsys: pytest.CaptureFixture[str],
        patch: pytest.MonkeyPatch,
        publish: str = PUBLISH,
        *,
        begun: bool = True,
    ) -> None:
        patch.setattr("typer.main.get_command", _command)
        patch.delenv("PULIH_STATE", raising=False)
        patch.setenv("PULIH_ESTATE", str(folder / "estate"))
        patch.setenv("PULIH_PASSPHRASE_FILE", str(folder / "passphrase"))
        self.folder = folder
        self.capsys = capsys
        self.estate = publishing_estate(folder, publish)
        self.keys = folder / "keys"
        self.mirrors = [folder / "mirrors" / name for name in ("a", "b")]
        if not begun:
            return
        self.ok("keys", "new", "--dir", self.keys)
        self.publish()
        self.app = App(folder / "app", (self.estate / "roots" / "1.root.json").read_bytes())
        self.epoch = self.app.read(self.mirrors[0])["config_epoch"]

    def pulih(self, *words: object) -> Said:
        return pulih(self.capsys, *words)

    def ok(self, *words: object) -> Said:
        said = self.pulih(*words)
        assert said.code == 0, said
        return said

    def key(self, name: str) -> Path:
        return self.keys / f"{name}.pem"

    def fresh(self, name: str) -> Path:
        """Make a key on somebody's machine and return its public half."""
        self.ok("keys", "new", "--key", self.key(name))
        return self.keys / f"{name}.pub"

    def signing(self, *names: str) -> list[object]:
        return [word for name in names for word in ("--key", self.key(name))]

    def publish(self, *names: str) -> Said:
        return self.ok("publish", *self.signing(*(names or ("targets-1", "targets-2"))))

    def moves(self) -> None:
        """Change what apps are told."""
        text = (self.estate / "placement.yaml").read_text()
        moved = text.replace("passport: pdns-2", "passport: cloud-1")
        assert moved != text
        (self.estate / "placement.yaml").write_text(moved)

    def told(self) -> dict[str, Any]:
        """Return what the installed app is told, the same at every mirror."""
        told = [self.app.read(mirror) for mirror in self.mirrors]
        assert told[0] == told[1]
        return told[0]

    def shown(self) -> dict[str, Any]:
        said = self.pulih("keys", "show", "--output", "json")
        return json.loads(said.out)
