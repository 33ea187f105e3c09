"""What comes from a unit, cut into lines and made safe to show. Pure; sockets are somebody else's."""

from __future__ import annotations

from recovery.transport.base import MAX_LINE_BYTES

ERROR_TEXT_CHARACTERS = 2000
"""How much of a command's stderr is kept, counted from its end."""


class LineTooLongError(Exception):
    """A line is longer than `MAX_LINE_BYTES`; the transport makes a `BadAnswerError` of it."""


def printable(data: bytes, *, keep: bytes = b"\t") -> str:
    r"""Return bytes as text in which only printable ASCII and `keep` stand for themselves.

    Everything else becomes `\xNN`: a unit must not move the cursor of whoever reads its answer, or retitle their
    terminal (a unit's answer is not to be trusted more than the unit).
    """
    if data.isascii():
        text = data.decode("ascii")
        if text.isprintable():
            return text
    return "".join(chr(byte) if 0x20 <= byte < 0x7F or byte in keep else f"\\x{byte:02x}" for byte in data)


class Incoming:
    """The stdout of a command, as it comes in, and the end of its stderr."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0
        self._errors = b""

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Append what came on stdout."""
        self._data += data

    def feed_error(self, data: bytes) -> None:
        """Append what came on stderr, and forget all but its end."""
        self._errors = (self._errors + data)[-ERROR_TEXT_CHARACTERS:]

    def take_line(self) -> str | None:
        """Return the next whole line without its newline, or None when there is none yet.

        Raises:
            LineTooLongError: It has more than `MAX_LINE_BYTES` bytes.
        """
        end = self._data.find(b"\n", self._searched, MAX_LINE_BYTES + 1)
        if end < 0:
            if len(self._data) > MAX_LINE_BYTES:
                raise LineTooLongError
            self._searched = len(self._data)
            return None
        line = bytes(self._data[:end])
        self._forget(end + 1)
        return printable(line)

    def take_exactly(self, size_bytes: int) -> bytes | None:
        """Return the next `size_bytes`, or None when there are not that many yet."""
        if len(self._data) < size_bytes:
            return None
        data = bytes(self._data[:size_bytes])
        self._forget(size_bytes)
        return data

    def error_text(self) -> str:
        """Return the end of stderr, made printable; its lines stay lines."""
        return printable(self._errors, keep=b"\t\n")[-ERROR_TEXT_CHARACTERS:]

    def _forget(self, size_bytes: int) -> None:
        del self._data[:size_bytes]
        self._searched = 0
