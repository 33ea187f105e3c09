"""The plugin of pulumi-command that other tests use is the real one, at its pinned version."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.engine import plugins
from tests.engine.engines import environment, need_engine


def test_the_plugin_of_pulumi_command_is_in_the_engines_own_list(tmp_path: Path) -> None:
    engine = need_engine()
    plugins.need_command(engine, tmp_path)
    answer = subprocess.run(
        ["pulumi", "plugin", "ls", "--json"],
        cwd=tmp_path,
        env=environment(engine, tmp_path, f"file://{tmp_path}"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    listed = [(plugin["name"], plugin["kind"], plugin["version"]) for plugin in json.loads(answer.stdout)]
    assert listed == [("command", "resource", plugins.COMMAND)]


def test_a_packed_program_that_was_changed_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tools" / "linux-amd64"
    folder.mkdir(parents=True)
    for name in ("pulumi-language-python.xz", "pulumi-language-python-exec"):
        (folder / name).write_bytes(b"something else")
    monkeypatch.setattr(plugins, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("PULIH_ENGINE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(AssertionError, match="is not what was packed"):
        plugins.official_host()
    assert not (tmp_path / "cache").exists()


def test_without_packed_programs_there_is_no_official_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "TOOLS", tmp_path / "tools")
    monkeypatch.setenv("PULIH_ENGINE_CACHE", str(tmp_path / "cache"))
    assert plugins.official_host() is None
