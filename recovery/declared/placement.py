"""Changes of placement: in the model, and in `placement.yaml` with its comments.

Both go through `Placement.moved`, so what a plan was made from and what is read back afterwards are the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml

from recovery.declared import build, emit
from recovery.declared.nodes import Document, parse, read
from recovery.declared.schema import PlacementFile
from recovery.declared.sentences import checked
from recovery.declared.splice import Splicer, Tree
from recovery.errors import DeclarationError, Mistake
from recovery.model.estate import DataCentreName, Estate, Placement, RegionName, ServiceName
from recovery.model.plan import Move
from recovery.writing import put_in_place

PLACEMENT = "placement.yaml"


def with_placement(estate: Estate, moves: Iterable[Move]) -> Estate:
    """Return the estate after some changes of placement."""
    return dataclasses.replace(estate, placement=estate.placement.moved(map(_change, moves)))


def write_placement(folder: Path, moves: Iterable[Move]) -> None:
    """Change `placement.yaml`: at every instant the file is the old one or the new one, on disk.

    Raises:
        DeclarationError: The file can't be read as a placement, or was changed meanwhile; it is left as it is.
    """
    document = read(folder / PLACEMENT)
    before = _placement(document)
    after = before.moved(map(_change, moves))
    if after == before:
        return
    replace_file(document.file, _rewritten(document, after).encode(), over=document.content)


def _change(move: Move) -> tuple[ServiceName, RegionName | None, DataCentreName]:
    return move.service, move.region, move.target


def _placement(document: Document) -> Placement:
    declared = checked(document, PlacementFile)
    if declared is None or document.mistakes:
        raise DeclarationError(document.mistakes)
    return build.placement(declared)


def _rewritten(document: Document, wanted: Placement) -> str:
    """Return the text of `placement.yaml` with another placement in it."""
    content = document.content.decode()
    if isinstance(document.root, yaml.MappingNode):
        text = Splicer(content, document.root).result(_tree(wanted))
        again = Document(document.file)
        parse(again, text.encode())
        declared = checked(again, PlacementFile)
        if declared is not None and not again.mistakes and build.placement(declared) == wanted:
            return text
    # A form of YAML that can't be cut (`? key`, a closing `...`): what it says matters more than how.
    return emit.document(_tree(wanted))


def _tree(placement: Placement) -> dict[str, Tree]:
    regional: dict[str, dict[str, str]] = {}
    for (region, service), centre in placement.regional.items():
        regional.setdefault(region, {})[service] = centre
    default: dict[str, str] = {}
    default.update(placement.default.items())
    return {"placement": default, **({"regional": regional} if regional else {})}


def replace_file(file: Path, content: bytes, *, over: bytes) -> None:
    """Replace a file's content in one step that survives a loss of power; its mode and owner stay.

    A link is followed: what it leads to is replaced, and the link stays.

    Raises:
        DeclarationError: It does not hold `over` any more: somebody edits it, or another run has moved the placement
            while this one was stopped.
    """
    target = file.resolve()
    status = target.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), status.st_mode & 0o7777)
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                with contextlib.suppress(OSError):  # only root may give a file away; others keep their own
                    os.fchown(stream.fileno(), status.st_uid, status.st_gid)
            os.fsync(stream.fileno())
        if target.read_bytes() != over:
            words = "was changed by somebody else at this moment and is left as it is: look at it, then resume the run"
            raise DeclarationError([Mistake(file=file, line=1, path="(file)", message=words)])
        put_in_place(Path(name), target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
