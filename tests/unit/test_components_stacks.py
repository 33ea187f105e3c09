"""The project's own files: one stack a region and data centre, one version, no salt."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.declaration import ROOT, VERSION, declaration, estate_folder
from infra.stackfiles import FOLDER, stack_files, write
from infra.workspace import make
from recovery.declared import load
from recovery.errors import PlanError


def test_every_region_and_data_centre_of_the_shipped_estate_has_its_stack_file() -> None:
    made = stack_files(load(ROOT / "infra" / "estate"))
    kept = {path.name for path in FOLDER.iterdir()}
    assert kept == set(made), "python -m infra.stackfiles writes them"
    regions = {path.stem for path in (ROOT / "infra" / "estate" / "regions").iterdir()}
    assert kept == {f"Pulumi.{name}.yaml" for name in regions | {"pdns-2", "cloud-1"}}


def test_no_tracked_stack_file_holds_a_salt_or_a_secret() -> None:
    for path in FOLDER.iterdir():
        assert not re.search("encryptionsalt|encryptedkey|secure:", tracked(path)), path


def tracked(path: Path) -> str:
    """Return a file as it would be committed: an engine may have written its salt into the working tree's."""
    shown = subprocess.run(
        ["git", "-C", ROOT, "show", f":{path.relative_to(ROOT)}"], capture_output=True, text=True, timeout=20
    )
    return shown.stdout if shown.returncode == 0 else path.read_text()


def test_stack_files_of_regions_that_are_no_more_are_removed(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.atlantis.yaml").write_text("config: {}\n")
    write(tmp_path)
    assert not (tmp_path / "Pulumi.atlantis.yaml").exists()
    assert len(list(tmp_path.iterdir())) == len(list(FOLDER.iterdir()))


def test_project_provider_and_package_say_the_same_version() -> None:
    (provider,) = project()["plugins"]["providers"]
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (provider["name"], provider["version"], package["version"]) == ("pulih", VERSION, VERSION)


def test_the_project_runs_the_program_in_its_own_virtual_environment() -> None:
    found = project()
    assert found["runtime"] == {"name": "python", "options": {"virtualenv": ".venv"}}
    assert (ROOT / found["main"] / "__main__.py").is_file()
    assert (ROOT / found["stackConfigDir"]) == FOLDER
    (provider,) = found["plugins"]["providers"]
    program = ROOT / provider["path"] / "pulumi-resource-pulih"
    assert program.stat().st_mode & 0o111


def test_a_run_of_all_stacks_leaves_the_checkouts_stack_files_alone(tmp_path: Path) -> None:
    folder = make(tmp_path / "work", ["pdns-2", "a-region-of-somebody-elses-estate"])
    made = yaml.safe_load((folder / "Pulumi.yaml").read_text())
    assert made["name"] == "pulih"
    assert made["stackConfigDir"] == "stacks"
    assert Path(made["main"]).is_absolute()
    assert (folder / "stacks" / "Pulumi.pdns-2.yaml").read_text() == (FOLDER / "Pulumi.pdns-2.yaml").read_text()
    assert yaml.safe_load((folder / "stacks" / "Pulumi.a-region-of-somebody-elses-estate.yaml").read_text()) == {
        "config": {}
    }


def test_the_environment_comes_before_the_stacks_configuration_and_both_before_the_shipped_estate(
    monkeypatch: Any,
) -> None:
    monkeypatch.delenv("PULIH_ESTATE", raising=False)
    assert estate_folder(None) == ROOT / "infra" / "estate"
    assert estate_folder("other/estate") == ROOT / "other" / "estate"
    monkeypatch.setenv("PULIH_ESTATE", "/srv/estate")
    assert estate_folder("other/estate") == Path("/srv/estate")


def project() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "Pulumi.yaml").read_text())


def test_a_stack_whose_region_is_gone_is_told_how_it_is_forgotten() -> None:
    declared = declaration(ROOT / "infra" / "estate", "nowhere")
    with pytest.raises(
        PlanError, match=r"nowhere is neither a region nor a data centre.*`pulumi destroy --stack nowhere`"
    ):
        declared.stack("nowhere")
