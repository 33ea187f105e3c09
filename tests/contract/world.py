"""What the transport's contract suite needs of a world: hosts to talk to, and a way to see what reached them.

To run the suite in another world (the in-memory twin and real sshd have one each), write a class with these methods,
and a test module that takes the tests over and says which world they get:

    from tests.contract.transport import *  # noqa: F403

    @pytest.fixture(scope="module")
    def world() -> Iterator[World]:
        with MyWorld() as world:
            yield world

Hosts run the remote commands of `tests.contract.commands` with `/bin/sh`; nothing else is asked of them.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from recovery.transport.base import Target, Transport

T = TypeVar("T")

HOSTS = tuple(f"unit-{number:02}" for number in range(50))
"""Names of the hosts that a world has; all are up, and each lets the world's own key in."""


class World(Protocol):
    """Hosts, and the transports that reach them."""

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end: `asyncio.run`, or a loop of the world's own (one in virtual time, say)."""
        ...

    def transport(self, *, is_known: bool = True) -> Transport:
        """Return a new transport, whose key the hosts let in, or refuse where `is_known` is false."""
        ...

    def target(self, name: str) -> Target:
        """Return one of `HOSTS`, with its true host key and no bastion."""
        ...

    def login_attempts(self, name: str) -> int:
        """Return how often somebody has asked that host to be let in."""
        ...

    async def cut(self, name: str) -> None:
        """Break every connection to that host, as a cable that is cut (a reset or a lost server both will do)."""
        ...
