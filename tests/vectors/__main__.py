"""Writes the vectors anew: `python -m tests.vectors`."""

from __future__ import annotations

from tests.vectors.case import write
from tests.vectors.library import FOLDER, every_case, stored


def main() -> None:
    """Write them, and remove what no longer belongs to them."""
    files = write(every_case())
    for path in stored():
        if path not in files:
            (FOLDER / path).unlink()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        (FOLDER / path).write_bytes(content)
    print(f"{len(files) - 1} vectors, {sum(map(len, files.values())):,} bytes in {FOLDER}")


if __name__ == "__main__":
    main()
