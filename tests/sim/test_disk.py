"""The simulated disk, where it must do as a real one does."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from recovery.store import FileStore
from tests.sim.disk import SimDisk, mounted


def test_a_document_that_does_not_fit_leaves_the_old_one() -> None:
    disk = SimDisk()
    with mounted():
        store = FileStore(cast(Path, disk.path("state")))
        version = store.put("leases/jakarta.json", b"old", over=None)
        disk.room_bytes = 10
        with pytest.raises(OSError, match="No space left"):
            store.put("leases/jakarta.json", b"new, and longer than there is room for", over=version)
        kept = store.get("leases/jakarta.json")
    assert kept is not None
    assert kept.content == b"old"
