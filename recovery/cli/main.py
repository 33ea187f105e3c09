"""The `pulih` command: its verbs, and how every ending becomes an exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from types import FrameType
from typing import TextIO

import typer

from recovery.cli import (
    declaration,
    drill,
    history,
    keys,
    lab,
    planning,
    publishing,
    reading,
    reporting,
    review,
    running,
    up,
    watching,
)
from recovery.cli.output import note
from recovery.errors import (
    BrokenRecordError,
    DeclarationError,
    ForkError,
    HeldError,
    HostKeyError,
    LeaseLostError,
    PulihError,
    RefusedError,
    UntrustedError,
)

ERROR = 1
"""Usage errors too: typer's own 2 means differences here."""
HELD = 4
REFUSED = 5
TRUST = 6
INTERRUPTED = 130

app = typer.Typer(
    name="pulih",
    help="Declare the estate, deploy it, rehearse its loss, and rebuild every unit when a data centre is lost.",
    epilog=(
        "Exit codes: 0 done and as declared, 1 error, 2 differences found, 3 partial, 4 lease held by another, "
        "5 refused, 6 trust, 130 interrupted.\n\n"
        "Environment: PULIH_ESTATE folder of the estate; PULIH_STATE folder of runs and leases; PULIH_SSH_KEY private "
        "key that may log in (else the SSH agent); PULIH_LEASES where leases are, over what the estate says; "
        "PULIH_WEBHOOK and PULIH_WEBHOOK_SECRET told of a run's start, hold and end; PULIH_METRICS file for a node's "
        "metrics; PULIH_PASSPHRASE_FILE passphrases of keys that sign, PYKCS11LIB library of their token; NO_COLOR."
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for verbs in (declaration, planning, running, history, reading, reporting, watching, review, publishing, drill, up):
    verbs.register(app)
app.add_typer(keys.app)
app.add_typer(lab.app)

_ENDINGS: Mapping[type[Exception], tuple[str, int]] = {
    HeldError: ("held", HELD),
    LeaseLostError: ("held", HELD),
    RefusedError: ("refused", REFUSED),
    HostKeyError: ("not trusted", TRUST),
    BrokenRecordError: ("not trusted", TRUST),
    ForkError: ("not trusted", TRUST),
    UntrustedError: ("not trusted", TRUST),
}


_command = cache(partial(typer.main.get_command, app))
"""Returns what typer makes of the verbs, made once."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; never raises, whatever happens in a command."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail_to_encode(stream)
    try:
        with _interruptible():
            code = _run(arguments)
        stdout: TextIO | None = sys.stdout
        if stdout is not None:
            stdout.flush()
    except BrokenPipeError:
        # Whoever read the result has gone. Python would complain again when it flushes stdout at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = _command()(args=arguments, prog_name="pulih", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        note("interrupted")
        return INTERRUPTED
    except typer.TyperException as error:
        return _usage(error)
    except DeclarationError as error:
        for mistake in error.mistakes:
            note(str(mistake))
        return ERROR
    except (PulihError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        word, code = next((end for kind, end in _ENDINGS.items() if isinstance(error, kind)), ("error", ERROR))
        for line in str(error).split("\n"):
            note(f"{word}: {line}")
        return code
    except Exception:
        for line in traceback.format_exc().splitlines():
            note(line)
        note("error: this is a fault in pulih; please file it with the lines above")
        return ERROR
    return code if isinstance(code, int) else 0


def _usage(error: typer.TyperException) -> int:
    """Say what is wrong with a command line; without any verb, show the help."""
    message = error.format_message()
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is None:
        note(f"error: {message}")
    elif type(error).__name__ == "NoArgsIsHelpError":
        for line in message.splitlines():
            note(line)
    else:
        note(context.get_usage())
        note(f"error: {message} (see `{context.command_path} --help`)")
    return ERROR


@contextmanager
def _interruptible() -> Generator[None]:
    """Make SIGTERM and SIGHUP end a command as Ctrl-C does: with its report written and its lab taken down."""

    def as_ctrl_c(_number: int, _frame: FrameType | None) -> None:
        signal.raise_signal(signal.SIGINT)

    # A shell starts background jobs with SIGINT ignored; SIGTERM must stop them all the same.
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: as_ctrl_c, signal.SIGHUP: as_ctrl_c}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup: the line may drop
        del handlers[signal.SIGHUP]
    if threading.current_thread() is not threading.main_thread():
        handlers = {}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _never_fail_to_encode(stream: TextIO | None) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
