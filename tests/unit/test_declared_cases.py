"""Every case of `tests/cases/declared`: an edit of the sound estate → exactly these lines; its twin → none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from recovery.declared import load
from recovery.declared.folders import OWN_TEMPLATES
from recovery.errors import DeclarationError
from tests.estates import sound_files, write_files

CASES = Path(__file__).parent.parent / "cases" / "declared"

Edit = dict[str, Any]


def cases(key: str) -> list[Any]:
    """Return the cases that have a key, as parameters named after them."""
    found: list[Any] = []
    for file in sorted(CASES.glob("*.yaml")):
        for case in cast("list[dict[str, Any]]", yaml.safe_load(file.read_text(encoding="utf-8"))):
            if key in case:
                found.append(pytest.param(case, id=f"{file.stem}: {case['case']}"))
    return found


def edited(edits: list[Edit]) -> dict[str, str]:
    """Return the sound estate's files after some edits, each of which must change something."""
    files = sound_files()
    for edit in edits:
        name, find = edit["file"], edit.get("find")
        if edit.get("remove"):
            del files[name]
        elif find is None:
            files[name] = edit["put"]
        elif find.endswith("$"):
            assert files[name].endswith(find[:-1])
            files[name] = files[name].removesuffix(find[:-1]) + edit["put"]
        else:
            assert find in files[name]
            files[name] = files[name].replace(find, edit["put"], 1)
    return files


def lines(folder: Path) -> list[str]:
    """Return what is wrong with an estate, its paths made those of any machine."""
    try:
        load(folder)
    except DeclarationError as error:
        text = str(error).replace(f"{folder}/", "").replace(str(folder), "FOLDER")
        return text.replace(str(OWN_TEMPLATES), "TEMPLATES").splitlines()
    return []


@pytest.mark.parametrize("case", cases("mistakes"))
def test_each_mistake_is_one_line_with_file_line_path_and_sentence(case: dict[str, Any], tmp_path: Path) -> None:
    assert lines(write_files(tmp_path, edited(case["edit"]))) == case["mistakes"].splitlines()
    assert case["mistakes"]


@pytest.mark.parametrize("case", cases("twin"))
def test_the_twin_of_a_case_is_sound(case: dict[str, Any], tmp_path: Path) -> None:
    assert lines(write_files(tmp_path, edited(case["twin"]))) == []
