"""The floor: paramiko and nothing else, written as one would write it, sending bundles that are ready on disk.

    python -m bench.bare_client JOBS.json THREADS

Connects with the host key pinned, runs the applier, answers `send` with the tar, reads to `done`. It renders nothing,
plans nothing, keeps no journal and makes no report.
"""

from __future__ import annotations

import base64
import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import paramiko


def apply(job: dict[str, str], command: str, key: paramiko.PKey) -> None:
    """Bring one unit to its bundle."""
    host_key = paramiko.Ed25519Key(data=base64.b64decode(job["host_key"].split()[1]))
    transport = paramiko.Transport(socket.create_connection((job["address"], int(job["port"]))))
    transport.get_security_options().kex = ("curve25519-sha256@libssh.org",)
    transport.connect(hostkey=host_key, username=job["user"], pkey=key)
    channel = transport.open_session()
    channel.exec_command(command)
    channel.sendall(job["header"].encode())
    line = ""
    with channel.makefile("r") as answers:
        for line in map(str.rstrip, answers):
            if line == "send":
                channel.sendall(Path(job["tar"]).read_bytes())
            elif line.startswith(("done ", "failed ", "refused ")):
                break
    transport.close()
    if line != job["done"]:
        raise SystemExit(f"{job['unit']}: {line}")


def main() -> None:
    """Apply all jobs of a file."""
    work: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    jobs: list[dict[str, str]] = work["jobs"]
    key = paramiko.Ed25519Key(filename=work["key"])
    with ThreadPoolExecutor(int(sys.argv[2])) as threads:
        list(threads.map(apply, jobs, repeat(work["command"]), repeat(key)))


if __name__ == "__main__":
    main()
