"""Units that answer anything but the protocol, over real sshd: a bad answer of theirs alone, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from recovery.model.estate import Estate, Timeouts
from recovery.model.outcome import Cause, Outcome, State
from recovery.transport.ssh import SshTransport
from tests.conducted import Scripted, conducted, reached
from tests.many import an_estate_of
from tests.ssh.faulty import program
from tests.ssh.sshd import Host, SshServers
from tests.tools import need

STEP_S = 2
HONEST = 12
MEMORY_KIB = 60_000
"""What a run with all these units may take besides, KiB: one that keeps what it is sent takes gigabytes."""
DIGEST = "sha256:" + "0" * 64
ANSWER = "answer pulih-probe/1 data-centre=pdns-2 service={service} nonce=n"
STEPS = "stage check validate swap reload probe receipt"
WENT_THROUGH = f"for step in {STEPS}; do echo at $step; done"
HEADER = "read -r version mode unit root digest epoch holder run size"
TAKE = "head -c $size >/dev/null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """A unit that misbehaves.

    Attributes:
        script: What it runs instead of the applier.
        cause: What becomes of a visit to it.
        said: Words of the reason.
    """

    script: str
    cause: Cause = Cause.BAD_ANSWER
    said: str = ""


SICK = {
    "binary": Garbage(script="exec cat /dev/urandom", said=""),
    "endless line": Garbage(script="exec tr '\\0' x </dev/zero", said="more than 4096 bytes"),
    "endless lines": Garbage(script="while :; do echo at stage; done", said="more than 2000 lines"),
    "endless complaint": Garbage(script="exec cat /dev/zero >&2", cause=Cause.TIMEOUT, said="nothing happened"),
    "tabs": Garbage(script="printf 'a\\tb\\n'", said="a\\tb"),
    "escapes": Garbage(script="printf '\\033[2J\\033]0;owned\\007\\n'", said="\\x1b[2J\\x1b]0;owned\\x07"),
    "another language": Garbage(script="printf 'HTTP/1.1 400 Bad Request\\r\\n\\r\\n'", said="HTTP/1.1 400"),
    "nothing": Garbage(script="exit 0", said="without saying how"),
    "half a line": Garbage(script=f"{HEADER}; printf 'done %s' $digest", said="without saying how"),
    "another digest": Garbage(script=f"{HEADER}; echo send; {TAKE}; {WENT_THROUGH}; echo done {DIGEST}", said=DIGEST),
    "done at once": Garbage(script=f"{HEADER}; echo done $digest", said="not of protocol v1"),
    "done without doing": Garbage(
        script=f"{HEADER}; echo send; {TAKE}; echo {ANSWER}; echo done $digest", said="stage, check, validate"
    ),
    "no answer": Garbage(script=f"{HEADER}; echo send; {TAKE}; {WENT_THROUGH}; echo done $digest", said="answered"),
    "unproven same": Garbage(script=f"{HEADER}; echo same; echo {ANSWER}; echo done $digest", said="probe is missing"),
    "unknown step": Garbage(script=f"{HEADER}; echo send; echo at $(printf %0999d 7)", said="not of protocol v1"),
    "unknown cause": Garbage(script="echo failed stage 'sp\\033ace' maybe", cause=Cause.INTERNAL, said="not known"),
    "long refusal": Garbage(script="echo refused internal $(printf %03999d 7)", cause=Cause.INTERNAL, said="0000"),
    "served by another": Garbage(
        script=f"{HEADER}; echo same; echo at probe; echo answer elsewhere; echo done $digest",
        cause=Cause.PROBE_FAILED,
        said="elsewhere",
    ),
}


class World:
    """Honest units, and one of each kind that is not."""

    def __init__(self, folder: Path) -> None:
        self.units = folder / "units"
        timeouts = Timeouts(connect_s=10, step_s=STEP_S, unit_s=20, retries=0)
        plain = an_estate_of(HONEST + len(SICK), timeouts=timeouts)
        names = [unit.name for _, _, unit in plain.places()]
        services = {unit.name: unit.service for _, _, unit in plain.places()}
        self.sick = dict(zip(names[HONEST:], SICK, strict=True))
        hosts = [Host(name=name) for name in names[:HONEST]]
        for number, (name, kind) in enumerate(self.sick.items()):
            script = SICK[kind].script.replace("{service}", services[name])
            forced = program(folder / "forced", f"garbage-{number}", script)
            hosts.append(Host(name=name, options=(f"ForceCommand {forced}",)))
        self.servers = SshServers(folder / "servers", hosts, log_level="INFO")
        self.estate: Estate = reached(plain, self.servers.login, lambda name: str(self.units / name))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need("sshd")
    world = World(tmp_path_factory.mktemp("garbage"))
    with world.servers:
        yield world


class Memory:
    """How much more memory this process took at most, KiB."""

    def __enter__(self) -> Memory:
        Path("/proc/self/clear_refs").write_text("5")  # Source: proc(5): resets the peak, VmHWM
        self._before_kib = self._peak_kib()
        return self

    def __exit__(self, *_: object) -> None:
        self.taken_kib = self._peak_kib() - self._before_kib

    def _peak_kib(self) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


@pytest.fixture(scope="module")
def run(world: World) -> tuple[dict[str, Outcome], float, int]:
    """Apply once to all; return outcomes by unit or kind of garbage, seconds and the memory it took, KiB."""
    transport = SshTransport(parallel=32, ssh_key=world.servers.key_file)
    began = time.monotonic()
    with Memory() as memory:
        result = conducted(world.estate, transport, Scripted(world.estate, "v1"), epoch=1)
    seconds = time.monotonic() - began
    outcomes = {str(world.sick.get(outcome.name, outcome.name)): outcome for outcome in result.units}
    return outcomes, seconds, memory.taken_kib


@pytest.mark.parametrize("kind", list(SICK))
def test_what_a_unit_answers_outside_the_protocol_is_named(
    run: tuple[dict[str, Outcome], float, int], kind: str
) -> None:
    outcome = run[0][kind]
    assert (outcome.state, outcome.cause) == (State.QUARANTINED, SICK[kind].cause), outcome.reason
    assert SICK[kind].said in outcome.reason
    assert outcome.reason.isprintable()
    assert len(outcome.reason) < 1200


def test_the_others_are_verified_in_little_time_and_memory(run: tuple[dict[str, Outcome], float, int]) -> None:
    outcomes, seconds, memory_kib = run
    honest = [outcome for kind, outcome in outcomes.items() if kind not in SICK]
    assert [outcome.state for outcome in honest] == [State.VERIFIED] * HONEST
    assert seconds < 20
    assert memory_kib < MEMORY_KIB
