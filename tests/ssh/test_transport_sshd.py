"""The transport against servers that are set up in ways of their own: keys, algorithms, refusals, rekeying."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from recovery.errors import CommandTimeoutError, LoginError, UnreachableError
from recovery.model.estate import HostKey
from recovery.transport.base import MAX_PARALLEL, Session
from recovery.transport.ssh import SshTransport
from tests.keys import new_key
from tests.ssh.sshd import Host, SshServers
from tests.ssh.talking import once, quick, talk
from tests.tools import need

SEVERAL = {kind: new_key(kind) for kind in ("ed25519", "ecdsa", "rsa")}
WAYS = {
    "rfc-8731-name": ("KexAlgorithms curve25519-sha256",),
    "old-name": ("KexAlgorithms curve25519-sha256@libssh.org",),
    "nist": ("KexAlgorithms ecdh-sha2-nistp256", "Ciphers aes256-gcm@openssh.com"),
    "groups": ("KexAlgorithms diffie-hellman-group16-sha512", "Ciphers aes128-ctr", "MACs hmac-sha2-256"),
    "encrypt-then-mac": ("Ciphers aes256-ctr", "MACs hmac-sha2-512-etm@openssh.com"),
    "rekeying": ("RekeyLimit 256K",),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServers]:
    need("sshd")
    hosts = [
        Host(name="plain"),
        Host(name="several", keys=tuple(SEVERAL.values())),
        Host(name="no-sessions", options=("MaxSessions 0",)),
        Host(name="two-factors", options=("AuthenticationMethods publickey,publickey",)),
        Host(name="passwords-only", options=("PubkeyAuthentication no", "PasswordAuthentication yes")),
        Host(name="chatty", options=("ForceCommand printf 'motd\\n'; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"",)),
        Host(name="impatient", options=("ClientAliveInterval 1", "ClientAliveCountMax 1")),
        *(Host(name=name, options=options) for name, options in WAYS.items()),
    ]
    with SshServers(tmp_path_factory.mktemp("sshd") / "servers", hosts) as servers:
        yield servers


@pytest.mark.parametrize("kind", list(SEVERAL))
def test_a_server_with_several_host_keys_shows_the_declared_one(servers: SshServers, kind: str) -> None:
    target = servers.target("several")
    pinned = replace(target, login=replace(target.login, host_key=SEVERAL[kind].public))
    assert once(servers.key_file, pinned) == "here"


@pytest.mark.parametrize("name", list(WAYS))
def test_every_usual_way_to_encrypt_carries_megabytes_both_ways(servers: SshServers, name: str) -> None:
    sent = random.Random(2).randbytes(1_200_000)

    async def conversation(session: Session) -> bytes:
        await session.send(sent[:600_000])
        head = await session.read_exactly(600_000)
        await session.send(sent[600_000:])
        return head + await session.read_exactly(600_000)

    assert once(servers.key_file, servers.target(name), "exec cat", conversation) == sent
    if name == "rekeying":
        assert servers.log(name).count("SSH2_MSG_NEWKEYS received") > 2, "the server must have rekeyed"


def test_a_long_answer_outlasts_many_changes_of_keys(servers: SshServers) -> None:
    size_bytes = 24_000_000

    async def conversation(session: Session) -> int:
        return sum([len(await session.read_exactly(1_000_000)) for _ in range(size_bytes // 1_000_000)])

    before = servers.log("rekeying").count("SSH2_MSG_NEWKEYS received")
    target = servers.target("rekeying")
    assert once(servers.key_file, target, f"head -c {size_bytes} /dev/zero", conversation) == size_bytes
    assert servers.log("rekeying").count("SSH2_MSG_NEWKEYS received") > before + 20


def test_sending_may_take_longer_than_a_step_as_long_as_the_unit_goes_on_reading(servers: SshServers) -> None:
    async def conversation(session: Session) -> str | None:
        await session.send(bytes(8 * 1024 * 1024))
        return await session.read_line()

    slowly = "n=0; while [ $n -lt 16 ]; do head -c 524288 >/dev/null; sleep 0.3; n=$((n+1)); done; echo all"
    assert once(servers.key_file, quick(servers.target("plain"), step_s=3), slowly, conversation) == "all"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-sessions", "opened no session"),
        ("two-factors", "wants publickey besides a key"),
        ("passwords-only", "takes no keys, only password"),
    ],
)
def test_an_account_that_cannot_be_used_says_why(servers: SshServers, name: str, said: str) -> None:
    with pytest.raises(LoginError, match=f"^{name}: .*{said}"):
        once(servers.key_file, servers.target(name))


def test_what_a_profile_prints_comes_before_the_answer_and_is_seen(servers: SshServers) -> None:
    assert once(servers.key_file, servers.target("chatty")) == "motd"


def test_a_server_that_asks_whether_we_live_is_answered(servers: SshServers) -> None:
    """With ClientAliveCountMax 1 it hangs up on the second question without an answer."""
    assert once(servers.key_file, servers.target("impatient"), "sleep 5.5; echo late") == "late"


def test_a_declared_host_key_that_cannot_be_read_is_refused_before_anything_is_connected(servers: SshServers) -> None:
    target = servers.target("plain")
    odd = replace(target, login=replace(target.login, host_key=HostKey("sk-ssh-ed25519@openssh.com AAAA")))
    before = servers.connections("plain")
    with pytest.raises(Exception, match=r"^plain: the declared host key is of kind 'sk-ssh-ed25519@openssh.com'"):
        once(servers.key_file, odd)
    assert servers.connections("plain") == before


def test_a_unit_that_stops_reading_times_out_while_sending(servers: SshServers) -> None:
    async def conversation(session: Session) -> None:
        await session.send(bytes(16 * 1024 * 1024))

    with pytest.raises(CommandTimeoutError, match="nothing happened for 1 s while sending"):
        once(servers.key_file, quick(servers.target("plain"), step_s=1), "exec sleep 20", conversation)


def test_a_transfer_that_is_cut_says_that_the_connection_broke(servers: SshServers) -> None:
    async def main() -> None:
        transport = SshTransport(ssh_key=servers.key_file)
        loop, has_begun = asyncio.get_running_loop(), asyncio.Event()

        async def conversation(session: Session) -> None:
            await session.read_line()
            loop.call_soon_threadsafe(has_begun.set)
            for _ in range(1000):
                await session.send(bytes(1024 * 1024))

        task = asyncio.create_task(talk(transport, servers.target("plain"), "echo; exec cat >/dev/null", conversation))
        await has_begun.wait()
        assert servers.kill_sessions("plain") == 1
        with pytest.raises(UnreachableError, match=r"^plain: .*while sending"):
            await task
        await transport.close()

    asyncio.run(main())


def test_waiting_for_a_turn_is_not_counted_as_the_unit_s_time(servers: SshServers) -> None:
    async def main() -> list[str | None]:
        transport = SshTransport(ssh_key=servers.key_file, parallel=1)
        visits = [talk(transport, servers.target("plain"), "sleep 0.8; echo here", within_s=2) for _ in range(4)]
        try:
            return await asyncio.gather(*visits)
        finally:
            await transport.close()

    assert asyncio.run(main()) == ["here"] * 4


def test_cancelling_one_that_waits_for_its_turn_never_connects(servers: SshServers) -> None:
    async def main() -> None:
        transport = SshTransport(ssh_key=servers.key_file, parallel=1)
        first = asyncio.create_task(talk(transport, servers.target("plain"), "sleep 1; echo here"))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(talk(transport, servers.target("several")))
        await asyncio.sleep(0.1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert not first.done(), "its turn must not be waited for"
        assert await first == "here"
        await transport.close()

    before = servers.connections("several")
    asyncio.run(main())
    assert servers.connections("several") == before


def test_only_as_many_threads_run_as_were_asked_for(servers: SshServers) -> None:
    async def main() -> int:
        transport = SshTransport(ssh_key=servers.key_file, parallel=3)
        visits = [asyncio.create_task(talk(transport, servers.target("plain"), "sleep 0.3; echo")) for _ in range(9)]
        await asyncio.sleep(0.2)
        workers = [thread for thread in threading.enumerate() if thread.name.startswith("pulih-")]
        await asyncio.gather(*visits)
        await transport.close()
        return len(workers)

    assert asyncio.run(main()) == 3


@pytest.mark.parametrize("parallel", [0, MAX_PARALLEL + 1])
def test_a_process_holds_two_hundred_connections_at_most(servers: SshServers, parallel: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 200"):
        SshTransport(ssh_key=servers.key_file, parallel=parallel)


def test_the_harness_leaves_no_process_behind(servers: SshServers) -> None:
    """Not even what a command left behind on purpose, which a remote `&` does."""
    with SshServers(servers.key_file.parent / "more", ["one"]) as more:
        once(more.key_file, more.target("one"), "sleep 77.25 </dev/null >/dev/null 2>&1 & echo here")
        given_up_s = time.monotonic() + 10
        while _running("sleep 77.25") != 1:
            assert time.monotonic() < given_up_s, "it must be seen to run, or its absence says nothing"
            time.sleep(0.02)
    assert _running("sleep 77.25") == 0


def _running(words: str) -> int:
    count = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            count += path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip() == words
    return count
