"""The Pulumi SDK without an engine: what a program registers, on the SDK's own mocks."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import pulumi


class Registered(pulumi.runtime.Mocks):
    """Remembers what was registered, and answers a resource's inputs as its outputs.

    Attributes:
        resources: By name, in the order in which they were registered.
    """

    def __init__(self) -> None:
        self.resources: dict[str, Any] = {}

    def new_resource(self, args: Any) -> tuple[str, dict[str, Any]]:
        """Remember a resource."""
        self.resources[args.name] = args
        return args.name, dict(args.inputs)

    def call(self, args: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Refuse: a program of ours looks nothing up."""
        raise AssertionError(f"nothing is looked up: {args.token}")


@contextmanager
def registering(stack: str) -> Generator[Registered]:
    """Let a stack's resources be registered with mocks, in an event loop of their own."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks = Registered()
    pulumi.runtime.set_mocks(mocks, project="pulih", stack=stack)
    try:
        yield mocks
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def settled(output: Any) -> Any:
    """Return an output's value."""
    found: list[Any] = []
    run = cast(Any, pulumi.runtime).test  # the SDK does not say what it takes
    run(lambda: output.apply(found.append))()
    return found[0]
