"""The verbs of the keys that sign what citizens' apps read: `keys new`, `keys change`, `keys show`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli import options, passphrases
from recovery.cli.context import estate_folder, now, state_folder
from recovery.cli.output import Format, emit, note, say
from recovery.cli.publishing import Keys, prepared, show, signed_here
from recovery.errors import PublishError, PulihError

if TYPE_CHECKING:
    from recovery.cli.published import Declared
    from recovery.publish.change import Change
    from recovery.publish.formats import Key
    from recovery.publish.looking import Found

DIFFERENT = 2

app = typer.Typer(
    name="keys",
    help="The keys that sign what citizens' apps read.",
    no_args_is_help=True,
)

Prepare = Annotated[
    Path | None, typer.Option("--prepare", metavar="DIR", help="Write what people must sign there, and stop.")
]
Add = Annotated[
    list[str] | None,
    typer.Option("--add", metavar="ROLE=KEY.pub", help="A key, by its public half, for a role; may be repeated."),
]


@app.command(epilog="Example: pulih keys new --dir keys")
def new(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="Make all keys, those that people take away here: root-1.pem and on."
        ),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="KEY.pem", help="Make just this one pair, encrypted.")
    ] = None,
    of_token: Annotated[
        str | None,
        typer.Option(
            "--token", metavar="hsm:ID?label=LABEL", help="Write the public half of a token's key to --key NAME.pub."
        ),
    ] = None,
    add: Add = None,
    prepare: Prepare = None,
    passphrase_file: passphrases.Files = None,
    estate: options.Estate = None,
) -> int:
    """Make keys: one pair, or all of them and the root that apps are shipped with.

    With --dir three root and three targets keys, each encrypted with a passphrase, for six people to take away, and the
    two keys that sign alone. With --add and --prepare the first root is made from keys that people have made by
    themselves; they sign it with `pulih publish --sign`.
    """
    if sum(1 for given in (folder, key, add) if given) != 1 or (prepare is not None) is not bool(add):
        raise PublishError("say what to make: --key KEY.pem, --dir DIR, or --add ROLE=KEY.pub … with --prepare DIR")
    if of_token is not None:
        return _of_token(of_token, key)
    told = passphrases.Passphrases(passphrase_file)
    if key is not None:
        return _pair(key, told)
    from recovery.cli.published import declared_publish
    from recovery.publish import ceremony

    sound = declared_publish(estate_folder(estate))
    if folder is None:
        return _first(sound, add or [], prepare)
    if folder.resolve().is_relative_to(sound.publish.roots):
        raise PublishError(f"{folder} lies in {sound.publish.roots}, where nothing is secret")
    made = ceremony.begin(folder, sound.publish.online, sound.publish.roots, told.fresh, now())
    for role, pairs in made.items():
        say(f"{role}: {', '.join(pair.name for pair in pairs)}")
    say(f"root: {sound.publish.roots / '1.root.json'}")
    note(f"Now let another person take each key out of {folder}, and ship apps with that root (docs/keys.md).")
    return 0


def _pair(key: Path, told: passphrases.Passphrases) -> int:
    from recovery.publish import keys

    keys.public_file(key)
    made = keys.create(key, told.fresh(key.stem))
    say(f"{made.name}: {made.key.keyid}")
    note(f"{keys.public_file(key)} may be shown to anybody, {key} to nobody.")
    return 0


def _of_token(uri: str, into: Path | None) -> int:
    from recovery.publish import keys, token

    if into is None:
        raise PublishError("--token: say where the public half goes, with --key NAME.pub")
    found = token.public(uri)
    keys.write_public(found, into)
    say(f"{into.stem}: {found.keyid}")
    return 0


def _first(sound: Declared, add: list[str], prepare: Path | None) -> int:
    """Prepare the first root; its online keys are made here where they aren't there yet."""
    from recovery.publish import ceremony, change, looking
    from recovery.publish.request import Request

    if prepare is None or looking.roots_in(sound.publish.roots) is not None:
        raise PublishError(f"there is a root in {sound.publish.roots} already: `pulih keys change` changes keys")
    people = [_added(word) for word in add]
    alone = ceremony.machine_keys(sound.publish.online)
    root = change.first([*people, *((role, pair.key) for role, pair in alone.items())], now())
    return prepared(Request(current=None, roots=(root,)), prepare, practice=sound.estate.practice)


def _added(word: str) -> tuple[str, Key]:
    from recovery.publish import keys, metadata

    role, is_given, file = word.partition("=")
    if not is_given or role not in metadata.OFFLINE:
        raise PublishError(f"--add {word}: expected root=KEY.pub or targets=KEY.pub")
    return role, keys.read_public(Path(file))


@app.command(epilog="Example: pulih keys change --replace root-2=root-4.pub --prepare ceremony")
def change(
    replace: Annotated[
        list[str] | None,
        typer.Option(
            "--replace",
            metavar="OLD=NEW.pub",
            help="A key that is lost or stolen, and the public half of the one in its place; `snapshot` or `timestamp` "
            "alone makes a new one here. May be repeated.",
        ),
    ] = None,
    add: Add = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="KEY", help="A key that counts no longer; may be repeated.")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", metavar="ROLE=N", help="How many keys of a role must sign; may be repeated."),
    ] = None,
    prepare: Prepare = None,
    key: Keys = None,
    passphrase_file: passphrases.Files = None,
    estate: options.Estate = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Change keys, or how many must sign; without any change, renew the root before it expires.

    People with root keys sign: with --key here, or elsewhere with --prepare. What is published stays as it is, and
    every app that is installed follows, without a reinstall.
    """
    from recovery.cli import published
    from recovery.publish import places, publisher, request
    from recovery.publish.turn import turn

    if key and prepare is not None:
        raise PublishError("--key signs here, --prepare has it signed elsewhere: give one of them")
    sound = published.declared_publish(estate_folder(estate))
    state = state_folder(sound.estate.folder)
    with turn(state):
        found = places.found(sound.publish).one_history()
        told = passphrases.Passphrases(passphrase_file)
        with _none_left_behind(sound.publish.online):
            made = _change(found, sound, replace or [], add or [], remove or [], threshold or [])
            asked = request.of_change(found, made, now())
            if prepare is not None:
                return prepared(asked, prepare, practice=sound.estate.practice)
            signed_here(asked, key, told, practice=sound.estate.practice, elsewhere=["pulih", "keys", "change"])
        if found.newest is None:
            publisher.keep(request.extended(found.chain, asked), sound.publish.roots)
            say(f"root: {sound.publish.roots / f'{asked.standing[-1].version}.root.json'}; nothing is published yet")
            return 0
        done = published.bring(found, asked, sound.publish, state)
    return show(done, output)


@contextmanager
def _none_left_behind(online: Path) -> Generator[None]:
    """Take keys away that were made for a change that came to nothing."""
    from recovery.publish import keys, places

    before = places.files_in(online)
    try:
        yield
    except PulihError:
        for file in set(places.files_in(online)).difference(before):
            file.unlink()
            keys.public_file(file).unlink(missing_ok=True)
        raise


def _change(
    found: Found, sound: Declared, replace: list[str], add: list[str], remove: list[str], threshold: list[str]
) -> Change:
    from recovery.publish import ceremony, keys, metadata
    from recovery.publish.change import Change, find, keys_of

    root = found.chain.newest
    added = [_added(word) for word in add]
    removed = [*remove]
    for word in replace:
        old, is_given, file = word.partition("=")
        if word in metadata.ONLINE:
            removed += [keys.name_of(key) for key in keys_of(root, word)]
            added.append((word, ceremony.machine_key(sound.publish.online, word).key))
        elif is_given:
            role, key = find(root, old)
            removed.append(keys.name_of(key))
            added.append((role, keys.read_public(Path(file))))
        else:
            raise PublishError(f"--replace {word}: expected OLD=NEW.pub, or snapshot or timestamp alone")
    return Change(add=added, remove=removed, thresholds=dict(map(_threshold, threshold)))


def _threshold(word: str) -> tuple[str, int]:
    from recovery.publish import metadata

    role, _, number = word.partition("=")
    if role not in metadata.ROLES or not number.isascii() or not number.isdigit():
        raise PublishError(f"--threshold {word}: expected a role and a number, such as root=3")
    return role, int(number)


@app.command("show", epilog="Example: pulih keys show")
def show_keys(estate: options.Estate = None, output: options.Output = Format.TABLE) -> int:
    """Show which keys sign, which of them are here, until when all is good, and what each mirror holds.

    Exit code 2 when something needs doing.
    """
    from recovery.cli import keysview
    from recovery.cli.published import declared_publish
    from recovery.publish import places

    publish = declared_publish(estate_folder(estate)).publish
    seen = keysview.seen(publish, places.found(publish), now())
    emit(keysview.to_json(seen), output, lambda: keysview.lines(seen))
    return DIFFERENT if seen.to_do else 0
