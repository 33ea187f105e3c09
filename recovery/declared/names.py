"""Names over the whole estate: each given once, and each that is referred to there.

Works on plain data rather than on checked classes, so that one file's mistake hides none of the others. Where the
names of a sort can't all be read, references to that sort are not judged: their mistakes would only follow from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from recovery.declared.fields import SLUG
from recovery.declared.folders import Files
from recovery.declared.nodes import Data, Document, Location, blocks, quoted, text
from recovery.declared.sentences import near

_NEVER_EMPTY = ("services", "data_centres")

Entry = tuple[Document, Location, str | None]
"""A name, where it stands, or None when what stands there can't be read as one."""


@dataclass(slots=True)
class Names:
    """The names of one sort of thing.

    Attributes:
        sort: What they name, with its article: `a service`.
        first: By name, where it is first given.
        is_complete: All of them could be read.
    """

    sort: str
    first: dict[str, tuple[Document, Location]] = field(default_factory=dict[str, tuple[Document, Location]])
    is_complete: bool = True

    def add(self, entries: Iterable[Entry]) -> None:
        """Take in names; one that is there already is a mistake."""
        for document, location, name in entries:
            if name is None:
                self.is_complete = False
                continue
            known = self.first.setdefault(name, (document, location))
            if known != (document, location):
                document.add(location, f"{quoted(name)} is already the name of {self.sort}, at {place(known)}")

    def refer(self, document: Document, location: Location, name: str | None) -> bool:
        """Note a reference that leads nowhere; say whether it leads somewhere."""
        if name is None:
            return False
        if name in self.first:
            return True
        if self.is_complete:
            message = f"found {quoted(name)}, expected the name of {self.sort}{near(name, self.first)}"
            document.add(location, message, is_follow_up=True)
        return False


@dataclass(slots=True)
class AllNames:
    """The names of an estate, by sort."""

    services: Names
    data_centres: Names
    bastions: Names
    regions: Names


def place(known: tuple[Document, Location]) -> str:
    """Write where something stands, as editors take it."""
    document, location = known
    return f"{document.file}:{document.line(location)}"


def given(files: Files) -> AllNames:
    """Gather the names that are given and note those given twice."""
    names = AllNames(
        services=Names("a service"),
        data_centres=Names("a data centre"),
        bastions=Names("a bastion"),
        regions=Names("a region"),
    )
    names.services.add(_named(files.services, "services"))
    names.data_centres.add(_named(files.data_centres, "data_centres"))
    names.bastions.add(_named(files.bastions, "bastions"))
    names.regions.add((document, ("region",), document.file.stem) for document in files.regions)
    for document in files.regions:
        _region(document, names.data_centres)
    offices = Names("an office")
    for document in files.regions:
        offices.add(_named(document, "offices"))
    _hosts(files)
    return names


def _region(document: Document, data_centres: Names) -> None:
    """A region is named like its file, and unlike every data centre: both name Pulumi stacks and leases."""
    stem = document.file.stem
    name = text(document.data, "region")
    if SLUG.fullmatch(stem) is None:
        return
    if name is not None and name != stem:
        message = f"found {quoted(name)}, expected {quoted(stem)}, the name of the file"
        document.add(("region",), message, is_follow_up=True)
    elif stem in data_centres.first:
        other = place(data_centres.first[stem])
        document.add(
            ("region",), f"{quoted(stem)} is already the name of a data centre, at {other}; both name a Pulumi stack"
        )


def _hosts(files: Files) -> None:
    """Units and endpoints share their names: both are keys of plans, journals and reports."""
    hosts = Names("an endpoint")
    document = files.data_centres
    seen: set[str | None] = set()
    for index, centre in blocks(document.data, "data_centres"):
        name = text(centre, "name")
        if name in seen:
            continue  # its endpoints' names are doubles because its own is
        seen.add(name)
        for number, endpoint in blocks(centre, "endpoints"):
            service = text(endpoint, "service")
            if name is None or service is None:
                continue
            location = ("data_centres", index, "endpoints", number, "service")
            whole = f"{service}-{name}"
            known = hosts.first.setdefault(whole, (document, location))
            if known != (document, location):
                message = f"makes a second endpoint named {quoted(whole)}; the first is at {place(known)}"
                document.add(location, message)
    units = Names("a unit")
    for region in files.regions:
        for location, unit in units_of(region):
            name = text(unit, "name")
            if name in hosts.first:
                other = place(hosts.first[name])
                region.add((*location, "name"), f"{quoted(name)} is already the name of an endpoint, at {other}")
            elif name is not None:
                units.add([(region, (*location, "name"), name)])


def units_of(region: Document) -> Iterator[tuple[Location, dict[str, Data]]]:
    """Yield the units of a region's file with their locations."""
    for index, office in blocks(region.data, "offices"):
        for number, unit in blocks(office, "units"):
            yield ("offices", index, "units", number), unit


def _named(document: Document, key: str) -> Iterator[Entry]:
    """Yield the names in the list under a key; None for one, or for a list, that can't be read."""
    items = document.data.get(key) if isinstance(document.data, dict) else None
    if not isinstance(items, list) or (not items and key in _NEVER_EMPTY):
        yield document, (key,), None
        return
    for index, item in enumerate(items):
        yield document, (key, index, "name"), text(item, "name")
