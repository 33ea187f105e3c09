"""Faults of one unit, while a visit is at work on it: killed at each step, rebooted, full, read-only, out of time."""

from __future__ import annotations

from collections.abc import Callable

from tests.chaos.ground import BASTION, BEHIND, DIRECT
from tests.chaos.machines import Machine, wait_until
from tests.chaos.trial import Kind, Trial, ended

STEPS = {
    "lock": "flock",
    "stage": "tar",
    "check": "sha256sum",
    "validate": "nginx",
    "swap": "mv",  # with -T: the one before it only gives the release its name
    "reload": "systemctl",
    "probe": "curl",
    "receipt": "date",
}
"""By step, the first program that the applier starts in it."""

WAITS = 'while [ -e "$0" ]; do sleep 0.1; done\nexec "${0##*/}" "$@"'
"""Hangs until it is mended, and does its work then."""


def partial(trial: Trial) -> None:
    """Carry the command out; some units can't be brought to the declaration, and are named."""
    done = trial.command()
    assert done.returncode == 3, done


def killed_at(step: str) -> Kind:
    """Return the kind that kills the applier in a step: on one unit before its program's work, on another behind it."""
    name = STEPS[step]
    other = f'[ "$1" = -T ] || exec {name} "$@"\n' if step == "swap" else ""

    def strike(trial: Trial) -> None:
        trial.machines[DIRECT].instead(name, f"{other}kill -9 $APPLIER\nexit 1")
        trial.machines[BEHIND].instead(name, f'{other}{name} "$@"\nkill -9 $APPLIER')
        partial(trial)
        met(trial, DIRECT, BEHIND)

    return Kind(name=f"unit: kill -9 of the applier at `{step}`", strike=strike)


def met(trial: Trial, *names: str) -> None:
    """Make sure that these units have met their fault."""
    for name, machine in trial.machines.items():
        assert machine.has_met() == (name in names), name


def both(do: Callable[[Machine], None]) -> Callable[[Trial], None]:
    """Return a strike that prepares two units, one behind the bastion, before the command."""

    def strike(trial: Trial) -> None:
        for name in (DIRECT, BEHIND):
            do(trial.machines[name])
        partial(trial)

    return strike


def sshd_killed(trial: Trial) -> None:
    """Kill the sshd of a session behind the bundle: the applier goes on alone."""
    for name in (DIRECT, BEHIND):
        trial.machines[name].instead("nginx", 'kill -9 $SSHD\nexec nginx "$@"')
    partial(trial)
    met(trial, DIRECT, BEHIND)


def at_work(trial: Trial, program: str, do: Callable[[Machine], None]) -> None:
    """Do something to two units, each at the moment at which it has started a program, whoever comes first."""
    waiting = [trial.machines[name] for name in (DIRECT, BEHIND)]
    for machine in waiting:
        machine.instead(program, WAITS)
    process = trial.begin()
    while waiting:
        wait_until(lambda: any(machine.has_met() for machine in waiting), f"{program} on {waiting[0].name}")
        at_it = next(machine for machine in waiting if machine.has_met())
        do(at_it)
        waiting.remove(at_it)
    done = ended(process)
    assert done.returncode == 3, done


def rebooted_at(program: str, step: str) -> Kind:
    """Return the kind that reboots a unit in a step."""

    def strike(trial: Trial) -> None:
        def reboot(machine: Machine) -> None:
            trial.ground.servers.kill_sessions(machine.name)
            machine.reboot()

        at_work(trial, program, reboot)

    return Kind(name=f"unit: rebooted at `{step}`", strike=strike)


def bastion_killed(trial: Trial) -> None:
    """Kill the bastion's sshd while a unit behind it is at work, which goes on alone."""
    machine = trial.machines[BEHIND]
    machine.instead("nginx", WAITS)
    process = trial.begin()
    wait_until(machine.has_met, f"nginx on {machine.name}")
    assert trial.ground.servers.kill_sessions(BASTION) > 0
    done = ended(process)
    assert done.returncode == 3, done


def clock(trial: Trial) -> None:
    """Let one unit live in 1970 and another in 2038."""
    trial.machines[DIRECT].instead("date", "exec date -u -d @0 +%Y-%m-%dT%H:%M:%SZ")
    trial.machines[BEHIND].instead("date", "exec date -u -d @2147483648 +%Y-%m-%dT%H:%M:%SZ")
    done = trial.command()
    assert done.returncode == 0, done
    met(trial, DIRECT, BEHIND)
    assert b"1970-01-01" in trial.machines[DIRECT].receipt()
    assert b"2038-01-19" in trial.machines[BEHIND].receipt()


def full(machine: Machine) -> None:
    machine.tidy()
    machine.disk.leave(0)


def without_inodes(machine: Machine) -> None:
    machine.tidy()
    machine.disk.leave_inodes(2)


def fills_up(machine: Machine) -> None:
    """Fill the disk when the new release has been swapped in: there is no room for the receipt."""
    machine.instead("systemctl", f'head -c 9999999 /dev/zero >{machine.disk.inside}/filler\nexec systemctl "$@"')


def read_only(trial: Trial) -> None:
    machines = [trial.machines[name] for name in (DIRECT, BEHIND)]
    for machine in machines:
        machine.disk.remount("ro")
    partial(trial)
    for machine in machines:
        machine.disk.remount("rw")


def turned_read_only(trial: Trial) -> None:
    """As ext4 does with `errors=remount-ro`, behind the swap."""
    machines = [trial.machines[name] for name in (DIRECT, BEHIND)]
    for machine in machines:
        machine.instead(
            "systemctl", f'[ -e "$HOST/ro" ] || {{ : >"$HOST/ro"; {machine.disk.covering()}; }}\nexec systemctl "$@"'
        )
    partial(trial)
    for machine in machines:
        (machine.folder / "ro").unlink()
        machine.disk.uncover()


KINDS = (
    *(killed_at(step) for step in STEPS),
    Kind(name="unit: kill -9 of its sshd at `validate`", strike=sshd_killed),
    Kind(name="bastion: kill -9 of its sshd", strike=bastion_killed),
    rebooted_at("nginx", "validate"),
    rebooted_at("systemctl", "reload"),
    rebooted_at("date", "receipt"),
    Kind(name="unit: its clock in 1970, or 2038", strike=clock),
    Kind(name="unit: disk full", strike=both(full)),
    Kind(name="unit: disk fills up behind the swap", strike=both(fills_up)),
    Kind(name="unit: out of inodes", strike=both(without_inodes)),
    Kind(name="unit: disk read-only", strike=read_only),
    Kind(name="unit: disk turns read-only behind the swap", strike=turned_read_only),
)
