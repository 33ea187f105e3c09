"""Rules that need the rendered files: with real templates, and with a renderer that says what a case wants."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from recovery import policy
from recovery.declared import load
from recovery.declared.folders import OWN_TEMPLATES
from recovery.errors import DeclarationError, Mistake
from recovery.model.bundle import Bundle, RenderedFile
from recovery.model.estate import Endpoint, Estate, Office, Region, Unit
from recovery.render import Renderer, Templates
from tests.estates import sound_estate, write_files

GOOD = """\
table inet pulih {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        tcp dport 22 accept
    }
    chain output {
        type filter hook output priority filter; policy drop;
        ct state established,related accept
    }
}
"""


@dataclass(frozen=True)
class Source:
    path: str
    source: Path


@dataclass(frozen=True)
class Kind:
    files: tuple[Source, ...]


@dataclass(frozen=True)
class FakeTemplates:
    folder: Path
    kinds: Mapping[str, Kind]


class FakeRenderer:
    """Gives every unit and endpoint the same files, or the files, or the mistake, named for it."""

    def __init__(
        self, files: Mapping[str, str], *, special: Mapping[str, Mapping[str, str] | Mistake] | None = None
    ) -> None:
        self.files = files
        self.special = special or {}
        kind = Kind((Source("net/egress.nft", Path("t/border-gate/egress.nft.j2")),))
        self.templates = FakeTemplates(Path("t"), {"border-gate": kind})
        self.rendered: list[str] = []

    def unit(self, region: Region, office: Office, unit: Unit) -> Bundle:
        del region, office
        return self._bundle(unit.name)

    def endpoint(self, endpoint: Endpoint) -> Bundle:
        return self._bundle(endpoint.name)

    def _bundle(self, name: str) -> Bundle:
        self.rendered.append(name)
        found = self.special.get(name, self.files)
        if isinstance(found, Mistake):
            raise DeclarationError([found])
        return Bundle.of(RenderedFile(path=path, mode=0o644, content=text.encode()) for path, text in found.items())


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    return sound_estate(tmp_path)


def checked(estate: Estate, text: str, name: str = "airport-border-crossing") -> list[str]:
    """Return the mistakes when one unit has an nftables file of its own."""
    renderer = FakeRenderer({"a": "b"}, special={name: {"net/egress.nft": text}})
    return [str(mistake) for mistake in policy.check(estate, renderer)]


def test_pulihs_own_templates_keep_every_rule(tmp_path: Path) -> None:
    estate = load(write_files(tmp_path))
    assert policy.check(estate, Renderer(estate, Templates.load(estate.templates))) == ()
    assert policy.warnings(estate) == ()


def test_every_unit_but_the_retired_and_every_endpoint_is_rendered_once(estate: Estate) -> None:
    renderer = FakeRenderer({"a": "b"})
    assert policy.check(estate, renderer) == ()
    units = [unit.name for _, _, unit in estate.places() if not unit.retired]
    assert sorted(renderer.rendered) == sorted([*units, *(endpoint.name for endpoint in estate.endpoint.values())])
    assert "embassy-passport-old" not in renderer.rendered


def test_a_mistake_of_a_template_is_named_once_and_counted(estate: Estate) -> None:
    mistakes = {
        name: Mistake(file=Path("t/x.j2"), line=3, path="(template)", message=f"needs for {name} what is not declared")
        for name in ("airport-passport", "embassy-passport", "airport-border-crossing")
    }
    (mistake,) = policy.check(estate, FakeRenderer({"a": "b"}, special=mistakes))
    assert str(mistake) == (
        "t/x.j2:3: (template): needs for embassy-passport what is not declared (and so for 2 others)"
    )


def test_mistakes_of_two_lines_are_two(estate: Estate) -> None:
    mistakes = {
        name: Mistake(file=Path("t/x.j2"), line=line, path="(template)", message="is wrong")
        for name, line in (("airport-passport", 4), ("embassy-passport", 3))
    }
    assert [mistake.line for mistake in policy.check(estate, FakeRenderer({"a": "b"}, special=mistakes))] == [3, 4]


def test_a_firewall_with_both_rules_is_sound(estate: Estate) -> None:
    assert checked(estate, GOOD) == []
    assert checked(estate, GOOD.replace("tcp dport", "ip saddr 10.8.1.1 tcp dport")) == []


def test_a_firewall_without_the_way_in_is_refused_at_its_template(estate: Estate) -> None:
    assert checked(estate, GOOD.replace("        tcp dport 22 accept\n", "")) == [
        "t/border-gate/egress.nft.j2:1: (template): net/egress.nft has no rule that accepts new connections to TCP "
        "port 22 from bastion gate-west (10.8.1.1) to airport-border-crossing: that is pulih's own way in"
    ]


def test_a_policy_that_accepts_is_no_rule(estate: Estate) -> None:
    assert len(checked(estate, GOOD.replace("        tcp dport 22 accept\n", "").replace("drop", "accept"))) == 1


def test_the_way_in_is_that_of_the_units_own_port_and_bastion(estate: Estate) -> None:
    assert checked(estate, GOOD.replace("dport 22", "dport 2222"))
    assert checked(estate, GOOD.replace("tcp dport", "ip saddr 10.8.2.1 tcp dport"))
    assert checked(estate, GOOD.replace("tcp dport", "ip saddr 10.8.2.1 tcp dport"), "embassy-passport") == []


def test_without_a_bastion_the_way_in_must_be_open_to_anyone(estate: Estate) -> None:
    narrow = GOOD.replace("tcp dport", "ip saddr 10.8.1.1 tcp dport")
    (line,) = checked(estate, narrow, "passport-pdns-2")
    assert "new connections to TCP port 22 from anywhere to passport-pdns-2" in line
    assert checked(estate, GOOD, "passport-pdns-2") == []


def test_a_drop_before_the_way_in_is_refused(estate: Estate) -> None:
    (line,) = checked(estate, GOOD.replace("tcp dport 22", "ip saddr @banned drop\n        tcp dport 22"))
    assert "drops, or may drop, new connections to TCP port 22" in line


def test_a_firewall_that_breaks_what_stands_is_refused_on_either_side(estate: Estate) -> None:
    standing = "        ct state established,related accept\n"
    (line,) = checked(estate, GOOD.replace(standing, "", 1))
    assert "breaks established connections in the input chain" in line
    first, _, rest = GOOD.rpartition(standing)
    (line,) = checked(estate, first + rest)
    assert "breaks established connections in the output chain" in line


def test_a_firewall_without_an_input_chain_is_refused(estate: Estate) -> None:
    (line,) = checked(estate, GOOD.replace("hook input", "hook forward"))
    assert "has no input chain" in line


def test_a_large_bundle_is_refused_and_one_at_the_limit_is_not(estate: Estate) -> None:
    name = "airport-passport"
    limit = {"a": "x" * (policy.MAX_BUNDLE_BYTES - 1), "b": "x"}
    assert policy.check(estate, FakeRenderer({"a": "b"}, special={name: limit})) == ()
    (mistake,) = policy.check(estate, FakeRenderer({"a": "b"}, special={name: {**limit, "c": "x"}}))
    assert str(mistake) == (
        "t/passport-counter/unit.yaml:1: files: makes a bundle of 262145 bytes for airport-passport, "
        "expected at most 262144"
    )


def test_a_bundle_without_a_file_is_refused(estate: Estate) -> None:
    (mistake,) = policy.check(estate, FakeRenderer({"a": "b"}, special={"airport-passport": {}}))
    assert mistake.message == "makes a bundle without a file for airport-passport, expected at least one"


@pytest.mark.parametrize("kind", ["border-gate", "passport-counter", "stay-permit-desk", "endpoint-host"])
def test_the_real_template_of_a_kind_without_its_ssh_rule_is_refused_by_file(kind: str, tmp_path: Path) -> None:
    templates = shutil.copytree(OWN_TEMPLATES, tmp_path / "templates")
    template = templates / kind / "egress.nft.j2"
    text = template.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines(keepends=True) if "tcp dport {{ login.port }}" not in line]
    assert len(lines) < len(text.splitlines())
    template.write_text("".join(lines), encoding="utf-8")
    estate = sound_estate(tmp_path, templates=templates)
    if kind == "stay-permit-desk":
        services = (*estate.services[:-1], dataclasses.replace(estate.services[-1], unit_kind=kind))
        estate = dataclasses.replace(estate, services=services)
    mistakes = policy.check(estate, Renderer(estate, Templates.load(templates)))
    assert [mistake.file for mistake in mistakes] == [template]
    assert "that is pulih's own way in" in mistakes[0].message


def test_a_service_that_could_not_be_recovered_elsewhere_is_a_warning(estate: Estate) -> None:
    here, there = estate.data_centres
    less = dataclasses.replace(there, endpoints=there.endpoints[1:3])
    sentences = policy.warnings(dataclasses.replace(estate, data_centres=(here, less)))
    assert sentences == (
        "identity has an endpoint at pdns-2 only: when that is lost there is no data centre to recover it to",
        "passport has an endpoint at pdns-2 only: when that is lost there is no data centre to recover it to",
    )


def test_a_service_that_no_unit_uses_is_no_warning(estate: Estate) -> None:
    here, there = estate.data_centres
    less = dataclasses.replace(there, endpoints=there.endpoints[:3])
    regions = tuple(dataclasses.replace(region, offices=()) for region in estate.regions)
    assert policy.warnings(dataclasses.replace(estate, data_centres=(here, less), regions=regions)) == ()
