"""The verbs of the keys that sign what citizens' apps read: `keys new`, `keys change`, `keys show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recovery.cli import options, passphrases
from recovery.cli.context import estate_folder, now
from recovery.cli.output import note, say
from recovery.errors import PublishError

app = typer.Typer(
    name="keys",
    help="The keys that sign what citizens' apps read.",
    no_args_is_help=True,
)


@app.command(epilog="Example: pulih keys new --dir keys")
def new(
    folder: Annotated[
        Path,
        typer.Option("--dir", metavar="DIR", help="Folder of the keys that people take away: root-1.pem and on."),
    ],
    passphrase_file: passphrases.Files = None,
    estate: options.Estate = None,
) -> int:
    """Make the first keys and the root that apps are shipped with.

    Three root and three targets keys, each encrypted with a passphrase and to be taken away by another person, and the
    keys that sign alone, where the declaration wants them.
    """
    from recovery.cli.published import declared_publish
    from recovery.publish import ceremony

    publish = declared_publish(estate_folder(estate)).publish
    told = passphrases.Passphrases(passphrase_file)
    if folder.resolve().is_relative_to(publish.roots):
        raise PublishError(f"{folder} lies in {publish.roots}, where nothing is secret")
    made = ceremony.begin(folder, publish.online, publish.roots, told.fresh, now())
    for role, pairs in made.items():
        say(f"{role}: {', '.join(pair.name for pair in pairs)}")
    say(f"Root: {publish.roots / '1.root.json'}")
    note(f"Now let another person take each key out of {folder}, and ship apps with that root (docs/keys.md).")
    return 0
