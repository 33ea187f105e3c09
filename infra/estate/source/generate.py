"""Writes the shipped estate's files, or checks that they are what the lists and rules make.

`python -m infra.estate.source.generate` writes, `--check` exits 1 and names the files that differ.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.estate.source.build import TRUST_ANCHORS, shipped_estate
from infra.estate.source.places import SOURCE
from recovery.declared import write

ESTATE = SOURCE.parent
TEMPLATES = ESTATE.parent.parent / "templates"

_HEADER = """\
# Illustrative: public names of offices, addresses and keys that belong to nobody. See docs/estate.md.
# Made from the lists and rules in infra/estate/source/ by `python -m infra.estate.source.generate`.
"""
_PLACEMENT = """\
# Everything is served by pdns-2 until it is lost; `pulih recover` rewrites this file before it touches a unit.
"""


def made() -> dict[str, bytes]:
    """Return the content of every file of the estate by its path inside the estate's folder."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(shipped_estate(folder, TEMPLATES), folder)
        contents = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder)}
    for path, content in contents.items():
        if path.endswith(".yaml"):
            header = _HEADER + (_PLACEMENT if path == "placement.yaml" else "")
            contents[path] = f"{header}\n".encode() + content
    return contents


def differing(contents: Mapping[str, bytes], folder: Path) -> list[str]:
    """Return the paths in the estate's folder that are missing, too many or not as made."""
    standing = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder)}
    return sorted(path for path in contents.keys() | standing.keys() if contents.get(path) != standing.get(path))


def _files(folder: Path) -> list[Path]:
    """Return the files that an estate is made of, as far as they exist."""
    return [*folder.glob("*.yaml"), *folder.glob("regions/*.yaml"), *folder.glob(TRUST_ANCHORS)]


def main(arguments: Sequence[str] | None = None, folder: Path = ESTATE) -> int:
    """Write or check the files; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.estate.source.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 naming files that differ")
    is_check = parser.parse_args(arguments).check
    contents = made()
    paths = differing(contents, folder)
    for path in paths:
        if is_check:
            print(f"differs from what is generated: {folder / path}", file=sys.stderr)
        elif path in contents:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(contents[path])
        else:
            (folder / path).unlink()
    return 1 if is_check and paths else 0


if __name__ == "__main__":
    sys.exit(main())
