"""What every `recovery.transport.base.Transport` must do. See `world.py` on how to run it in another world.

Collected where a test module imports these functions beside a fixture `world`.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import threading
from dataclasses import replace

import pytest

from recovery.errors import (
    BadAnswerError,
    CommandTimeoutError,
    HostKeyError,
    LoginError,
    UnreachableError,
)
from recovery.transport.base import MAX_LINE_BYTES, Conversation, Session, T, Target, Transport
from recovery.transport.hostkeys import pinned
from tests.contract import commands
from tests.contract.world import HOSTS, World
from tests.keys import new_key

LONG_S = 20.0
"""Longer than anything here takes, even on a busy machine."""


class OwnError(Exception):
    pass


def target(world: World, name: str = HOSTS[0], *, connect_s: float = LONG_S, step_s: float = LONG_S) -> Target:
    found = world.target(name)
    return replace(found, timeouts=replace(found.timeouts, connect_s=connect_s, step_s=step_s))


def hold(
    world: World, command: str, conversation: Conversation[T], *, host: Target | None = None, within_s: float = LONG_S
) -> T:
    """Hold one conversation over a transport of its own."""

    async def main() -> T:
        transport = world.transport()
        try:
            return await transport.run(host or target(world), command, conversation, within_s=within_s)
        finally:
            await transport.close()

    return world.run(main())


async def all_lines(session: Session) -> list[str]:
    lines: list[str] = []
    while (line := await session.read_line()) is not None:
        lines.append(line)
    return lines


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_mebibyte_of_any_bytes_comes_back_as_it_was_sent(world: World) -> None:
    sent = random.Random(1).randbytes(1024 * 1024)

    async def conversation(session: Session) -> bytes:
        await session.send(sent)
        return await session.read_exactly(len(sent))

    received = hold(world, commands.ECHO, conversation)
    assert hashlib.sha256(received).digest() == hashlib.sha256(sent).digest()


def test_question_and_answer_take_turns_on_one_connection(world: World) -> None:
    async def conversation(session: Session) -> list[str | None]:
        answers: list[str | None] = []
        for question in ("one", "two", "three"):
            await session.send(f"{question}\n".encode())
            answers.append(await session.read_line())
        return answers

    assert hold(world, commands.ECHO, conversation) == ["one", "two", "three"]


def test_lines_and_counted_bytes_can_follow_each_other(world: World) -> None:
    async def conversation(session: Session) -> tuple[str | None, bytes, str | None]:
        await session.send(b"head\n\x00\xff\n\x01tail\n")
        return await session.read_line(), await session.read_exactly(4), await session.read_line()

    assert hold(world, commands.ECHO, conversation) == ("head", b"\x00\xff\n\x01", "tail")


def test_lines_come_one_by_one_and_then_none_for_ever(world: World) -> None:
    async def conversation(session: Session) -> tuple[list[str], str | None]:
        return await all_lines(session), await session.read_line()

    assert hold(world, commands.LINES, conversation) == (["one", "two", "", "four"], None)


def test_a_torn_last_line_is_no_answer(world: World) -> None:
    assert hold(world, commands.TORN, all_lines) == ["whole"]


def test_a_line_of_the_greatest_length_is_read(world: World) -> None:
    assert hold(world, commands.LONGEST_LINE, all_lines) == ["7".zfill(MAX_LINE_BYTES)]


@pytest.mark.parametrize("command", [commands.TOO_LONG_LINE, commands.ENDLESS_LINE], ids=["too long", "endless"])
def test_a_line_that_is_longer_is_a_bad_answer(world: World, command: str) -> None:
    with pytest.raises(BadAnswerError, match=f"^{HOSTS[0]}: .*more than {MAX_LINE_BYTES} bytes"):
        hold(world, command, all_lines)


def test_fewer_bytes_than_wanted_are_an_error(world: World) -> None:
    async def conversation(session: Session) -> bytes:
        return await session.read_exactly(100)

    with pytest.raises(UnreachableError, match=f"^{HOSTS[0]}: .*of 100 bytes"):
        hold(world, commands.LINES, conversation)


def test_terminal_escapes_come_back_as_text(world: World) -> None:
    assert hold(world, commands.ESCAPES, all_lines) == ["red \\x1b[31m\tand \\xc3\\xa9 \\x07\\x0d"]


def test_what_a_command_complains_of_is_kept_and_made_printable(world: World) -> None:
    async def conversation(session: Session) -> str:
        await all_lines(session)
        return await session.error_text()

    assert hold(world, commands.COMPLAINT, conversation) == "bad \\x1b]0;title\\x07\nworse\n"


def test_three_mebibytes_of_complaint_hold_nothing_up_and_only_the_end_is_kept(world: World) -> None:
    async def conversation(session: Session) -> tuple[list[str], str]:
        return await all_lines(session), await session.error_text()

    lines, errors = hold(world, commands.MUCH_COMPLAINT, conversation)
    assert lines == ["over"]
    assert len(errors) == 2000
    assert errors.endswith("2999\n")


def test_a_command_that_has_ended_takes_what_is_sent_and_its_answer_can_still_be_read(world: World) -> None:
    async def conversation(session: Session) -> tuple[list[str], str | None]:
        lines = await all_lines(session)
        await session.send(bytes(3 * 1024 * 1024))
        return lines, await session.read_line()

    assert hold(world, commands.LEAVES, conversation) == (["leaving"], None)


def test_a_unit_that_never_answers_times_out_within_a_step(world: World) -> None:
    async def main() -> float:
        transport, began_s = world.transport(), asyncio.get_running_loop().time()
        with pytest.raises(CommandTimeoutError, match=f"^{HOSTS[0]}: nothing happened for 1 s"):
            await transport.run(target(world, step_s=1), commands.SILENT, all_lines, within_s=LONG_S)
        elapsed_s = asyncio.get_running_loop().time() - began_s
        await transport.close()
        return elapsed_s

    assert 1 <= world.run(main()) < 10


def test_a_session_is_over_after_a_timeout_even_if_the_conversation_goes_on(world: World) -> None:
    """A late answer must not be taken for that to the next question."""

    async def conversation(session: Session) -> None:
        with pytest.raises(CommandTimeoutError):
            await session.read_line()
        with pytest.raises(UnreachableError):
            await session.send(b"again\n")
        await session.read_line()

    with pytest.raises(UnreachableError, match=f"^{HOSTS[0]}: "):
        hold(world, commands.ECHO, conversation, host=target(world, step_s=0.5))


def test_a_slow_answer_may_take_longer_than_a_step_as_long_as_it_goes_on(world: World) -> None:
    lines = hold(world, commands.TRICKLE, all_lines, host=target(world, step_s=2))
    assert lines == ["1", "2", "3", "4"]


def test_counted_bytes_may_take_longer_than_a_step_as_long_as_they_go_on(world: World) -> None:
    async def conversation(session: Session) -> bytes:
        return await session.read_exactly(8)

    assert hold(world, commands.TRICKLE, conversation, host=target(world, step_s=1.3)) == b"1\n2\n3\n4\n"


def test_all_of_it_is_over_in_time_however_much_the_unit_talks(world: World) -> None:
    async def main() -> float:
        transport, began_s = world.transport(), asyncio.get_running_loop().time()
        with pytest.raises(CommandTimeoutError, match=f"^{HOSTS[0]}: not done within 1.5 s"):
            await transport.run(target(world), commands.ENDLESS_LINES, all_lines, within_s=1.5)
        elapsed_s = asyncio.get_running_loop().time() - began_s
        await transport.close()
        return elapsed_s

    assert 1.5 <= world.run(main()) < 10


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_another_host_key_is_refused_before_anybody_tries_to_log_in(world: World, kind: str) -> None:
    host, other = target(world, HOSTS[1]), new_key(kind).public
    wrong = replace(host, login=replace(host.login, host_key=other))
    before = world.login_attempts(HOSTS[1])
    with pytest.raises(HostKeyError, match=f"^{HOSTS[1]}: ") as caught:
        hold(world, commands.ECHO, all_lines, host=wrong)
    assert world.login_attempts(HOSTS[1]) == before
    assert pinned(other).fingerprint in str(caught.value)
    if kind == "ed25519":
        assert pinned(host.login.host_key).fingerprint in str(caught.value)
    hold(world, commands.LINES, all_lines, host=host)
    assert world.login_attempts(HOSTS[1]) > before, "the count must be able to grow"


def test_a_key_that_the_host_does_not_know_is_a_login_error(world: World) -> None:
    async def main() -> None:
        transport = world.transport(is_known=False)
        try:
            with pytest.raises(LoginError, match=f"^{HOSTS[0]}: .*SHA256:"):
                await transport.run(target(world), commands.LINES, all_lines, within_s=LONG_S)
        finally:
            await transport.close()

    world.run(main())


def test_a_port_where_nobody_listens_is_unreachable(world: World) -> None:
    host = target(world)
    nowhere = replace(host, login=replace(host.login, port=closed_port()))
    with pytest.raises(UnreachableError, match=f"^{HOSTS[0]}: .*{nowhere.login.address}:{nowhere.login.port}"):
        hold(world, commands.LINES, all_lines, host=nowhere)


def test_a_conversation_s_own_error_passes_as_it_is(world: World) -> None:
    own = OwnError("mine")

    async def conversation(session: Session) -> None:
        await session.read_line()
        raise own

    with pytest.raises(OwnError) as caught:
        hold(world, commands.LINES, conversation)
    assert caught.value is own


def test_a_conversation_may_await_nothing_but_its_session(world: World) -> None:
    async def conversation(session: Session) -> None:
        await session.read_line()
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="nothing but its session"):
        hold(world, commands.LINES, conversation)


def test_fifty_units_are_talked_to_at_once(world: World) -> None:
    async def ask(name: str, session: Session) -> str | None:
        await session.send(f"{name}\n".encode())
        return await session.read_line()

    async def main() -> list[str | None]:
        transport = world.transport()
        try:
            return await asyncio.gather(
                *(
                    transport.run(
                        target(world, name), commands.ECHO, lambda session, name=name: ask(name, session), within_s=60
                    )
                    for name in HOSTS
                )
            )
        finally:
            await transport.close()

    assert world.run(main()) == list(HOSTS)


def test_one_unit_s_failure_leaves_the_others_alone(world: World) -> None:
    async def main() -> tuple[list[str], BaseException]:
        transport = world.transport()
        hanging = transport.run(target(world, HOSTS[2], step_s=1), commands.SILENT, all_lines, within_s=LONG_S)
        sound = transport.run(target(world, HOSTS[3]), commands.TRICKLE, all_lines, within_s=LONG_S)
        failure, lines = await asyncio.gather(hanging, sound, return_exceptions=True)
        await transport.close()
        assert not isinstance(lines, BaseException)
        assert isinstance(failure, BaseException)
        return lines, failure

    lines, failure = world.run(main())
    assert lines == ["1", "2", "3", "4"]
    assert isinstance(failure, CommandTimeoutError)


async def begin(world: World, transport: Transport, name: str) -> asyncio.Task[list[str]]:
    """Begin a conversation, and return once it has read its first line and waits for the second."""
    loop = asyncio.get_running_loop()
    has_begun = loop.create_future()

    async def conversation(session: Session) -> list[str]:
        await session.read_line()
        loop.call_soon_threadsafe(has_begun.set_result, None)
        return await all_lines(session)

    visit = transport.run(target(world, name), commands.FIRST_THEN_SILENT, conversation, within_s=LONG_S)
    task = asyncio.create_task(visit)
    await has_begun
    return task


def test_a_connection_that_is_cut_is_not_taken_for_the_command_s_end(world: World) -> None:
    async def main() -> None:
        transport = world.transport()
        task = await begin(world, transport, HOSTS[4])
        await world.cut(HOSTS[4])
        with pytest.raises(UnreachableError, match=f"^{HOSTS[4]}: .*clos"):
            await task
        await transport.close()

    world.run(main())


def test_cancelling_ends_a_conversation_at_once_and_leaves_the_transport_in_order(world: World) -> None:
    async def main() -> list[str]:
        transport = world.transport()
        task = await begin(world, transport, HOSTS[0])
        began_s = asyncio.get_running_loop().time()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.get_running_loop().time() - began_s < 5
        lines = await transport.run(target(world), commands.LINES, all_lines, within_s=LONG_S)
        await transport.close()
        return lines

    assert world.run(main()) == ["one", "two", "", "four"]


def test_closing_ends_what_runs_and_gives_back_every_thread_and_task(world: World) -> None:
    async def main() -> int:
        transport = world.transport()
        task = await begin(world, transport, HOSTS[0])
        await transport.close()
        with pytest.raises(UnreachableError, match=f"^{HOSTS[0]}: pulih closed its connections"):
            await task
        return len(asyncio.all_tasks())

    before = set(threading.enumerate())
    assert world.run(main()) == 1
    assert not [thread for thread in threading.enumerate() if thread not in before]
