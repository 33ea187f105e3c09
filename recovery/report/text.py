"""How text from the outside, durations and counts are written so that people can trust what they read.

Names, titles and reasons come from files and from units. None of them may move a terminal's cursor, reverse
the order of what is read, end a line or become markup.
"""

from __future__ import annotations

import json
import re
import unicodedata

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control, format (bidirectional overrides among them), lone surrogates, line and paragraph separators."""

_HARMLESS_FORMAT = frozenset("\u200c\u200d")
"""Joiners that several scripts need inside words."""

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$!])")
"""Punctuation that CommonMark or GitHub's extensions may act on inside a line.

Source: CommonMark 0.31.2, section 2.4 (backslash escapes); GitHub Flavored Markdown, tables.
"""

_AUTOLINK = re.compile(r"(?i)(https?|ftp)(://)|(www)(\.)")


def printable(text: str) -> str:
    r"""Return `text` on one line, every character that could act on a terminal written as `\xNN` or `\uNNNN`.

    Letters of any script stay as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if _acts(character) else character for character in text)


def json_text(value: object, indent: int | None = None) -> str:
    """Return a value as JSON in which no character can act on a terminal either; JSON itself escapes only some of them.

    Args:
        value: Plain values.
        indent: Spaces a level; None writes all of it on one line.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=None if indent else (",", ":"))
    if text.isascii() and "\x7f" not in text:
        return text
    return "\n".join(
        "".join(json.dumps(character)[1:-1] if _acts(character) else character for character in line)
        for line in text.split("\n")
    )


def _acts(character: str) -> bool:
    """Whether a character can act on a terminal, or on the order in which the others are read."""
    return unicodedata.category(character) in _UNSAFE_CATEGORIES and character not in _HARMLESS_FORMAT


def _escaped(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def markdown(text: str) -> str:
    """Return `text` so that Markdown shows it as it is, inside a line or a table's cell."""
    escaped = _MARKDOWN_SPECIAL.sub(r"\\\1", printable(text))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _AUTOLINK.sub(_unlinked, escaped)


def inert(text: str) -> str:
    """Return `text` for Markdown that a forge shows: set as code, and nothing in it acts, mentions or refers.

    Forges look for `@somebody` and `#1` in what the Markdown has become, where an escaped sign is the sign again; but
    not inside `<code>`. Written as entities the signs can't be structure. Source: CommonMark 0.31.2, section 2.5.
    """
    shown = "".join(
        character if character.isalnum() or character in " -," or ord(character) > 127 else f"&#{ord(character)};"
        for character in printable(text)
    )
    return f"<code>{shown}</code>"


def _unlinked(match: re.Match[str]) -> str:
    scheme, rest, www, point = match.groups()
    return f"{scheme}\\{rest}" if scheme else f"{www}\\{point}"


def duration(seconds: float | None) -> str:
    """Write a duration in its two largest units; a dash for an unknown one.

    Args:
        seconds: The duration, seconds.
    """
    if seconds is None:
        return "-"
    seconds = round(seconds, 3)  # as in JSON
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min" if minutes % 60 else f"{minutes // 60} h"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def counted(count: int, word: str) -> str:
    """Write a count with its noun, such as `1 unit` or `2 units`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
