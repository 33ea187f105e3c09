"""docs/unit.md grants and sets up what the shipped templates use, no less and no more."""

from __future__ import annotations

import re
import shlex

from recovery.render import Templates
from tests.places import KINDS, TEMPLATES

PAGE = (TEMPLATES.parent / "docs" / "unit.md").read_text()
LOADED = Templates.load(TEMPLATES)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def commands(kind: str, script: str) -> list[list[str]]:
    return [[word.argument.text for word in command] for command in LOADED.kinds[kind].scripts[script]]


def test_sudo_grants_what_the_commands_ask_for_and_nothing_else() -> None:
    (text,) = blocks("sudoers")
    granted: set[tuple[str, ...]] = set()
    for line in text.splitlines():
        program, *words = shlex.split(line.removeprefix("pulih ALL=(root) NOPASSWD: "))
        assert program.startswith("/usr/"), "sudo asks for the whole path"
        granted.add((program.rpartition("/")[2], *words))
    asked = {
        tuple(command[2:])
        for kind in LOADED.kinds
        for script in ("validate", "reload", "probe")
        for command in commands(kind, script)
        if command[:2] == ["sudo", "-n"]
    }
    assert granted == asked


def test_every_systemd_unit_that_is_reloaded_is_on_the_page_and_reads_a_file_of_the_bundle() -> None:
    texts = {re.findall(r"pulih-\w+", text)[0]: text for text in blocks("ini")}
    reloaded = {word for kind in LOADED.kinds for command in commands(kind, "reload") for word in command[4:]}
    assert reloaded == texts.keys() | {"pulih-counter"}
    assert "`pulih-counter` is the counter application's own" in PAGE
    for kind in (*KINDS.values(), "endpoint-host"):
        paths = {file.path for file in LOADED.kinds[kind].files}
        assert {"egress/egress.nft", "gateway/nginx.conf", "time/chrony.conf"} <= paths
    assert "-f /srv/pulih/current/egress/egress.nft" in texts["pulih-egress"]
    assert "-p /srv/pulih/current -c gateway/nginx.conf" in texts["pulih-gateway"]
    assert "-f /srv/pulih/current/time/chrony.conf" in texts["pulih-time"]
    assert "ExecReload=/bin/sh /usr/local/lib/pulih/reload-gateway $MAINPID" in texts["pulih-gateway"]
