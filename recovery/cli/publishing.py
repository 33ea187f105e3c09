"""The verb `publish`: citizens' apps are told where the services are now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recovery.cli import options, passphrases
from recovery.cli.context import estate_folder, now
from recovery.cli.output import Format, emit
from recovery.errors import RefusedError

PARTIAL = 3


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="Example: pulih publish --key a/targets-1.pem --key b/targets-2.pem")(publish)


Keys = Annotated[
    list[Path] | None,
    typer.Option("--key", metavar="KEY.pem", help="A key to sign with; may be repeated."),
]


def publish(
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Only renew what a machine signs: snapshot and timestamp. For a timer.")
    ] = False,
    key: Keys = None,
    passphrase_file: passphrases.Files = None,
    estate: options.Estate = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Tell citizens' apps where the services are, on every mirror.

    What the placement leads to is signed by people where it changed, and by a machine each time.
    """
    from recovery.cli import published
    from recovery.publish import manifest, places, publisher, request

    sound = published.declared_publish(estate_folder(estate))
    known = places.found(sound.publish)
    told = manifest.content(sound.estate, sound.publish)
    asked = request.Request()
    if not refresh:
        news = request.news(known, told, now(), renew=False)
        if news is not None:
            asked = request.Request(targets=news[0], manifest=news[1])
            people = published.people(
                key or (), passphrases.Passphrases(passphrase_file).known, practice=sound.estate.practice
            )
            request.sign(asked, known.chain, [pair.signer for pair in people])
            lacking = list(request.missing(asked, known.chain))
            if lacking:
                raise RefusedError("\n".join([*lacking, "To have it signed elsewhere: pulih publish --prepare DIR"]))
    online = [pair.signer for pair in places.online(sound.publish)]
    done = publisher.publish(known, asked, online, sound.publish.roots, now())
    emit(published.to_json(done), output, lambda: published.lines(done))
    failed = publisher.none_written(done)
    if failed is not None:
        return 1
    return PARTIAL if any(mirror.error for mirror in done.mirrors) else 0
