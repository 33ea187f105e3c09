"""What helps somebody at a shell: the page of every command is the code's own, and names can be completed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from recovery.cli import completing
from recovery.cli.main import main
from tests.cli_world import small_estate

ROOT = Path(__file__).parents[2]


def test_the_page_of_every_command_is_what_the_code_says(tmp_path: Path) -> None:
    page = tmp_path / "cli.md"
    words = ["recovery.cli.main", "utils", "docs", "--name", "pulih", "--title", "pulih: every command"]
    subprocess.run(
        [sys.executable, "-m", "typer", *words, "--output", page], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    assert page.read_text() == (ROOT / "docs" / "cli.md").read_text(), "make docs/cli.md makes it anew"


def completed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    """Return what bash would offer at the end of a line."""
    monkeypatch.setenv("_PULIH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("pulih rec", ["recover"]),
        ("pulih recover --lost p", ["pdns-2"]),
        ("pulih recover --lost pdns-2 --to ", ["pdns-2", "cloud-1"]),
        ("pulih apply --region we", ["west"]),
        ("pulih apply --service pass", ["passport"]),
        ("pulih diff airport-b", ["airport-border-crossing"]),
        ("pulih apply --unit airport-b", ["airport-border-crossing"]),
        ("pulih resume 2024", ["20240620T005400Z-recover-3f9a1c"]),
        ("pulih watch 2024", ["20240620T005400Z-recover-3f9a1c"]),
    ],
)
def test_names_are_completed_from_the_estate_at_hand(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    offered: list[str],
) -> None:
    monkeypatch.setenv("PULIH_ESTATE", str(small_estate(tmp_path)))
    monkeypatch.delenv("PULIH_STATE", raising=False)
    run = tmp_path / ".pulih" / "runs" / "20240620T005400Z-recover-3f9a1c"
    run.mkdir(parents=True)
    (run / "plan.json").touch()
    assert completed(capsys, monkeypatch, words) == offered


def test_an_estate_with_mistakes_completes_nothing_and_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_estate(tmp_path)
    (folder / "services.yaml").write_text("services: [\n")
    monkeypatch.setenv("PULIH_ESTATE", str(folder))
    assert completed(capsys, monkeypatch, "pulih apply --region we") == []
    context = typer.Context(typer.main.get_command(typer.Typer(callback=lambda: None)))
    context.params["estate"] = str(tmp_path / "nowhere")
    assert completing.runs(context, "") == []
