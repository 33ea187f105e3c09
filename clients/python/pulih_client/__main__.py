"""A client to try: `python -m pulih_client --state DIR --root root.json --mirror URL...`."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom

from pulih_client.client import Client, Outcome, Poll
from pulih_client.schedule import age, wait_s
from pulih_client.state import BusyError, State

_FAILED = 1
_REFUSED = 5


def main() -> int:
    """Poll once or for ever; the last line says what is in use.

    Returns:
        0 when a mirror was followed, 5 when all were refused, 1 when none answered.
    """
    parser = argparse.ArgumentParser(prog="pulih_client", description="Follow the manifest of a citizens' app.")
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="what this installation keeps")
    parser.add_argument("--mirror", action="append", required=True, metavar="URL", help="may be repeated")
    parser.add_argument("--root", type=Path, metavar="FILE", help="the root metadata that the app comes with")
    parser.add_argument("--shipped", type=Path, metavar="FILE", help="the manifest that the app comes with")
    parser.add_argument("--once", action="store_true", help="poll once instead of for ever")
    given = parser.parse_args()
    embedded: Path = given.state / "root.json"
    try:
        if given.root is not None:
            given.state.mkdir(parents=True, exist_ok=True)
            embedded.write_bytes(given.root.read_bytes())
        shipped = None if given.shipped is None else given.shipped.read_bytes()
        client = Client(State(given.state, shipped), embedded.read_bytes(), given.mirror)
        return _run(client, once=given.once)
    except FileNotFoundError as error:
        print(f"error: {error.filename} is not there; the first time, --root names the root metadata", file=sys.stderr)
    except (OSError, ValueError, BusyError) as error:
        print(f"error: {error}", file=sys.stderr)
    return _FAILED


def _run(client: Client, *, once: bool) -> int:
    random, unanswered = SystemRandom(), 0
    while True:
        poll = client.poll(datetime.now(UTC))
        for line in _lines(client, poll):
            print(line, flush=True)
        is_followed = poll.outcome in (Outcome.UPDATED, Outcome.UNCHANGED)
        if once:
            return 0 if is_followed else _REFUSED if poll.outcome is Outcome.REFUSED else _FAILED
        unanswered = 0 if is_followed else unanswered + 1
        time.sleep(wait_s(random, connected=True, unanswered=unanswered))


def _lines(client: Client, poll: Poll) -> list[str]:
    lines = [f"refused {refused.mirror}: {refused.reason}: {refused.file}: {refused.text}" for refused in poll.refusals]
    lines.append(f"{poll.outcome}: {poll.sent_bytes} bytes sent, {poll.received_bytes} received")
    used = client.configuration
    if used is None:
        return [*lines, "no configuration yet"]
    how_old = age(datetime.now(UTC), client.state.seen().checked_at)
    lines.append(f"configuration {used.config_epoch} ({how_old}), app {used.minimum_version} or newer")
    lines += [f"  {language}: {text}" for language, text in used.message.items()]
    lines += [
        f"  {name}: {place.data_centre} {place.url}" for name, places in used.services.items() for place in places
    ]
    return lines


if __name__ == "__main__":
    sys.exit(main())
