"""The verbs that change units: `apply` and `recover`."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli import options
from recovery.cli.context import estate_folder, now, state_folder
from recovery.cli.output import Format, emit, note
from recovery.errors import PlanError
from recovery.transport.base import DEFAULT_PARALLEL

if TYPE_CHECKING:
    from recovery.cli.conducting import Done
    from recovery.cli.loading import Declared
    from recovery.cli.settings import Settings
    from recovery.model.estate import Estate
    from recovery.model.plan import Plan


def register(app: typer.Typer) -> None:
    """Add these verbs to the command line."""
    app.command(epilog="Example: pulih apply --region aceh --service passport")(apply)
    app.command(epilog="Example: pulih recover --lost pdns-2 --to cloud-1 --report-dir report")(recover)


def apply(
    region: options.Regions = None,
    service: options.Services = None,
    unit: options.Units = None,
    break_glass: options.BreakGlass = False,
    parallel: options.Parallel = DEFAULT_PARALLEL,
    estate: options.Estate = None,
    report_dir: options.ReportDir = None,
    log: options.Log = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Bring units to the declaration and prove that they serve.

    Units already in place cost a compare; one that fails is named with its cause, and the others go on.
    """
    from recovery.cli.conducting import carry_out
    from recovery.cli.planned import Request, make_plan
    from recovery.cli.settings import Settings

    folder = estate_folder(estate)
    settings = Settings(
        estate=folder,
        state=state_folder(folder),
        parallel=parallel,
        report_dir=report_dir,
        log=log,
        break_glass=break_glass,
    )
    done = carry_out(
        settings,
        lambda sound: make_plan(
            sound,
            Request.of(sound.estate, lost=None, to=None, regions=region, services=service, units=unit),
        ),
        agree=lambda _plan, _estate: None,
    )
    return show(done, output, estate)


def recover(
    plan: Annotated[
        Path | None, typer.Argument(metavar="PLAN.json", help="A plan that was agreed, instead of --lost.")
    ] = None,
    lost: options.Lost = None,
    to: options.To = None,
    region: options.Regions = None,
    service: options.Services = None,
    unit: options.Units = None,
    lost_at: Annotated[
        str | None,
        typer.Option(
            "--lost-at",
            metavar="MOMENT",
            help="When it was lost (RFC 3339, such as 2024-06-20T00:54:00+07:00); "
            "the time to recover counts from there, else from the start.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; needed where there is no terminal.")] = False,
    break_glass: options.BreakGlass = False,
    parallel: options.Parallel = DEFAULT_PARALLEL,
    estate: options.Estate = None,
    report_dir: options.ReportDir = None,
    log: options.Log = None,
    output: options.Output = Format.TABLE,
) -> int:
    """Rebuild every unit that a lost data centre served.

    First the endpoints of the data centre that takes over are rebuilt and proven, then the placement is written,
    then the units are brought to it in waves. The same command again finishes what was broken off.
    """
    from recovery.cli.conducting import carry_out
    from recovery.cli.planned import Request, from_file, make_plan
    from recovery.cli.settings import Settings

    given = {"--lost": lost, "--to": to, "--region": region, "--service": service, "--unit": unit}
    if plan is not None and any(given.values()):
        named = next(name for name, value in given.items() if value)
        raise PlanError(f"{plan} says already what is recovered; leave out {named}, or the plan")
    if plan is None and lost is None:
        raise PlanError("say which data centre is lost, with --lost, or give a plan made by `pulih plan --out`")
    counted_from = None if lost_at is None else moment(lost_at, now())
    words = [str(plan)] if plan is not None else []
    for name, value in given.items():
        for word in value if isinstance(value, list) else filter(None, [value]):
            words += [name, word]

    def planner(sound: Declared) -> tuple[Plan, Estate]:
        if plan is not None:
            return from_file(sound, plan)
        return make_plan(
            sound,
            Request.of(sound.estate, lost=lost, to=to, regions=region, services=service, units=unit),
        )

    def agree(made: Plan, moved: Estate) -> None:
        if not yes:
            _ask(made, moved, settings, line_to_type(words, estate, lost_at), counted_from)

    folder = estate_folder(estate)
    settings = Settings(
        estate=folder,
        state=state_folder(folder),
        parallel=parallel,
        report_dir=report_dir,
        log=log,
        may_ask=not yes,
        break_glass=break_glass,
    )
    done = carry_out(settings, planner, agree=agree, lost_at=counted_from)
    return show(done, output, estate)


def _ask(plan: Plan, estate: Estate, settings: Settings, line: str, lost_at: datetime | None) -> None:
    from recovery.cli import forecasting
    from recovery.cli.asking import confirm
    from recovery.cli.context import can_ask

    if can_ask():
        known = forecasting.history(estate, settings.state)
        lost_s = 0.0 if lost_at is None else (now() - lost_at).total_seconds()
        made = forecasting.made_before(plan, estate, known, settings.parallel, lost_s)
        for text in forecasting.plan_lines(plan, estate, made):
            note(text)
        note("")
    confirm("Go ahead?", line_to_type=line)


def line_to_type(words: list[str], estate: Path | None, lost_at: str | None) -> str:
    """Return the command that needs no answer."""
    parts = ["pulih", "recover", *words]
    if estate is not None:
        parts += ["--estate", str(estate)]
    if lost_at is not None:
        parts += ["--lost-at", lost_at]
    return shlex.join([*parts, "--yes"])


def moment(text: str, current: datetime) -> datetime:
    """Read a moment in the past.

    Raises:
        PlanError: It is not one, has no offset from UTC, or lies in the future.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise PlanError(f"--lost-at {text}: expected a moment such as 2024-06-20T00:54:00+07:00") from None
    if found.tzinfo is None:
        raise PlanError(f"--lost-at {text}: say the offset from UTC too, such as {text}+07:00 or {text}Z")
    if found > current:
        raise PlanError(f"--lost-at {text}: it lies in the future")
    return found.astimezone(UTC)


def show(done: Done, output: Format, estate: Path | None) -> int:
    """Write how a run ended and what to type next, and return its exit code."""
    from recovery.cli.summary import lines, show_lines, told_lines
    from recovery.report import to_json

    citizens = told_lines(done.told)
    if output is Format.TABLE:
        show_lines([*lines(done.result), *citizens, (f"Report: {done.folder / 'report.html'}", "")])
    else:
        emit(to_json(done.result), output, lambda: ())
        for line, _ in citizens:
            note(line)
    result = done.result
    if result.exit_code in (0, 4):
        return result.exit_code
    line = ["pulih", "resume", result.run]
    if estate is not None:
        line += ["--estate", str(estate)]
    note(f"To go on, and to try the failed ones again: {shlex.join(line)}")
    if done.held is not None:
        note(f"To go on past what failed in that wave: {shlex.join([*line, '--past', done.held])}")
    return result.exit_code
