"""An estate that publishes, and apps that read it: python-tuf's own client, over the files of a mirror."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from tests.estates import sound_files, write_files

PASSPHRASE = "correct horse battery"
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
    (folder / "passphrase").write_text(PASSPHRASE + "\n")
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
