"""What an enemy writes: texts, JSON, and sound files with something done to them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.estates import sound_files

CANARY = "pulih-canary"
"""Nothing of this name may ever be made, and no program of this name run."""

FRAGMENTS = (
    f"$({CANARY})",
    f"`{CANARY}`",
    f"; {CANARY} #",
    f"'; {CANARY}; '",
    f'"; {CANARY}; "',
    f"| {CANARY}",
    f"&& {CANARY}",
    f"\n{CANARY}\n",
    f">{CANARY}",
    f"$((a[$({CANARY})]))",
    "${IFS}",
    "$1",
    "\\",
    "'",
    '"',
    "\0",
    "\r\n",
    "\t",
    "%s%n",
    "../../../etc/passwd",
    "/dev/zero",
    "~root/x",
    "-rf",
    "--checkpoint-action=exec=" + CANARY,
    "*",
    "}\nserver { listen 1; }\n#",
    "; include /etc/passwd;",
    "{{ ''.__class__.__mro__ }}",
    "{% for x in y %}",
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "\x7f",
    "\u202egnp.exe",
    "\u2028",
    "\u2066",
    "\U000e0041",
    "\ufeff",
    "\ud800",
    "&anchor",
    "*anchor",
    "!!python/object/apply:os.system",
    "? ",
    "- - - ",
    "# ",
    ": ",
    "---",
    "<b>|*_[x](javascript:x)",
    "0x10",
    "1e999",
    "NaN",
    "-0",
    "9" * 30,
    "9" * 5000,
    "0001-01-01T00:00:00+23:59",
    "2024-06-20T00:54:00",
    "A" * 5000,
)
"""Each has hurt some program: shells, YAML, JSON, nginx, Jinja, terminals, integers, clocks."""

EXACT = st.text(max_size=40)
"""Any text, lone surrogates left out."""

hostile_text = st.lists(st.one_of(st.sampled_from(FRAGMENTS), EXACT), min_size=1, max_size=4).map("".join)
"""Texts that may hold everything, lone surrogates too."""

valid_text = hostile_text.map(lambda text: text.encode("utf-8", "replace").decode())
"""The same as UTF-8 can carry it."""

numbers = st.one_of(
    st.integers(),
    st.integers(min_value=10**300, max_value=10**310),
    st.floats(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2**31, 2**63, 10**15, 10**18]),
)

any_json: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), numbers, hostile_text),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(hostile_text, inner, max_size=3)),
    max_leaves=6,
)

deep = st.integers(min_value=1, max_value=3).flatmap(
    lambda power: st.sampled_from(["[", '{"a":', "- ", "{a: ", "? "]).map(lambda opening: opening * 10 ** (power + 2))
)
"""A text nested a thousand to a hundred thousand levels deep."""

junk = st.one_of(st.binary(max_size=200), valid_text.map(str.encode), deep.map(str.encode))
"""Bytes of any kind."""


def yaml_scalar(text: str) -> str:
    """Return a text as YAML writes it in double quotes, where every character can stand."""
    return '"' + "".join(f"\\U{ord(letter):08x}" if not letter.isalnum() else letter for letter in text) + '"'


@st.composite
def damaged(draw: st.DrawFn, document: Any) -> Any:
    """Return a JSON document with one to three of its values replaced, dropped or doubled, at any depth."""
    copy: Any = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        inside: Any = copy
        while True:
            is_list = type(inside) is list
            keys: list[Any] = list(range(len(inside)) if is_list else inside)
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if type(inside[key]) in (dict, list) and inside[key] and draw(st.booleans()):
                inside = inside[key]
                continue
            what = draw(st.sampled_from(["replace", "replace", "drop", "rename"]))
            if what == "replace":
                inside[key] = draw(any_json)
            elif what == "drop" or is_list:
                del inside[key]
            else:
                inside[draw(hostile_text)] = inside.pop(key)
            break
    return copy


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Return bytes with a piece cut out, put in, doubled or flipped."""
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, min(len(content), start + 200)))
    put = draw(st.one_of(junk, st.just(b""), st.just(content[start:end] * 2)))
    return content[:start] + put + content[end:]


@st.composite
def damaged_estate(draw: st.DrawFn) -> dict[str, bytes]:
    """Return files to put in the place of one or two of the small sound estate's."""
    files = {name: text.encode() for name, text in sound_files().items()}
    changed: set[str] = set()
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(files)))
        changed.add(name)
        lines = files[name].split(b"\n")
        number = draw(st.integers(0, len(lines) - 1))
        key, colon, _ = lines[number].partition(b": ")
        what = draw(st.sampled_from(["value", "value", "raw value", "new key", "line", "bytes"]))
        if what == "value":
            lines[number] = key + (colon or b": ") + yaml_scalar(draw(valid_text)).encode()
        elif what == "raw value":
            lines[number] = key + (colon or b": ") + draw(valid_text).encode()
        elif what == "new key":
            indent = b" " * (len(key) - len(key.lstrip(b" -")))
            known = draw(st.sampled_from(["templates", "ssh_key", "leases", "staging", "practice", "state", "bastion"]))
            lines.insert(number + 1, indent + known.encode() + b": " + yaml_scalar(draw(valid_text)).encode())
        elif what == "line":
            lines[number] = draw(junk)
        files[name] = draw(damaged_bytes(files[name])) if what == "bytes" else b"\n".join(lines)
    return {name: files[name] for name in changed}
