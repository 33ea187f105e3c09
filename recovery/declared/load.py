"""Reads an estate: every file, every rule, every mistake at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from recovery.declared import anchors, build, names, publishing, references, sanity
from recovery.declared.folders import beside, read_files, templates_folder
from recovery.declared.nodes import Document, file_text, quoted, text
from recovery.declared.schema import (
    BastionsFile,
    DataCentresFile,
    EstateFile,
    PlacementFile,
    RegionFile,
    ServicesFile,
)
from recovery.declared.sentences import checked
from recovery.errors import DeclarationError
from recovery.files import is_folder
from recovery.model.estate import Estate


def load(folder: Path) -> Estate:
    """Read the estate in a folder.

    Raises:
        DeclarationError: Every mistake of its files, in the order of file and line.
    """
    files = read_files(folder)
    estate = checked(files.estate, EstateFile)
    services = checked(files.services, ServicesFile)
    data_centres = checked(files.data_centres, DataCentresFile)
    placement = checked(files.placement, PlacementFile)
    bastions = checked(files.bastions, BastionsFile)
    regions = [checked(document, RegionFile) for document in files.regions]

    known = names.given(files)
    references.check(files, known)
    sanity.check(files)
    publishing.check(files.estate, known, sanity.practice_networks(files.estate))
    trusted = anchors.read(files.estate)
    templates = templates_folder(folder, text(files.estate.data, "templates"))
    _check_templates(files.estate, templates)
    if not files.estate.has("templates"):
        references.kinds(files, templates)

    documents = [*files.documents, *([trusted] if trusted is not None else [])]
    mistakes = [mistake for document in documents for mistake in document.mistakes]
    if mistakes:
        raise DeclarationError(sorted(mistakes, key=lambda found: (str(found.file), found.line, found.path)))
    if not (estate and services and data_centres and placement and bastions and trusted):
        raise AssertionError("a file was refused without a mistake")
    known_services = build.services(services)
    return Estate(
        folder=folder,
        name=estate.name,
        version=estate.version,
        title=estate.title,
        illustrative=estate.illustrative,
        practice=estate.practice,
        staging=build.staging(estate),
        templates=templates,
        ssh_key=None if estate.ssh_key is None else beside(folder, estate.ssh_key),
        leases=estate.leases,
        publish=build.publish(estate.publish, folder, known_services),
        trust_anchors=trusted.content.decode(),
        limits=build.limits(estate.limits),
        timeouts=build.timeouts(estate.timeouts),
        wave_pass=build.wave_pass(estate.wave_pass),
        links=build.links(estate.links),
        services=known_services,
        data_centres=build.data_centres(data_centres),
        placement=build.placement(placement),
        bastions=build.bastions(bastions),
        regions=build.regions(region for region in regions if region is not None),
        files_digest=_digest(folder, (document for document in documents if document is not files.placement)),
    )


def _check_templates(estate: Document, folder: Path) -> None:
    named = text(estate.data, "templates")
    if named is not None and not is_folder(folder):
        estate.add(
            ("templates",), f"found {quoted(named)}, but there is no folder {file_text(folder)}", is_follow_up=True
        )


def _digest(folder: Path, documents: Iterable[Document]) -> str:
    """Return `sha256:` over the names and bytes of files, whatever order they come in."""
    lines = sorted(
        f"{hashlib.sha256(document.content).hexdigest()} {_name(folder, document.file)}\n"
        for document in documents
        if document.content
    )
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def _name(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.as_posix()
