"""The same work over pulih's transport alone: what is left of a run when nothing is rendered, planned or recorded.

python -m bench.transport_client JOBS.json THREADS
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from recovery.model.estate import HostKey, Login, Timeouts, UnitName
from recovery.transport.base import Session, Target
from recovery.transport.ssh import SshTransport

TIMEOUTS = Timeouts(connect_s=10, step_s=30, unit_s=120, retries=0)


async def apply(transport: SshTransport, job: dict[str, str], command: str) -> None:
    """Bring one unit to its bundle."""
    login = Login(address=job["address"], port=int(job["port"]), user=job["user"], host_key=HostKey(job["host_key"]))
    target = Target(name=UnitName(job["unit"]), login=login, bastion=None, timeouts=TIMEOUTS)

    async def conversation(session: Session) -> str:
        await session.send(job["header"].encode())
        while (line := await session.read_line()) is not None:
            if line == "send":
                await session.send(Path(job["tar"]).read_bytes())  # noqa: ASYNC240  in the worker's thread
            elif line.startswith(("done ", "failed ", "refused ")):
                return line
        return "nothing"

    line = await transport.run(target, command, conversation, within_s=120)
    if line != job["done"]:
        raise SystemExit(f"{job['unit']}: {line}")


async def main() -> None:
    """Apply all jobs of a file."""
    work: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())  # noqa: ASYNC240  before anything runs
    transport = SshTransport(ssh_key=Path(work["key"]), parallel=int(sys.argv[2]))
    await asyncio.gather(*(apply(transport, job, work["command"]) for job in work["jobs"]))
    await transport.close()


if __name__ == "__main__":
    asyncio.run(main())
