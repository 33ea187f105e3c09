"""The verbs of runs that have begun: `resume`, `cancel`, `runs`, `runs show`, `runs diff`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli import completing, options
from recovery.cli.context import estate_folder, now, state_folder, where
from recovery.cli.output import Format, columns, emit, note, say
from recovery.errors import BrokenRecordError, PlanError
from recovery.transport.base import DEFAULT_PARALLEL

if TYPE_CHECKING:
    from recovery.cli.loading import Declared
    from recovery.model.estate import Estate
    from recovery.model.outcome import Outcome, RunResult
    from recovery.model.plan import Plan
    from recovery.runs import RunInfo, Runs

CANCELLED = 130
DIFFERENT = 2
TRUST = 6

Run = Annotated[
    str | None,
    typer.Argument(metavar="RUN", autocompletion=completing.runs, help="Name of the run; the newest by default."),
]

runs_app = typer.Typer(name="runs", help="The history of runs, the newest first.", invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
    app.command(epilog="Example: pulih resume")(resume)
    app.command(epilog="Example: pulih cancel 20240620T005400Z-recover-3f9a1c")(cancel)
    app.add_typer(runs_app)


def resume(
    run: Run = None,
    past: Annotated[
        list[str] | None,
        typer.Option("--past", metavar="WAVE", help="Go on past this wave whatever failed in it; may be repeated."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask when a wave is held.")] = False,
    break_glass: options.BreakGlass = False,
    parallel: options.Parallel = DEFAULT_PARALLEL,
    estate: options.Estate = None,
    report_dir: options.ReportDir = None,
    log: options.Log = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Go on with a run that was killed, cancelled or held, and try its quarantined units again.

    Every unit is read, so nothing is sent to one that is as declared. A holder that has been silent for 30 s is taken
    over.
    """
    from recovery.cli.conducting import carry_out
    from recovery.cli.planned import again
    from recovery.cli.running import show
    from recovery.cli.settings import Settings
    from recovery.report import to_json

    folder = estate_folder(estate)
    runs = _runs(folder)
    name = runs.find(run)
    told = runs.story(name)
    if told is not None and told.finished and told.result.exit_code == 0:
        note(f"{name} has ended with every unit verified: nothing is left to do")
        _name_unfinished(runs, name)
        if output is not Format.TABLE:
            emit(to_json(told.result), output, lambda: ())
        return 0

    def planner(sound: Declared) -> tuple[Plan, Estate]:
        plan, moved = again(sound, runs.plan(name))
        waves = [wave.name for wave in plan.waves]
        unknown = sorted(set(past or ()) - set(waves))
        if unknown:
            raise PlanError(f"--past {unknown[0]}: the run has no such wave; there are {', '.join(waves)}")
        return plan, moved

    settings = Settings(
        estate=folder,
        state=state_folder(folder),
        parallel=parallel,
        report_dir=report_dir,
        log=log,
        may_ask=not yes,
        break_glass=break_glass,
        past=frozenset(past or ()),
    )
    done = carry_out(
        settings,
        planner,
        agree=lambda _plan, _estate: None,
        resumed=name,
    )
    return show(done, output, estate)


def cancel(
    run: Annotated[str, typer.Argument(metavar="RUN", autocompletion=completing.runs, help="Name of the run.")],
    estate: options.Estate = None,
) -> int:
    """Stop a run safely: units in flight finish or swap back, no further one begins.

    A placement that was written stays, so that every command goes on pulling the same way.
    """
    runs = _runs(estate_folder(estate))
    name = runs.find(run)
    told = runs.story(name)
    if told is not None and told.finished:
        raise PlanError(f"{name} has ended already: exit code {told.result.exit_code}; `pulih runs` lists the others")
    if runs.is_alive(name):
        runs.request_cancel(name)
        note(f"{name} was asked to stop; its units in flight finish")
        while runs.is_alive(name):
            time.sleep(0.1)
    else:
        journal = runs.conduct(name)
        journal.append("run-finished", now(), {"exit_code": CANCELLED, "seconds": 0}, durable=True)
        journal.close()
    told = runs.story(name)
    if told is None:
        say(f"{name} is cancelled; it had not begun")
        return 0
    units = (*told.result.units, *told.result.endpoints)
    left = sum(not unit.is_verified for unit in units)
    say(f"{name} is cancelled: {len(units) - left} of {len(units)} verified, {left} left as they were.")
    if told.result.to is not None:
        say(
            f"The placement is as the run has written it, at {told.result.to} from the moment its endpoints were "
            f"proven. `pulih resume {name}` goes on there; `pulih recover --lost {told.result.to} --to "
            f"{told.result.lost}` would go back."
        )
    return 0


@runs_app.callback()
def listed(
    context: typer.Context,
    estate: options.Estate = None,
    output: options.Output = Format.TABLE,
) -> int | None:
    """List the runs of an estate, the newest first."""
    if context.invoked_subcommand is not None:
        return None
    runs = _runs(estate_folder(estate))
    infos: list[RunInfo] = []
    broken: list[BrokenRecordError] = []
    for name in runs.names():
        try:
            info = runs.info(name)
        except BrokenRecordError as error:
            broken.append(error)
        else:
            infos += [info] if info is not None else []
    document: dict[str, object] = {"schema": "pulih/runs/v1", "runs": [_line(info) for info in infos]}
    emit(document, output, lambda: _table(infos))
    for error in broken:
        note(f"not trusted: {error}")
    return TRUST if broken else 0


@runs_app.command(epilog="Example: pulih runs show")
def show(run: Run = None, estate: options.Estate = None, output: options.Output = Format.TABLE) -> int:
    """Show how a run stands or ended."""
    from recovery.cli.summary import lines, show_lines
    from recovery.report import to_json

    runs = _runs(estate_folder(estate))
    name = runs.find(run)
    told, info = runs.story(name), runs.info(name)
    if told is None or info is None:
        raise PlanError(f"{name} was killed before it did anything; `pulih resume {name}` begins it")
    if output is Format.TABLE:
        show_lines([(f"{name}: {info.state}", ""), *lines(told.result)])
    else:
        emit({**to_json(told.result), "state": info.state.value}, output, lambda: ())
    return 0


@runs_app.command(epilog="Example: pulih runs diff RUN-A RUN-B")
def diff(
    first: Annotated[str, typer.Argument(metavar="RUN", autocompletion=completing.runs, help="The earlier run.")],
    second: Annotated[
        str | None,
        typer.Argument(metavar="RUN", autocompletion=completing.runs, help="The later run; the newest by default."),
    ] = None,
    estate: options.Estate = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Compare how units ended in two runs; exit code 2 when any differs."""
    runs = _runs(estate_folder(estate))
    before, after = (_ended(runs, runs.find(name)) for name in (first, second))
    changed = list(_changes(before, after))
    document: dict[str, object] = {
        "schema": "pulih/runs-diff/v1",
        "runs": [before.run, after.run],
        "units": [{"name": name, "before": _essence(old), "after": _essence(new)} for name, old, new in changed],
    }
    rows = [("Unit", "Before", "After"), *((name, _in_words(old), _in_words(new)) for name, old, new in changed)]
    emit(document, output, lambda: columns(rows) if changed else ["no unit ended otherwise"])
    if changed:
        many = len({one.name for run in (before, after) for one in (*run.endpoints, *run.units)})
        note(f"{len(changed):,} of {many:,} ended otherwise in {after.run} than in {before.run}")
    return DIFFERENT if changed else 0


def _name_unfinished(runs: Runs, newest: str) -> None:
    """Say which earlier run was broken off, since it is not the newest that may be meant."""
    from recovery.runs import RunState

    for name in runs.names():
        info = runs.info(name) if name != newest else None
        if info is not None and info.state in (RunState.INTERRUPTED, RunState.HELD, RunState.CANCELLED):
            note(f"an earlier run, {name}, is {info.state.value}: pulih resume {name}")
            return


def _runs(folder: Path) -> Runs:
    from recovery.processes import LinuxProcesses
    from recovery.runs import Runs

    return Runs(state_folder(folder), LinuxProcesses(where()))


def _ended(runs: Runs, name: str) -> RunResult:
    told = runs.story(name)
    if told is None:
        raise PlanError(f"{name} was killed before it did anything")
    return told.result


def _line(info: RunInfo) -> dict[str, object]:
    return {**asdict(info), "state": info.state.value, "started_at": f"{info.started_at:%Y-%m-%dT%H:%M:%S.%fZ}"}


def _table(infos: list[RunInfo]) -> Iterator[str]:
    rows = [("Run", "State", "Started", "Exit")]
    rows += [
        (
            info.run,
            info.state.value,
            f"{info.started_at:%Y-%m-%d %H:%M:%S} UTC",
            "" if info.exit_code is None else str(info.exit_code),
        )
        for info in infos
    ]
    return columns(rows) if infos else iter(["no run yet"])


def _changes(before: RunResult, after: RunResult) -> Iterator[tuple[str, Outcome | None, Outcome | None]]:
    earlier, later = ({unit.name: unit for unit in (*run.endpoints, *run.units)} for run in (before, after))
    for name in dict.fromkeys((*earlier, *later)):
        old, new = earlier.get(name), later.get(name)
        if _essence(old) != _essence(new):
            yield name, old, new


def _essence(outcome: Outcome | None) -> dict[str, object] | None:
    if outcome is None:
        return None
    return {
        "state": outcome.state.value,
        "cause": None if outcome.cause is None else outcome.cause.value,
        "digest": outcome.digest,
    }


def _in_words(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not in it"
    parts = (outcome.state, outcome.cause or "", (outcome.digest or "").removeprefix("sha256:")[:12])
    return " ".join(filter(None, parts))
