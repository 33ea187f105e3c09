"""One installation of the citizens' app in a drill: the reference client, what a citizen has entered, a transaction."""

from __future__ import annotations

import http.client
import secrets
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from pulih_client import Client, Outcome, State

from recovery.lab.nginxconf import PROBE_PATH

_WITHIN_S = 2
_FORGOTTEN = ("sessions", "pins", "endpoints")
"""What an installation holds besides, so that there is something to reset."""


class Kind(StrEnum):
    """What an installation has been through."""

    LAST_MONTH = "last month's configuration"
    OFFLINE = "offline during the recovery"
    BACKUP = "restored from an old backup"
    BEHIND = "two roots behind"
    DRAFTS = "drafts in progress"


@dataclass(kw_only=True)
class App:
    """One installation.

    Attributes:
        home: Its own folder.
        root: The root metadata that it came with.
        mirrors: Addresses that it came with.
        service: What it talks to.
        drafts: What was entered, by file; it must be there to the end.
        reconnected_at: When a transaction was first answered after the loss.
        reason: Why the last one was not.
    """

    name: str
    kind: Kind
    home: Path
    root: bytes
    mirrors: tuple[str, ...]
    service: str
    random: Random
    drafts: dict[str, str] = field(default_factory=dict[str, str])
    reconnected_at: datetime | None = None
    reason: str = "it has not tried"

    def install(self) -> None:
        """Be installed, used, and told where the services are.

        Raises:
            RuntimeError: No mirror told it.
        """
        for name in _FORGOTTEN:
            file = self.home / "data" / name / "kept.txt"
            file.parent.mkdir(parents=True)
            file.write_text(self.name)
        for number in range(3):
            self.enter(f"draft-{number}.txt", f"{self.name}: form {number}, half filled in\n")
        self.learn()

    def enter(self, name: str, text: str) -> None:
        """Go on with a draft."""
        file = self.home / "data" / "drafts" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as opened:
            opened.write(text)
        self.drafts[name] = self.drafts.get(name, "") + text

    def learn(self) -> None:
        """Poll once, with a mirror that must be followed.

        Raises:
            RuntimeError: None was.
        """
        poll = self._client().poll(datetime.now(UTC))
        if poll.outcome not in (Outcome.UPDATED, Outcome.UNCHANGED):
            raise RuntimeError(f"{self.name} was told nothing: {poll.refusals}")

    def back_up(self, to: Path) -> None:
        """Keep a copy of the installation."""
        shutil.copytree(self.home, to, symlinks=True)

    def restore(self, backup: Path) -> None:
        """Be as a backup has it."""
        shutil.rmtree(self.home)
        backup.rename(self.home)

    def go_on(self, to: str) -> None:
        """Poll, then try a transaction with what is known; remember when a data centre first answered."""
        if self.kind is Kind.DRAFTS:
            self.enter("draft-0.txt", f"a line at {datetime.now(UTC):%H:%M:%S.%f}\n")
        poll = self._client().poll(datetime.now(UTC))
        refused = [f"{one.reason}: {one.file}" for one in poll.refusals] if poll.outcome is Outcome.REFUSED else []
        try:
            self.transact(to)
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            self.reason = "; ".join([*refused, str(error)])
        else:
            self.reconnected_at, self.reason = datetime.now(UTC), ""

    def transact(self, data_centre: str) -> None:
        """Make a test transaction as a unit's gateway does, writing nothing.

        The lab's endpoints talk plain HTTP, so TLS is left out here too.

        Raises:
            OSError: The way to the endpoint failed.
            RuntimeError: It was answered otherwise than by the service at that data centre.
        """
        used = self._client().configuration
        places = () if used is None else used.services.get(self.service, ())
        if not places:
            raise RuntimeError(f"no place of {self.service} is known")
        parts = urlsplit(places[0].url)
        nonce = secrets.token_hex(8)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 443, timeout=_WITHIN_S)
        try:
            connection.request("GET", PROBE_PATH, headers={"X-Pulih-Nonce": nonce})
            answer = connection.getresponse()
            said = answer.read(1000).decode(errors="replace").strip()
        finally:
            connection.close()
        expected = f"pulih-probe/1 data-centre={data_centre} service={self.service} nonce={nonce}"
        if answer.status != http.client.OK or said != expected:
            raise RuntimeError(
                f"{places[0].data_centre} answered {answer.status} {said[:100]!r}, expected {expected!r}"
            )

    def drafts_lost(self) -> int:
        """Count the drafts that are not as they were entered."""
        folder = self.home / "data" / "drafts"
        return sum(_content(folder / name) != text for name, text in self.drafts.items())

    def _client(self) -> Client:
        return Client(State(self.home), self.root, self.mirrors, random=self.random)


def _content(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return None
