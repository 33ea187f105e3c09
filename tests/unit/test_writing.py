from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recovery.errors import HeldError
from recovery.writing import alone, write_atomically

HOLD = """
import sys, time
from pathlib import Path
from recovery.writing import alone
with alone(Path(sys.argv[1]), 1, told="never"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_whoever_holds_a_lock_and_is_stopped_is_named_and_keeps_nobody_for_ever(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGSTOP)
        found = rf"^the leases can't be written: process {holder.pid} has held {lock} for 0.1 s\. .*kill -9"
        with pytest.raises(HeldError, match=found), alone(lock, 0.1, told="the leases can't be written"):
            pytest.fail("two at once")
    finally:
        holder.kill()
        holder.communicate()
    with alone(lock, 0.1, told="never"):
        assert lock.read_text().split() == [str(os.getpid())]


def test_a_file_is_written_whole_over_what_a_killed_writer_left(tmp_path: Path) -> None:
    (tmp_path / "a.new").write_bytes(b"half of somet")
    write_atomically(tmp_path / "a", b"all")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"all")]
