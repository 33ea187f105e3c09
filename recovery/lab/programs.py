"""What the stand-ins answer: the programs of a unit as far as `unit.yaml` and the applier use them.

An option that the lab does not know is refused, as the real program would refuse one that it doesn't know, so that a
template can't come to rely on what was never looked at.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from recovery.lab import nginxconf, shapes
from recovery.lab.curl import Curl, CurlError
from recovery.lab.hosts import Host
from recovery.lab.nginxconf import ShapeError
from recovery.lab.sickness import How
from recovery.lab.standins import Answer, Question

_MAX_FILE_BYTES = 1_048_576
_SERVICES = {
    "pulih-gateway": "gateway/nginx.conf",
    "pulih-time": "time/chrony.conf",
    "pulih-counter": "counter/settings.json",
    "pulih-egress": "egress/egress.nft",
}
"""By system service, the file of a release that it runs with."""
_RELOADS = frozenset({"reload", "restart", "start", "reload-or-restart", "try-reload-or-restart"})


class Programs:
    """Answers for the programs of every host.

    Args:
        gateway_changed: Awaited when a host's gateway was loaded anew.
    """

    def __init__(self, gateway_changed: Callable[[Host], Awaitable[None]]) -> None:
        self._gateway_changed = gateway_changed

    async def answer(self, host: Host, question: Question) -> Answer:
        """Return what a program says at a host."""
        try:
            match question.program:
                case "nginx":
                    return _nginx(host, question)
                case "chronyd":
                    return _chronyd(question)
                case "nft":
                    return _nft(question)
                case "systemctl":
                    return await self._systemctl(host, question.words)
                case "df":
                    return _df(host, question)
                case "curl":
                    return await _curl(host, question.words)
                case _:
                    return _failed(question.program, "the lab has no such program", status=127)
        except ShapeError as error:
            return _failed(question.program, str(error))

    async def _systemctl(self, host: Host, words: Sequence[str]) -> Answer:
        verb, *services = [word for word in words if word != "--quiet"]
        if verb not in _RELOADS or not services:
            return _failed("systemctl", f"the lab can't {' '.join(words)}")
        for service in services:
            name = service.removesuffix(".service")
            if name not in _SERVICES:
                # Source: systemctl(1) and the LSB exit codes it follows: 5, the program is not installed.
                return _failed("systemctl", f"Unit {name}.service not found.", status=5)
            release = host.release()
            path = host.root / "current" / _SERVICES[name]
            if release is None or not path.is_file():
                return _failed("systemctl", f"Job for {name}.service failed: no {path}")
            if name == "pulih-gateway":
                host.gateway = nginxconf.gateway(nginxconf.parse(_read(path)))
                await self._gateway_changed(host)
            host.running[name] = release
        return Answer()


def _nginx(host: Host, question: Question) -> Answer:
    options = _options(question.words, flags="tqT", valued="pcge")
    if "t" not in options:
        return _failed("nginx", "systemd starts it, the lab only tests its configuration (-t)")
    path = question.folder / options.get("p", ".") / options.get("c", "conf/nginx.conf")
    directives = nginxconf.parse(_read(path))
    nginxconf.gateway(directives)
    for name in shapes.files_beside(directives):
        if not (path.parent / name).is_file():
            raise ShapeError(f"cannot load {name}: no such file beside {path.name}")
    if host.sick is How.VALIDATE_FAILS:
        # As nginx 1.22 with OpenSSL 3 says it, of a unit whose key was made anew and whose certificate was not.
        key = host.root / "private" / "tls.key"
        mismatch = "(SSL: error:05800074:x509 certificate routines::key values mismatch)"
        return Answer(
            status=1,
            err=[
                f'nginx: [emerg] SSL_CTX_use_PrivateKey("{key}") failed {mismatch}',
                f"nginx: configuration file {path} test failed",
            ],
        )
    if "q" in options:
        return Answer()
    return Answer(err=[f"nginx: configuration file {path} test is successful"])


def _chronyd(question: Question) -> Answer:
    options = _options(question.words, flags="p46", valued="fu")
    if "p" not in options:
        return _failed("chronyd", "systemd starts it, the lab only prints its configuration (-p)")
    text = _read(question.folder / options.get("f", "/etc/chrony/chrony.conf"))
    shapes.chrony(text)
    return Answer(out=[line for line in text.splitlines() if line.strip() and not line.startswith("#")])


def _nft(question: Question) -> Answer:
    options = _options(question.words, flags="c", valued="f")
    if "f" not in options:
        return _failed("nft", "the lab only knows files (-f)")
    shapes.nft(_read(question.folder / options["f"]))
    return Answer()


def _df(host: Host, question: Question) -> Answer:
    paths = [word for word in question.words if not word.startswith("-")]
    if set("".join(word.lstrip("-") for word in question.words if word.startswith("-"))) != set("Pk"):
        return _failed("df", "the lab knows -P and -k together")
    lines = ["Filesystem     1024-blocks      Used Available Capacity Mounted on"]
    for path in paths or ["."]:
        try:
            disk = os.statvfs(question.folder / path)
        except OSError as error:
            return _failed("df", f"{path}: {error.strerror}")
        total, free = (blocks * disk.f_frsize // 1024 for blocks in (disk.f_blocks, disk.f_bavail))
        if host.sick is How.DISK_FULL:
            free = 0
        share = round(100 * (total - free) / total) if total else 0
        lines.append(f"lab {total} {total - free} {free} {share}% /")
    return Answer(out=lines)


async def _curl(host: Host, words: Sequence[str]) -> Answer:
    try:
        return Answer(out=await Curl.read(words).run(host))
    except CurlError as error:
        return _failed("curl", f"({error.status}) {error}", status=error.status)


def _options(words: Sequence[str], *, flags: str, valued: str) -> dict[str, str]:
    """Read one-letter options as getopt does; the lab's programs take no other arguments."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if len(word) < 2 or not word.startswith("-"):
            raise ShapeError(f"the lab knows no argument {word}")
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in valued:
                if not letters and not rest:
                    raise ShapeError(f"-{letter} needs a value")
                found[letter] = letters or rest.pop(0)
                break
            if letter not in flags:
                raise ShapeError(f"the lab knows no option -{letter}")
            found[letter] = ""
    return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ShapeError(f"{path}: {error.strerror}") from error
    if not content.strip():
        raise ShapeError(f"{path} is empty")
    if len(content) > _MAX_FILE_BYTES:
        raise ShapeError(f"{path} is over 1 MiB")
    return content.decode(errors="replace")


def _failed(program: str, text: str, *, status: int = 1) -> Answer:
    return Answer(status=status, err=[f"{program}: {text}".replace("\n", " ")])
