"""Hides what looks like a secret in text that comes from a unit. Pure.

A bundle holds no secret. What somebody wrote into a file on a unit by hand may, and a comparison would show it. Every
pattern is bounded, so that a hostile line costs no more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

HIDDEN = "[hidden]"

_BEGIN_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----")
_END_KEY = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----")
_ASSIGNED = re.compile(
    r"(?i)((?:pass(?:word|wd|phrase|code)|pwd|secret|token|credential|api[_-]?key|private[_-]?key)"
    r"[\w.-]{0,40}[\"']?\s{0,20}[:=]\s{0,20})\S.*"
)
_SPACED = re.compile(r"(?i)^(?!\s{0,60}[a-z]{1,20}_pass\s)([\s\w.-]{0,60}pass(?:word|wd|phrase)?\s{1,20})\S{1,400}\s*$")
_AUTHORIZATION = re.compile(r"(?i)(\b(?:authorization|cookie)\b\s{0,20}[:=\s][\s\"']{0,20})\S.*")
_IN_URL = re.compile(r"(?i)([a-z0-9]://[^\s/:@]{0,200}:)[^\s/@]{1,400}(@)")


def masked(lines: Iterable[str]) -> Iterator[str]:
    """Yield each line, with private keys, assigned passwords and the like replaced; as many lines as came."""
    in_key = False
    for line in lines:
        if in_key:
            in_key = not _END_KEY.search(line)
            yield HIDDEN
        elif begin := _BEGIN_KEY.search(line):
            in_key = not _END_KEY.search(line, begin.end())
            yield line[: begin.start()] + HIDDEN
        else:
            yield _masked(line)


def _masked(line: str) -> str:
    line = _IN_URL.sub(rf"\1{HIDDEN}\2", line)
    for pattern in (_AUTHORIZATION, _ASSIGNED, _SPACED):
        line = pattern.sub(rf"\1{HIDDEN}", line)
    return line
