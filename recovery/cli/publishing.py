"""The verb `publish`: citizens' apps are told where the services are now."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli import options, passphrases
from recovery.cli.context import estate_folder, state_folder
from recovery.cli.output import Format, emit, note, say
from recovery.errors import PublishError, RefusedError
from recovery.report.text import counted, printable

if TYPE_CHECKING:
    from recovery.cli.published import Declared
    from recovery.model.publish import Publish
    from recovery.publish.publisher import Published
    from recovery.publish.request import Request

PARTIAL = 3

Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="KEY.pem",
        help="A person's key to sign with, a file or hsm:ID?label=LABEL on a token; may be repeated.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(epilog="Example: pulih publish --key targets-1.pem --key targets-2.pem")(publish)


def publish(
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Only renew what a machine signs: snapshot and timestamp. For a timer.")
    ] = False,
    prepare: Annotated[
        Path | None, typer.Option("--prepare", metavar="DIR", help="Write what people must sign there, and stop.")
    ] = None,
    sign: Annotated[
        Path | None, typer.Option("--sign", metavar="DIR", help="Sign what lies there with --key. Needs no network.")
    ] = None,
    finish: Annotated[
        Path | None, typer.Option("--finish", metavar="DIR", help="Publish what lies there, once enough have signed.")
    ] = None,
    settle: Annotated[
        bool, typer.Option("--settle", help="Mirrors tell two histories: have people sign what is right, above both.")
    ] = False,
    key: Keys = None,
    passphrase_file: passphrases.Files = None,
    estate: options.Estate = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Tell citizens' apps where the services are, on every mirror.

    What the placement leads to is signed by people where it has changed (with --key here, or with --prepare, --sign and
    --finish elsewhere), and by a machine each time. Mirrors that lag are brought up.
    """
    from recovery.cli import published
    from recovery.publish import folder, places
    from recovery.publish.request import Request
    from recovery.publish.turn import turn

    _only_one({"--refresh": refresh, "--prepare": prepare, "--sign": sign, "--finish": finish})
    if settle and (refresh or sign or finish):
        raise PublishError("--settle makes what people sign: give it with --prepare, or with --key")
    if key and (refresh or prepare or finish):
        raise PublishError("--key signs: give it with --sign, or alone")
    told = passphrases.Passphrases(passphrase_file)
    if sign is not None:
        return _sign(sign, key, told)
    sound = published.declared_publish(estate_folder(estate))
    state = state_folder(sound.estate.folder)
    asked = None if finish is None else folder.load(finish)[0]
    with turn(state):
        if asked is not None and asked.current is None:
            return _begun(asked, sound.publish)
        found = places.found(sound.publish)
        is_above = settle or (asked is not None and asked.targets is not None)  # `left` refuses what is not
        found = found.one_chain() if is_above else found.one_history()
        if asked is not None:
            check_still_meant(asked, sound)
        elif refresh:
            asked = Request(current=found.chain.newest)
        else:
            asked = published.asked(found, sound.estate, sound.publish, settle=settle)
        if prepare is not None:
            return prepared(asked, prepare, practice=sound.estate.practice)
        if finish is None and not asked.is_empty:
            signed_here(asked, key, told, practice=sound.estate.practice, elsewhere=["pulih", "publish"])
        done = published.bring(found, asked, sound.publish, state)
    return show(done, output)


def _only_one(given: dict[str, object]) -> None:
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        raise PublishError(f"{' and '.join(named)} are steps of their own: give one of them")


def prepared(asked: Request, into: Path, *, practice: bool) -> int:
    """Leave a request in a folder and say what is to be done with it."""
    from recovery.publish import folder

    if asked.is_empty:
        say("nothing to sign: what is published says the same, and is good for long enough")
        return 0
    folder.write(asked, into, practice=practice)
    for line in folder.told(asked):
        say(line)
    note(f"To sign it, on any machine: {shlex.join(['pulih', 'publish', '--sign', str(into), '--key', 'KEY.pem'])}")
    note(f"When enough have signed, here: {shlex.join(['pulih', 'publish', '--finish', str(into)])}")
    return 0


def _sign(where: Path, key: list[str] | None, told: passphrases.Passphrases) -> int:
    from recovery.cli import published
    from recovery.publish import folder
    from recovery.publish.request import missing

    if not key:
        raise PublishError("say with which key, with --key")
    asked, practice = folder.load(where)
    for line in folder.told(asked):
        say(line)
    for line in published.sign(asked, key, told.known, practice=practice):
        say(line)
    folder.write(asked, where, practice=practice)
    lacking = list(missing(asked))
    for line in lacking or ["enough have signed"]:
        say(line)
    return 0


def _begun(asked: Request, publish: Publish) -> int:
    """Leave the first root with the estate."""
    from recovery.publish import ceremony

    ceremony.begin_signed(asked, publish.roots)
    say(f"root: {publish.roots / '1.root.json'}")
    note("Ship apps with that root; `pulih publish` begins to tell them where the services are.")
    return 0


def signed_here(
    asked: Request, key: list[str] | None, told: passphrases.Passphrases, *, practice: bool, elsewhere: list[str]
) -> None:
    """Sign with keys that are here.

    Raises:
        RefusedError: More signatures are needed; says what to type.
    """
    from recovery.cli import published
    from recovery.publish.request import missing

    for line in published.sign(asked, key or (), told.known, practice=practice):
        note(line)
    lacking = list(missing(asked))
    if lacking:
        line = shlex.join([*elsewhere, "--prepare", "DIR"])
        raise RefusedError("\n".join([*lacking, f"To sign here, give --key; to have it signed elsewhere: {line}"]))


def check_still_meant(asked: Request, sound: Declared) -> None:
    """Check that what people have signed is still what the declaration leads to.

    Raises:
        RefusedError: The declaration has changed since.
    """
    from recovery.publish import manifest

    if asked.manifest is None or asked.roots:  # a change of keys signs again what is published, whatever is declared
        return
    if manifest.Manifest.read(asked.manifest).content != manifest.content(sound.estate, sound.publish):
        raise RefusedError(
            "what was signed is not what the declaration says now: it was changed since. Prepare it again: "
            "pulih publish --prepare DIR"
        )


def show(done: Published, output: Format) -> int:
    """Write what was published, and return the exit code."""
    from recovery.cli import published

    emit(published.to_json(done), output, lambda: lines(done))
    failed = [mirror for mirror in done.mirrors if mirror.error is not None]
    if not failed:
        return 0
    return PARTIAL if len(failed) < len(done.mirrors) else 1


def lines(done: Published) -> Iterator[str]:
    """Say what was published, and where."""
    from recovery.cli.published import expiries

    reached = sum(mirror.error is None for mirror in done.mirrors)
    what = "published" if done.is_news else "renewed"
    where = f"{reached} of {counted(len(done.mirrors), 'mirror')}"
    yield f"{what}: config_epoch {done.content.versions.config_epoch} at {where}"
    for mirror in done.mirrors:
        if mirror.error is not None:
            yield printable(f"failed: {mirror.error}")
        elif mirror.was is not None:
            yield printable(f"brought up: {mirror.name}: {mirror.was}")
    for role, moment in expiries(done).items():
        yield f"{role} good until {moment:%Y-%m-%d %H:%M} UTC"
