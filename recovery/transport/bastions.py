"""Connections to bastions: one each, shared by the units behind it, opened when first needed, reopened when broken.

A bastion's connection is the one that has a thread: it reads for all the units at once. The units' own connections run
inside it, encrypted end to end with the unit's pinned key, so a bastion sees and changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from recovery.errors import TransportError
from recovery.model.estate import Bastion
from recovery.transport import failures
from recovery.transport.base import Target
from recovery.transport.connection import BROKEN
from recovery.transport.deadline import Deadline, ExpiredError
from recovery.transport.forward import BastionConnection, ForwardedStream, ForwardRefusedError
from recovery.transport.interrupt import Interrupt

Opener = Callable[[Target, Deadline, Interrupt], BastionConnection]
"""Connects and logs in to a bastion described as a target, or raises a `TransportError`."""


class _Link:
    """One bastion's connection, from the wish for it to its end."""

    def __init__(self) -> None:
        self.interrupt = Interrupt()
        self.connection: BastionConnection | None = None
        self.failure: TransportError | None = None

    def is_usable(self) -> bool:
        """Whether it is open, or may yet be."""
        return self.failure is None and (self.connection is None or self.connection.is_open())


class Bastions:
    """The connections to bastions of one transport."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._changed = threading.Condition()
        self._links: dict[Bastion, _Link] = {}
        self._threads: list[threading.Thread] = []

    def stream(self, target: Target, bastion: Bastion, deadline: Deadline, interrupt: Interrupt) -> ForwardedStream:
        """Return a stream to the target through its bastion.

        Args:
            target: The unit.
            bastion: In front of it.
            deadline: For all of it.
            interrupt: Ends each wait early.

        Raises:
            TransportError: The bastion cannot be reached, is another host, refuses us, or cannot reach the unit.
            ExpiredError: All of the visit took too long.
            InterruptedVisitError: The visit is no longer wanted.
        """
        connection = self._connection(target, bastion, deadline, interrupt)
        deadline.step(target.timeouts.connect_s)
        try:
            channel = connection.forward(target.login.address, target.login.port, interrupt, deadline.remaining_s())
        except ForwardRefusedError as error:
            raise failures.behind(target, bastion, failures.outside(error)) from error
        except TimeoutError as error:
            found = f"no answer within {target.timeouts.connect_s:g} s"
            raise failures.behind(target, bastion, found) from error
        except BROKEN as error:
            raise failures.behind(target, bastion, "the connection to the bastion broke") from error
        return ForwardedStream(channel)

    def close(self) -> None:
        """Close every connection and wait for the threads."""
        with self._changed:
            links, threads = list(self._links.values()), list(self._threads)
        for link in links:
            link.interrupt.set()
        for thread in threads:
            thread.join()

    def _connection(
        self, target: Target, bastion: Bastion, deadline: Deadline, interrupt: Interrupt
    ) -> BastionConnection:
        with self._changed:
            link = self._links.get(bastion)
            if link is None or not link.is_usable():
                link = self._open(target, bastion)
            while link.connection is None and link.failure is None:
                interrupt.guard(self._wake)
                try:
                    self._changed.wait(deadline.remaining_s())
                except ExpiredError as error:
                    if error.is_whole:
                        raise
                    found = f"no connection to it within {error.limit_s:g} s"
                    raise failures.bastion_failed(target, bastion, error, found) from error
        interrupt.check()
        if link.connection is None:
            assert link.failure is not None  # noqa: S101  the loop above ends with one or the other
            raise failures.bastion_failed(target, bastion, link.failure, link.failure.reason) from link.failure
        return link.connection

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _open(self, target: Target, bastion: Bastion) -> _Link:
        link = self._links[bastion] = _Link()
        wanted = Target(name=target.name, login=bastion.login, bastion=None, timeouts=target.timeouts)
        thread = threading.Thread(
            target=self._live, args=(link, wanted), name=f"pulih-bastion-{bastion.name}", daemon=True
        )
        self._threads = [*(thread for thread in self._threads if thread.is_alive()), thread]
        thread.start()
        return link

    def _live(self, link: _Link, wanted: Target) -> None:
        """Open a connection and read for it until it is over; the whole life of a bastion's thread."""
        try:
            connection = self._opener(wanted, Deadline(wanted.timeouts.connect_s), link.interrupt)
        except Exception as error:
            # every way to fail must reach those who wait, or they wait for nothing until their time is up
            with self._changed:
                link.failure = (
                    error
                    if isinstance(error, TransportError)
                    else failures.unreachable(wanted, "opening it", failures.outside(repr(error)))
                )
                self._changed.notify_all()
            return
        connection.share()
        with self._changed:
            link.connection = connection
            self._changed.notify_all()
        try:
            connection.serve()
        finally:
            connection.end()
