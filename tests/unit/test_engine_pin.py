"""The engine is pinned in one place, and everything that must agree with it does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from infra.engine import pin
from infra.engine.errors import EngineError, StepError

_ROOT = Path(__file__).parents[2]
_INPUTS = ["go.mod", "go.sum", "tools.go", "language_host.py", "pulumi-language-python"]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in _INPUTS:
        shutil.copy(pin.HERE / name, tmp_path)
    monkeypatch.setattr(pin, "HERE", tmp_path)
    return tmp_path


@pytest.mark.parametrize("file", ["requirements-engine.in", "requirements-engine.txt", "requirements-dev.txt"])
def test_the_sdk_has_the_version_of_the_engine(file: str) -> None:
    assert re.findall(r"^pulumi==([\d.]+)", (_ROOT / file).read_text(), re.M) == [pin.version()]


def test_both_go_modules_have_the_version_of_the_engine() -> None:
    text = (pin.HERE / "go.mod").read_text()
    assert set(re.findall(r"github.com/pulumi/pulumi/(?:pkg|sdk)/v3 v([\d.]+)", text)) == {pin.version()}


def test_a_go_mod_without_the_module_is_named(copy: Path) -> None:
    (copy / "go.mod").write_text("module pulih/infra/engine\n")
    with pytest.raises(StepError, match=re.escape(f"{copy / 'go.mod'} does not require")):
        pin.version()


@pytest.mark.parametrize("file", _INPUTS)
def test_a_change_of_any_input_is_another_engine(file: str, copy: Path) -> None:
    before = pin.name()
    assert pin.name() == before
    (copy / file).write_bytes((copy / file).read_bytes() + b"\n")
    assert pin.name() != before


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("v3.259.0\n", (3, 259, 0)),
        ("go1.21rc2", (1, 21, 0)),
        ("go1.9", (1, 9, 0)),
        ("v3.260.0-alpha.x1", (3, 260, 0)),
        ("devel", None),
    ],
)
def test_versions_are_compared_as_numbers(text: str, numbers: tuple[int, int, int] | None) -> None:
    assert pin.numbers(text) == numbers


def test_a_platform_without_a_release_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(StepError, match="riscv64"):
        pin.platform_name()


def test_the_stand_in_stays_small() -> None:
    assert sum(len((pin.HERE / name).read_text().splitlines()) for name in pin.STAND_IN) <= 80


def test_an_error_names_what_was_tried_and_what_to_do() -> None:
    text = str(EngineError("3.259.0", [("pulumi on PATH", "there is none"), ("official release", "no route")]))
    assert "pulumi on PATH: there is none\n" in text
    assert "official release: no route\n" in text
    assert "Install Pulumi v3.259.0 or newer" in text
