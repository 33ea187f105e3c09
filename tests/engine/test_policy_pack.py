"""The policy pack under the real engine and its official language host: a change that breaks a rule is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest

from infra.declaration import ROOT
from tests.engine.engines import environment, need_engine, official
from tests.engine.plugins import need_command, official_host
from tests.engine.practice import Practice, Said, copy_of_the_project
from tests.gitted import Gitted
from tests.tools import without

PACK = ROOT / "infra" / "policy"

_BARE = "import pulumi\nfrom pulumi_command import remote\n"
"""A program that asks the declaration nothing: a change may have taken the checks out of the program too."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """A project whose estate is in a git repository, where every change begins at the same commit."""

    repository: Gitted
    practice: Practice

    def begin(self) -> Gitted:
        """Go back to the beginning."""
        self.repository.git("checkout", "--quiet", "--force", "base")
        return self.repository

    def preview(self, message: str = "Change", program: str | None = None) -> Said:
        """Commit the change, and preview it under the pack."""
        self.repository.commit(message)
        (self.practice.project / "infra" / "__main__.py").write_text(
            program or (ROOT / "infra" / "__main__.py").read_text()
        )
        return self.practice.pulumi("preview", "--stack", "west", "--policy-pack", str(PACK))

    def refusals(self, said: Said) -> dict[str, str]:
        """Return what the pack said by rule; the preview ended badly exactly when it said something."""
        told = said.out.partition("\nPolicies:\n")[2].partition("\nResources:")[0].partition("\nDiagnostics:")[0]
        found = re.findall(r"- \[mandatory\]\s+(\S+)\s.*\n((?:          .*\n?)+)", told)
        assert (said.code != 0) == bool(found), said.out
        assert "pulih@" in said.out, said.out
        return dict(found)


@pytest.fixture(scope="module")
def proposals(tmp_path_factory: pytest.TempPathFactory) -> Proposals:
    folder = tmp_path_factory.mktemp("policy")
    engine, host = need_engine(), official_host()
    if host is None:
        without("no official Python language host: the stand-in runs no policy pack")
    if not (ROOT / ".venv" / "policy" / ".installed").exists():
        without("the policy pack has no virtualenv: `make policy` makes it")
    need_command(engine, folder / "home")
    (folder / "state").mkdir()
    repository = Gitted.make(folder / "repository")
    words = environment(official(engine, host, folder / "engine"), folder / "home", f"file://{folder / 'state'}")
    practice = Practice(
        home=folder,
        project=copy_of_the_project(folder / "project"),
        environment={**words, "PULIH_ESTATE": str(repository.estate)},
    )
    practice.init("west")
    return Proposals(repository, practice)


def test_a_small_change_that_keeps_every_rule_passes(proposals: Proposals) -> None:
    repository = proposals.begin()
    repository.edit("templates/border-gate/nginx.conf.j2", "worker_processes 1;", "worker_processes 2;")
    said = proposals.preview()
    assert proposals.refusals(said) == {}
    assert "✅ pulih@" in said.out


def test_two_hosts_under_one_host_key_are_refused(proposals: Proposals) -> None:
    repository = proposals.begin()
    west = (repository.estate / "regions" / "west.yaml").read_text()
    first, second = re.findall(r"host_key: (.+)", west)
    repository.edit("estate/regions/west.yaml", second, first)
    refusals = proposals.refusals(proposals.preview())
    assert list(refusals) == ["host-key-pinned"]
    assert "airport-border-crossing and airport-passport pin the same host key" in refusals["host-key-pinned"]


def test_a_service_without_a_standby_is_refused(proposals: Proposals) -> None:
    repository = proposals.begin()
    centres = (repository.estate / "data-centres.yaml").read_text()
    rented = centres[centres.index("  - name: cloud-1") :]
    without_passport = re.sub(r"      - service: passport\n(?:        .*\n|          .*\n)+", "", rented)
    repository.edit("estate/data-centres.yaml", rented, without_passport)
    refusals = proposals.refusals(proposals.preview("Save\n\nBlast-Radius: nothing is served there"))
    assert list(refusals) == ["standby"]
    assert "passport has an endpoint at pdns-2 only: when that is lost" in refusals["standby"]


def test_a_change_that_reaches_too_far_is_refused_until_its_commit_says_why(proposals: Proposals) -> None:
    repository = proposals.begin()
    repository.edit("estate/placement.yaml", "passport: pdns-2", "passport: cloud-1")
    refusals = proposals.refusals(proposals.preview())
    assert list(refusals) == ["blast-radius"]
    words = "this change puts 2 of 3 units (67%) in 2 regions at risk at once; at most 20%, or one region, may be."
    assert words in refusals["blast-radius"]
    assert "on a line `Blast-Radius: reason`" in refusals["blast-radius"]
    repository.git("commit", "--quiet", "--amend", "--message", "Move\n\nBlast-Radius: the old place closes today")
    whole = replace(proposals, practice=proposals.practice.with_environment(PULIH_BASE="base"))
    assert whole.refusals(whole.preview("Go on")) == {}, "any commit of the change may say why"


def test_a_change_whose_reach_nobody_can_tell_is_refused(proposals: Proposals) -> None:
    proposals.begin()
    unknown = replace(proposals, practice=proposals.practice.with_environment(PULIH_BASE="origin/main"))
    refusals = unknown.refusals(unknown.preview())
    assert list(refusals) == ["blast-radius"]
    assert "origin/main: there is no such revision here. Fetch it" in refusals["blast-radius"]


def test_a_firewall_that_shuts_pulih_out_is_refused_whatever_the_program_checks(proposals: Proposals) -> None:
    repository = proposals.begin()
    rule = "{{ bastion.login.address | saddr }} tcp dport {{ login.port }} accept"
    repository.edit("templates/border-gate/egress.nft.j2", rule, rule.replace("{{ login.port }}", "9"))
    by_the_program = proposals.preview()
    assert by_the_program.code != 0
    sentence = "egress/egress.nft has no rule that accepts new connections to TCP port 22 from bastion gate-west"
    assert sentence in by_the_program.out
    refusals = proposals.refusals(proposals.preview(program=_BARE))
    assert list(refusals) == ["ssh-stays-open"]
    assert sentence in refusals["ssh-stays-open"]


def test_a_declaration_that_is_not_sound_is_refused_whatever_the_program_checks(proposals: Proposals) -> None:
    repository = proposals.begin()
    key = re.findall(r"        host_key: .+\n", (repository.estate / "regions" / "west.yaml").read_text())[0]
    repository.edit("estate/regions/west.yaml", key, "")
    refusals = proposals.refusals(proposals.preview(program=_BARE))
    assert list(refusals) == ["declaration-holds"]
    assert "west.yaml:13: offices[0].units[0].host_key: " in refusals["declaration-holds"]


def test_commands_without_the_declared_host_key_and_inputs_with_secrets_are_refused(proposals: Proposals) -> None:
    proposals.begin()
    program = _BARE + (
        "remote.Command('any', create='true', connection={'host': '10.1.1.1', 'proxy': {'host': 'gate'}})\n"
        "pulumi.ComponentResource('x:y:Z', 'holder', {'env': {'PASSWORD': pulumi.Output.secret('hunter2')}})\n"
    )
    said = proposals.preview(program=program)
    refusals = proposals.refusals(said)
    assert set(refusals) == {"command-host-key", "no-secret"}
    assert "hostKey is missing: without it pulumi-command sends its commands to whoever answers" in said.out
    assert "connection.hostKey is missing" in said.out
    assert "connection.proxy.hostKey is missing" in said.out
    assert "env.PASSWORD looks like a secret" in refusals["no-secret"]
    assert "hunter2" not in said.out
