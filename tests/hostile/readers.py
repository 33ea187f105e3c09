"""Readers of a declaration: whatever stands in a file is refused in words, or read; never a crash or a hang."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from recovery.cli.loading import Declared
from recovery.declared import load
from recovery.declared.nodes import Document, parse
from recovery.errors import DeclarationError
from recovery.render import Renderer, Templates
from recovery.render.kind import read as read_kind
from recovery.report.text import json_text, markdown, printable
from tests.estates import sound_estate, write_files
from tests.hostile.property import Property, shown
from tests.hostile.strategies import (
    damaged_bytes,
    damaged_estate,
    hostile_text,
    junk,
    valid_text,
    yaml_scalar,
)


def a_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is removed at the end of a `with`."""
    return tempfile.TemporaryDirectory(prefix="pulih-hostile-")


def _mistakes(error: DeclarationError) -> None:
    assert error.mistakes
    for mistake in error.mistakes:
        assert mistake.line >= 1
        shown(mistake.message, at_most=2000)


def _yaml(content: bytes) -> None:
    document = Document(Path("estate.yaml"))
    try:
        parse(document, content)
    except DeclarationError as error:
        _mistakes(error)
    assert document.data is not None or document.mistakes


def _estate(files: Mapping[str, bytes]) -> None:
    with a_folder() as name:
        folder = write_files(Path(name))
        for file, content in files.items():
            (folder / file).write_bytes(content)
        try:
            load(folder)
        except DeclarationError as error:
            _mistakes(error)


def _kind(content: bytes) -> None:
    with a_folder() as name:
        (Path(name) / "unit.yaml").write_bytes(content)
        try:
            spec, _, mistakes = read_kind(Path(name))
        except DeclarationError as error:
            _mistakes(error)
            return
        if spec is not None and not mistakes:
            paths = [file.path for file in spec.files]
            for path in [*paths, "MANIFEST", "unit/probe"]:
                assert ".." not in path
                assert not path.startswith("/")
                assert not any(other.startswith(f"{path}/") for other in paths), path


KIND = """\
files:
  a/b.conf:
    template: x.j2
    mode: "0644"
validate: [[true]]
reload: [[true]]
probe: [[true]]
"""

hostile_kinds = st.one_of(
    damaged_bytes(KIND.encode()),
    st.one_of(
        hostile_text,
        st.sampled_from(
            ["MANIFEST", "MANIFEST/x", "unit", "unit/probe/x", "a/../b", "/etc/x", "a//b", "a/", ".", "-x"]
        ),
        st.text("ab./-_", min_size=1, max_size=120),
    ).map(lambda path: KIND.replace("a/b.conf", yaml_scalar(path)).encode("utf-8", "replace")),
)


@cache
def sound() -> Declared:
    """Return the small sound estate, read once."""
    with tempfile.TemporaryDirectory(prefix="pulih-hostile-") as folder:
        estate = load(write_files(Path(folder)))
        templates = Templates.load(estate.templates)
    return Declared(estate=estate, templates=templates, renderer=Renderer(estate, templates))


def _texts(text: str) -> None:
    shown(printable(text))
    shown(json_text({text: [text]}, indent=1))
    assert "\n" not in printable(text)
    told = markdown(text)
    shown(told)
    assert "<" not in told
    assert json.loads(json_text(text)) == text


def _renamed(text: str) -> None:
    """Titles of an estate reach JSON files only, where they stand as they are."""
    estate = sound_estate(Path("/nowhere"))
    region, *others = estate.regions
    office = replace(region.offices[0], title=text, city=text, kind="office")
    odd = replace(
        estate,
        title=text,
        version=text,
        regions=(replace(region, title=text, offices=(office,)), *others),
        services=tuple(replace(service, title=text) for service in estate.services),
        data_centres=tuple(replace(centre, title=text) for centre in estate.data_centres),
    )
    plain, named = (Renderer(each, sound().templates) for each in (estate, odd))
    unit = office.units[0]
    before = plain.unit(region, region.offices[0], unit)
    after = named.unit(odd.regions[0], office, unit)
    for one, other in zip(before.files, after.files, strict=True):
        assert one.path == other.path
        if one.path.endswith(".json"):
            assert json.loads(other.content).keys() == json.loads(one.content).keys()
        else:
            assert one.content == other.content, one.path


def _of(
    name: str, inputs: st.SearchStrategy[Any], check: Callable[[Any], None], weight: int, examples: int
) -> Property:
    return Property(name=name, inputs=inputs, check=check, weight=weight, examples=examples)


PROPERTIES = (
    _of("yaml", junk | valid_text.map(str.encode), _yaml, 120, 25),
    _of("estate", damaged_estate(), _estate, 100, 25),
    _of("unit.yaml", hostile_kinds, _kind, 60, 25),
    _of("texts", hostile_text, _texts, 60, 25),
    _of("titles", hostile_text.filter(lambda text: text.isprintable()) | valid_text, _renamed, 20, 20),
)
