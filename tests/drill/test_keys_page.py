"""docs/keys.md: the commands of each section, typed in their order; an app that was installed before follows them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.citizens import App, Office
from tests.drill.test_keys_cli import forked

PAGE = Path(__file__).parents[2] / "docs" / "keys.md"


def sections() -> dict[str, list[str]]:
    """Return the commands of the page by section."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"^```sh\n(.*?)^```", part, flags=re.MULTILINE | re.DOTALL)
        if blocks:
            found[part.splitlines()[0]] = [line for block in blocks for line in block.splitlines()]
    return found


def gone(*names: str) -> Callable[[Office], None]:
    """Lose the private halves of keys, those of people or of the machine."""

    def lose(office: Office) -> None:
        for name in names:
            folder = office.folder / "online" if name.startswith(("snapshot", "timestamp")) else office.keys
            (folder / f"{name}.pem").unlink()

    return lose


BEFORE: dict[str, Callable[[Office], None]] = {
    "Two people sign on two machines": Office.moves,
    "A root key is lost or stolen": gone("root-1"),
    "A targets key is lost or stolen": gone("targets-1"),
    "The key of the snapshot is lost or stolen": gone("snapshot-1"),
    "The key of the timestamp is lost or stolen": gone("timestamp-1"),
    "Both keys of the machine are lost or stolen": gone("snapshot-1", "timestamp-1"),
    "Two histories": forked,
}


@pytest.mark.parametrize("section", sections())
def test_the_commands_of_a_section_do_what_it_says(
    section: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_first = section.startswith("The first root")
    office = Office(tmp_path, capsys, monkeypatch, begun=not is_first)
    monkeypatch.chdir(tmp_path)
    BEFORE.get(section, lambda _office: None)(office)
    for line in sections()[section]:
        program, *words = shlex.split(line)
        assert program == "pulih"
        office.ok(*words)
    if is_first:
        office.app = App(tmp_path / "app", (office.estate / "roots" / "1.root.json").read_bytes())
    assert office.told()["message"]["en"] == "The services are back."
    assert office.shown()["to_do"] == []
    office.ok("publish", "--refresh")
    office.told()


def test_every_key_has_a_section_for_its_loss() -> None:
    titles = " ".join(sections())
    for name in ("root key", "targets key", "snapshot", "timestamp", "Both keys"):
        assert name in titles
