"""The stand-ins: what a session finds in place of `nginx nft chronyd systemctl curl df sudo`, and of `sync`.

They are one script under seven names, and one that does nothing: the units of a practice estate share one disk, whose
power is not cut. It writes one line about what was asked to file descriptor 8 and reads the answer
from 7, a socket to the lab process that the session's shell was born with; everything it does is a builtin, so a
stand-in costs one fork of sh and no Python. dash knows file descriptors 0 to 9 only, and 9 is the applier's lock.
Every line of an answer begins with the asker's process number, so that what was meant for a stand-in that a time limit
has ended is not taken by the next. Two that run side by side in one session would still steal each other's lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NAMES = ("nginx", "nft", "chronyd", "systemctl", "curl", "df", "sudo")
SEPARATOR = "\x1f"
"""Between the words of a question: the ASCII unit separator, which no command line of ours holds."""

SCRIPT = f"""\
#!/bin/sh
# Stands in for the program it is named after: asks the lab, prints what it says, ends as it says.
name=${{0##*/}}
if [ "$name" = sudo ]; then
    while :; do
        case ${{1-}} in
        -n) shift ;;
        --) shift; break ;;
        -*) printf 'sudo: the lab knows no option %s\\n' "$1" >&2; exit 1 ;;
        *) break ;;
        esac
    done
    [ $# -gt 0 ] || {{ printf 'sudo: no command\\n' >&2; exit 1; }}
    case $1 in nginx | nft | chronyd | systemctl | curl | df) name=$1; shift ;; *) exec "$@" ;; esac
fi
IFS='{SEPARATOR}'
words=$*
case $words in *'
'*) printf '%s: a line break in an argument\\n' "$name" >&2; exit 2 ;; esac
printf '%s\\n' "$${SEPARATOR}$name{SEPARATOR}$PWD{SEPARATOR}$words" >&8 || exit 70
while IFS= read -r line <&7; do
    case $line in
    "$$ o "*) printf '%s\\n' "${{line#* o }}" ;;
    "$$ e "*) printf '%s\\n' "${{line#* e }}" >&2 ;;
    "$$ x "*) exit "${{line#* x }}" ;;
    esac
done
exit 70
"""
"""Ends with 70 (EX_SOFTWARE, sysexits.h) when the lab is gone."""

_IDLE = "#!/bin/sh\n# Stands in for sync: a lab of hundreds of units would wait for one disk.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a stand-in was asked to do.

    Attributes:
        asker: The stand-in's process number.
        program: The program's name.
        folder: The folder it was started in.
        words: Its arguments.
    """

    asker: str
    program: str
    folder: Path
    words: tuple[str, ...]

    @staticmethod
    def read(line: bytes) -> Question | None:
        """Return the question that a stand-in wrote, without its line break; None for anything else."""
        fields = line.decode(errors="replace").split(SEPARATOR)
        if len(fields) < 4 or not fields[0].isdigit() or fields[1] not in NAMES:
            return None
        asker, program, folder, *words = fields
        if words == [""]:
            words = []
        return Question(asker=asker, program=program, folder=Path(folder), words=tuple(words))

    def answered(self, answer: Answer) -> bytes:
        """Return an answer as the script reads it."""
        lines = [f"o {line}" for line in answer.out]
        lines += [f"e {line}" for line in answer.err]
        lines += [f"x {answer.status}"]
        return "".join(f"{self.asker} {line}\n" for line in lines).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a stand-in does.

    Attributes:
        status: Its exit status.
        out: Lines for stdout.
        err: Lines for stderr.
    """

    status: int = 0
    out: Sequence[str] = ()
    err: Sequence[str] = ()


def write(folder: Path) -> None:
    """Put the stand-ins into a folder."""
    folder.mkdir()
    for name in (*NAMES, "sync"):
        path = folder / name
        path.write_text(SCRIPT if name in NAMES else _IDLE, encoding="ascii")
        path.chmod(0o755)
