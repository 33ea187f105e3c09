"""The file of each stack, `infra/stacks/Pulumi.STACK.yaml`: one for each region and data centre of the shipped estate.

`python -m infra.stackfiles` writes them; a test keeps them equal to the estate. They hold no `encryptionsalt`: state
and configuration hold no secret, and a salt whose passphrase burned with the data centre would block the rebuild.
"""

from __future__ import annotations

from pathlib import Path

from infra.declaration import ROOT
from recovery.declared import load
from recovery.model.estate import Estate

FOLDER = ROOT / "infra" / "stacks"


def stack_files(estate: Estate) -> dict[str, str]:
    """Return the content of every stack's file, by its name."""
    titles = {region.name: region.title for region in estate.regions}
    titles |= {centre.name: centre.title for centre in estate.data_centres}
    return {
        f"Pulumi.{name}.yaml": f"# {title}. Made by `python -m infra.stackfiles`.\nconfig: {{}}\n"
        for name, title in titles.items()
    }


def write(folder: Path = FOLDER) -> None:
    """Write every stack's file and remove those of stacks that are no more."""
    files = stack_files(load(ROOT / "infra" / "estate"))
    folder.mkdir(exist_ok=True)
    for path in folder.glob("Pulumi.*.yaml"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
