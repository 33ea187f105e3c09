"""A provider that only sleeps: what the engine costs when the units cost nothing but time."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from pulumi.provider.experimental import provider as sdk
from pulumi.provider.experimental.server import main


class Sleeper(sdk.Provider):
    """Sleeps at each create as long as the file says, by the resource's name."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds

    async def create(self, request: sdk.CreateRequest) -> sdk.CreateResponse:
        """Sleep, unless it is a preview."""
        if not request.preview:
            await asyncio.sleep(self._seconds[request.name])
        return sdk.CreateResponse(request.name, request.properties)


if __name__ == "__main__":
    seconds: Any = json.loads(Path(os.environ["SLEEPER_SECONDS"]).read_text(encoding="utf-8"))
    main(sys.argv[1:], "0.1.0", Sleeper(seconds))
