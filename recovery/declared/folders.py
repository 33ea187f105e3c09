"""Where the files of an estate and its templates are."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from recovery.declared.fields import SLUG
from recovery.declared.nodes import Document, quoted, read
from recovery.declared.schema import FILES

OWN_TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
"""Those that pulih ships."""

MAX_REGIONS = 1000
"""Files of regions in an estate, at most; each may have 1 MiB."""


@dataclass(slots=True)
class Files:
    """The files of an estate, as far as they could be read.

    Attributes:
        folder: Stands for the folder of regions where a mistake is about none of its files.
    """

    estate: Document
    services: Document
    data_centres: Document
    placement: Document
    bastions: Document
    folder: Document
    regions: list[Document] = field(default_factory=list[Document])

    @property
    def named(self) -> tuple[Document, ...]:
        """The files that every estate has, in the order of `FILES`."""
        return (self.estate, self.services, self.data_centres, self.placement, self.bastions)

    @property
    def documents(self) -> tuple[Document, ...]:
        """All of them."""
        return (*self.named, self.folder, *self.regions)


def read_files(folder: Path) -> Files:
    """Read all files of an estate; what is wrong is noted in each."""
    estate, services, data_centres, placement, bastions = (read(folder / name) for name in FILES)
    files = Files(estate, services, data_centres, placement, bastions, folder=Document(folder / "regions"))
    try:
        entries = sorted(path for path in files.folder.file.iterdir() if not path.name.startswith("."))
    except OSError as error:
        words = "the folder is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        files.folder.refuse(1, f"{words}, expected a folder with one file a region")
        return files
    if len(entries) > MAX_REGIONS:
        files.folder.refuse(1, f"holds {len(entries):,} files, expected at most {MAX_REGIONS:,} regions")
        return files
    for path in entries:
        if path.suffix != ".yaml":
            words = "is no region's file, expected only files that end in .yaml"
            files.folder.mistakes += Document(path).refused(words)
            continue
        document = read(path)
        if SLUG.fullmatch(path.stem) is None:
            document.refuse(1, f"found the name {quoted(path.stem)}, expected that of a region (a-z, 0-9 and '-')")
        files.regions.append(document)
    if not files.regions and not files.folder.mistakes:
        files.folder.refuse(1, "holds no region, expected at least one file that ends in .yaml")
    return files


def beside(folder: Path, path: str) -> Path:
    """Return the absolute form of a path that `estate.yaml` gives from its own folder; `~` is one's home.

    `~name` of an account that isn't there is a name like any other, as in a shell.
    """
    return Path(os.path.normpath(folder.resolve() / os.path.expanduser(path)))  # noqa: PTH111 - pathlib's raises


def templates_folder(folder: Path, named: str | None) -> Path:
    """Return the folder of an estate's templates.

    Args:
        folder: The estate's.
        named: What `estate.yaml` says, relative to the estate. Without it that is `templates/` beside the nearest
            `Pulumi.yaml` above the estate, else pulih's own.
    """
    resolved = folder.resolve()
    if named is not None:
        return beside(folder, named)
    for parent in resolved.parents:
        if (parent / "Pulumi.yaml").is_file():
            if (parent / "templates").is_dir():
                return parent / "templates"
            break
    return OWN_TEMPLATES
