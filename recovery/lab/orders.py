"""Orders to a running lab: one line of JSON each way over a Unix socket in the lab's folder.

A Unix socket's address holds at most 107 bytes (unix(7)), and a lab's folder may be deeper than that, so both sides
name it through /proc/self/fd.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from recovery.errors import LabError

_WITHIN_S = 60
_MAX_LINE_BYTES = 1_048_576

Words = Mapping[str, Any]


@contextmanager
def short_name(path: Path) -> Generator[str]:
    """Give a name that is short enough for a socket's address, however deep its folder is."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def give(path: Path, order: Words) -> Words:
    """Give an order and return what the lab answers.

    Raises:
        LabError: Nobody takes orders there, or the lab refuses.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(_WITHIN_S)
        try:
            with short_name(path) as name:
                line.connect(name)
            line.sendall(json.dumps(order).encode() + b"\n")
            with line.makefile("rb") as answers:
                text = answers.readline(_MAX_LINE_BYTES)
        except OSError as error:
            raise LabError(f"no lab takes orders at {path}: {error}") from error
    if not text.endswith(b"\n"):
        raise LabError(f"the lab at {path.parent} ended without an answer; {path.parent}/lab.log may tell why")
    answer = cast(Words, json.loads(text))
    if "refused" in answer:
        raise LabError(str(answer["refused"]))
    return answer
