"""`unit/validate`, `unit/reload` and `unit/probe`: the commands of `unit.yaml` as POSIX sh."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from recovery.render.syntax import Written

NONCE = Written("\0nonce\0")
"""Stands for the nonce until the shell puts it in; `kind` lets no word of `unit.yaml` hold a NUL."""

_HEAD = """\
#!/bin/sh
# {about}; made from unit.yaml.
set -eu
PATH=$PATH:/usr/sbin:/sbin
"""
# An account that isn't root finds nginx, chronyd and nft only there (Debian 12: /etc/login.defs, ENV_PATH).


def sequence(about: str, commands: Sequence[Sequence[str]]) -> bytes:
    """Run commands in order, up to the first that fails; what they print to stdout is dropped."""
    *others, last = [_line(command) for command in commands]
    return "".join(
        [_HEAD.format(about=about), "exec >/dev/null\n", *(f"{line}\n" for line in others), f"exec {last}\n"]
    ).encode()


def transaction(about: str, commands: Sequence[Sequence[str]], answer: str) -> bytes:
    """Run commands in order; what the last one prints must be `answer` and the nonce given as `$1`, nothing else."""
    *others, last = [_line(command) for command in commands]
    return "".join(
        [
            _HEAD.format(about=about),
            f'expected={shlex.quote(answer)}"$1"\n',
            *(f"{line} >/dev/null\n" for line in others),
            f"answer=$({last})\n",
            "printf '%s\\n' \"$answer\"\n",
            '[ "$answer" = "$expected" ] || { printf \'expected %s\\n\' "$expected" >&2; exit 1; }\n',
        ]
    ).encode()


def _line(command: Sequence[str]) -> str:
    return " ".join(_quoted(word) for word in command)


def _quoted(word: str) -> str:
    """Quote one word for sh; the nonce becomes the script's first argument."""
    if NONCE not in word:
        return shlex.quote(word)
    return '"$1"'.join(shlex.quote(part) if part else "" for part in word.split(NONCE))
