"""The project as `pulih up` runs it: the checkout's program and provider, with stack files of its own.

The engine writes an `encryptionsalt` into the file of a stack kept in a bucket or a folder. In the checkout that would
be a change to commit by mistake, so each run works on copies beside the estate's other state.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from infra.declaration import ROOT
from recovery.writing import write_atomically


def make(folder: Path, stacks: list[str]) -> Path:
    """Write the project and the files of its stacks into a folder, and return that.

    Args:
        folder: Made when it is not there.
        stacks: Those that will be run; one that has a file in the checkout gets a copy of it.
    """
    files = folder / "stacks"
    files.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "Pulumi.yaml", yaml.safe_dump(_project(), sort_keys=False).encode())
    for stack in stacks:
        kept = ROOT / "infra" / "stacks" / f"Pulumi.{stack}.yaml"
        write_atomically(files / kept.name, kept.read_bytes() if kept.is_file() else b"config: {}\n")
    return folder


def _project() -> dict[str, object]:
    """Return the checkout's Pulumi.yaml with its paths made absolute."""
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
    options = project["runtime"]["options"]
    options["virtualenv"] = str(ROOT / options["virtualenv"])
    project["main"] = str(ROOT / project["main"])
    project["stackConfigDir"] = "stacks"
    for provider in project["plugins"]["providers"]:
        provider["path"] = str(ROOT / provider["path"])
    return project
