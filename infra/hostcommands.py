"""Commands on the hosts of a data centre before its endpoints are applied: bootstrap, operators' own hooks.

pulumi-command is glue here, for what stands before pulih: packages, accounts, folders. It ignores host keys unless one
is given, keeps what a command writes in the state, and runs a `delete` on hosts that are dead; so a key is always
given, nothing is kept, and there is no `delete`. Which hooks there are is said by a stack's configuration,
`pulih:hooks`; without one the plugin is not needed. Logins come from the SSH agent, so no key is in the state.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pulumi
from pulumi_command import remote

from infra.declaration import ROOT
from recovery.errors import PlanError
from recovery.model.estate import Bastion, Endpoint, Login

_TRIES, _DIAL_S = 3, 15
"""pulumi-command tries again whatever the reason, a wrong host key included, ten times unless it is told otherwise."""

_EXPECTED = "expected `name`, `user` and `script`, a file"
_SECRETS = ("-----BEGIN", "PASSWORD=", "password=")
_LAST_LINES = 5

_LIMIT_S = 1800
"""For one script on one host; the plugin itself would wait for ever, and go on waiting after a Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One script that runs on each host of a data centre.

    Attributes:
        name: Part of the name of its resources.
        user: The account that it logs in to; one that may do what the script does.
        script: Its text; part of the state, so it holds no secret.
    """

    name: str
    user: str
    script: str


def hooks(configured: object) -> tuple[Hook, ...]:
    """Read the hooks of a stack, in the order in which they run.

    Args:
        configured: The value of `pulih:hooks`; None when there is none.

    Raises:
        PlanError: An entry is not a hook, its script can't be read, or holds what looks like a secret.
    """
    if configured is None:
        return ()
    if not isinstance(configured, list):
        raise PlanError(f"pulih:hooks: expected a list; each entry: {_EXPECTED}")
    if not os.environ.get("SSH_AUTH_SOCK"):
        pulumi.log.warn(
            "pulih:hooks: no SSH agent is known here (SSH_AUTH_SOCK is not set), and hooks log in with its keys: start "
            "one with `eval $(ssh-agent)` and give it the key with `ssh-add KEY`"
        )
    entries = cast(list[object], configured)
    return tuple(_hook(place, entry) for place, entry in enumerate(entries))


def host_commands(
    endpoint: Endpoint,
    bastion: Bastion | None,
    given: Sequence[Hook],
    *,
    parent: pulumi.Resource,
    after: Sequence[pulumi.Resource],
) -> Sequence[pulumi.Resource]:
    """Declare the commands for an endpoint's host, each after the one before.

    Args:
        endpoint: Whose host.
        bastion: The host in front of it; None where it is reached directly.
        given: What runs there.
        parent: The component that they are below.
        after: What must be there before the first.

    Returns:
        What the endpoint's own resource comes after.
    """
    last: Sequence[pulumi.Resource] = after
    for hook in given:
        options = pulumi.ResourceOptions(parent=parent, depends_on=last, retain_on_delete=True)
        last = [remote.Command(f"{endpoint.name}-{hook.name}", _command(endpoint, bastion, hook), options)]
    return last


def _command(endpoint: Endpoint, bastion: Bastion | None, hook: Hook) -> remote.CommandArgs:
    login = endpoint.login
    start = shlex.join(["timeout", str(_LIMIT_S), "/bin/sh", "-s", "--", endpoint.root, login.user, endpoint.name])
    connection = remote.ConnectionArgs(
        host=login.address,
        port=login.port,
        user=hook.user,
        host_key=login.host_key,
        dial_error_limit=_TRIES,
        per_dial_timeout=_DIAL_S,
        proxy=None if bastion is None else _proxy(bastion.login),
    )
    return remote.CommandArgs(
        connection=connection,
        create=_silently(start),
        stdin=_read_whole(hook.script),
        triggers=[hashlib.sha256(hook.script.encode()).hexdigest()],
        logging=remote.Logging.NONE,
        add_previous_output_in_env=False,
    )


def _read_whole(script: str) -> str:
    """Return a script that the shell has read to its end before it begins, with nothing on its standard input.

    Otherwise a program in it that reads its input would take the rest of the script, and what was left out would be
    no failure.
    """
    return f"{{ :\n{script}\n}} </dev/null\n"


def _silently(command: str) -> str:
    """Return a command whose output stays on the host, since it would be kept in the state; a failure says its last."""
    late = f"""[ "$code" != 124 ] || said="not done in {_LIMIT_S} s; it said: $said";"""
    tell = f"""{{ code=$?; {late} printf '%s\\n' "$said" | tail -n {_LAST_LINES} >&2; exit "$code"; }}"""
    return f"said=$({command} 2>&1 >/dev/null) || {tell}"


def _proxy(login: Login) -> remote.ProxyConnectionArgs:
    return remote.ProxyConnectionArgs(
        host=login.address,
        port=login.port,
        user=login.user,
        host_key=login.host_key,
        dial_error_limit=_TRIES,
        per_dial_timeout=_DIAL_S,
    )


def _hook(place: int, entry: object) -> Hook:
    found: Mapping[str, object] = cast(Mapping[str, object], entry) if isinstance(entry, dict) else {}
    words = {key: str(found[key]) for key in ("name", "user", "script") if found.get(key)}
    if len(words) != 3 or set(found) != set(words):
        raise PlanError(f"pulih:hooks[{place}]: {_EXPECTED}")
    path = ROOT / Path(words["script"]).expanduser()
    try:
        script = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise PlanError(f"pulih:hooks[{place}].script: {path} can't be read: {error}") from error
    secret = next((mark for mark in _SECRETS if mark in script), None)
    if secret is not None:
        raise PlanError(
            f"pulih:hooks[{place}].script: {path} holds {secret!r}; a script is kept in the state, so it must hold no "
            "secret. Let it read the secret on the host."
        )
    return Hook(name=words["name"], user=words["user"], script=script)
