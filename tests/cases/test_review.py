"""`pulih review` of real commits: it names exactly the units and files, whatever else the change holds."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from recovery.declared import load
from recovery.declared.folders import OWN_TEMPLATES
from recovery.render import Renderer, Templates
from tests.citizens import PUBLISH
from tests.cli_world import pulih
from tests.gitted import Gitted

Capture = pytest.CaptureFixture[str]
SHIPPED = OWN_TEMPLATES.parent / "infra" / "estate"


@pytest.fixture(autouse=True)
def _nobodys_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "PULIH_STATE", "PULIH_ESTATE"):
        monkeypatch.delenv(name, raising=False)


def reviewed(capsys: Capture, repository: Gitted, revisions: str = "base..HEAD") -> dict[str, Any]:
    said = pulih(capsys, "review", revisions, "--estate", repository.estate, "--output", "json")
    assert said.code in (0, 2), said.err
    document: dict[str, Any] = json.loads(said.out)
    assert (said.code == 0) == (not document["units"] and not document["endpoints"] and not document["settings"])
    return document


def rendered(folder: Path) -> dict[str, dict[str, bytes]]:
    """Return what every unit and endpoint of a checkout gets: content by path, by name."""
    estate = load(folder)
    renderer = Renderer(estate, Templates.load(estate.templates))
    bundles = {unit.name: renderer.unit(*place) for place in estate.places() for unit in [place[2]] if not unit.retired}
    bundles |= {endpoint.name: renderer.endpoint(endpoint) for endpoint in estate.endpoint.values()}
    return {name: {file.path: file.content for file in bundle.files} for name, bundle in bundles.items()}


def test_a_move_and_an_edited_template_name_exactly_the_units_and_files_of_582(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path / "repository", SHIPPED)
    before = rendered(repository.estate)
    repository.edit("estate/placement.yaml", "stay-permit: pdns-2", "stay-permit: cloud-1")
    repository.edit("templates/border-gate/nginx.conf.j2", "worker_processes 1;", "worker_processes 2;")
    repository.commit("Move stay permits; give border gates two workers")
    after = rendered(repository.estate)
    expected = {
        name: sorted(path for path in files if files[path] != after[name][path])
        for name, files in before.items()
        if files != after[name]
    }
    document = reviewed(capsys, repository)
    assert {unit["name"]: sorted(file["path"] for file in unit["files"]) for unit in document["units"]} == expected
    assert document["endpoints"] == []

    declared = "".join(path.read_text() for path in (repository.estate / "regions").iterdir())
    units = dict(re.findall(r"- name: (\S+)\n\s+service: (\S+)", declared))
    served = {service: {name for name, of in units.items() if of == service} for service in set(units.values())}
    assert set(expected) == served["stay-permit"] | served["border-crossing"]
    assert all(expected[name] == ["gateway/nginx.conf"] for name in served["border-crossing"])
    assert document["totals"]["units"] == len(units) == 582
    assert document["totals"]["changed"] == document["blast_radius"]["units"] == len(expected)
    assert document["blast_radius"]["counters"] == {
        service: len(served[service]) for service in ("border-crossing", "stay-permit")
    }
    assert document["placement"] == [{"service": "stay-permit", "regions": [], "from": "pdns-2", "to": "cloud-1"}]
    hosts = [len(file["hosts"]) for file in document["files"]]
    assert hosts == sorted(hosts, reverse=True)
    assert len(hosts) == 5, "one difference each of a gate's gateway and of a desk's four files"


def test_nothing_changes_where_only_words_of_no_effect_do(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path)
    repository.edit("estate/services.yaml", "services:", "# What is offered.\nservices:")
    repository.edit("templates/border-gate/nginx.conf.j2", "worker_processes", "{# two are many #}worker_processes")
    repository.commit("Comment")
    said = pulih(capsys, "review", "base..HEAD", "--estate", repository.estate)
    assert said.code == 0
    assert said.out.splitlines()[1] == "nothing changes at any unit, 0 endpoints"
    assert reviewed(capsys, repository)["files"] == []


def test_added_removed_retired_and_returned_units_are_told_apart(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path)
    east, west = "estate/regions/east.yaml", "estate/regions/west.yaml"
    text = (tmp_path / west).read_text()
    gate = text[text.index("      - name: airport-border") : text.index("      - name: airport-passport")]
    new = gate.replace("airport-border-crossing", "airport-border-crossing-2").replace("10.8.10.1", "10.8.10.9")
    repository.edit(west, gate, new)
    repository.edit(west, "gateway_port: 8081", "gateway_port: 8081\n        state: retired")
    repository.edit(east, "        state: retired\n", "")
    repository.commit("Change who is there")
    document = reviewed(capsys, repository)
    assert {unit["name"]: unit["change"] for unit in document["units"]} == {
        "airport-border-crossing-2": "added",
        "airport-border-crossing": "removed",
        "airport-passport": "retired",
        "embassy-passport-old": "returned",
    }


def test_a_host_key_an_address_and_a_bastion_are_changes_although_no_file_differs(
    tmp_path: Path, capsys: Capture
) -> None:
    repository = Gitted.make(tmp_path)
    west = (tmp_path / "estate/regions/west.yaml").read_text()
    keys = re.findall(r"host_key: (.+)", west)
    repository.edit("estate/regions/west.yaml", keys[1], re.findall(r"host_key: (.+)", _east(repository))[1])
    repository.commit("Rebuilt")
    (unit,) = reviewed(capsys, repository)["units"]
    assert (unit["name"], unit["change"], unit["files"]) == ("airport-passport", "changed", [])
    (fact,) = unit["facts"]
    assert fact["what"] == "host key"
    assert fact["before"] != fact["after"]
    assert fact["after"].startswith("ssh-ed25519 SHA256:")
    page = pulih(capsys, "review", "base..HEAD", "--estate", repository.estate, "--output", "markdown").out
    assert "- 1 host key changed; compare with the hosts' own: airport-passport." in page


def _east(repository: Gitted) -> str:
    return (repository.estate / "regions" / "east.yaml").read_text()


def test_an_endpoint_that_everybody_needs_puts_everybody_at_risk(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path)
    repository.edit("estate/data-centres.yaml", "app_port: 9001", "app_port: 9011")
    repository.commit("Move the application of identity")
    document = reviewed(capsys, repository)
    assert document["units"] == []
    assert {endpoint["name"] for endpoint in document["endpoints"]} == {"identity-pdns-2", "identity-cloud-1"}
    assert document["blast_radius"]["units"] == 3
    assert document["blast_radius"]["excess"].startswith("this change puts 3 of 3 units (100%) in 2 regions at risk")


def test_a_new_dependency_a_limit_and_a_lost_standby_are_told(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path)
    passports = "rto_min: 1440\n    rpo_min: 120\n    after:\n"
    repository.edit("estate/services.yaml", passports, f"{passports}      - border-crossing\n")
    repository.edit("estate/estate.yaml", "  region: 32", "  region: 16")
    centres = (tmp_path / "estate/data-centres.yaml").read_text()
    rented = centres[centres.index("  - name: cloud-1") :]
    without = re.sub(r"      - service: passport\n(?:        .*\n|          .*\n)+", "", rented)
    repository.edit("estate/data-centres.yaml", rented, without)
    repository.commit("Cut")
    document = reviewed(capsys, repository)
    assert document["services"] == [
        {"what": "passport.after", "before": "identity, time", "after": "border-crossing, identity, time"}
    ]
    assert document["settings"] == [{"what": "limits.region", "before": "32", "after": "16"}]
    (warning,) = document["warnings"]
    assert warning["new"]
    assert warning["text"].startswith("passport has an endpoint at pdns-2 only")
    ways = {(one["side"], one["lost"], one["to"]): one for one in document["recoveries"]}
    assert ways["before", "pdns-2", "cloud-1"]["seconds"] > 0
    assert ways["after", "pdns-2", None]["why_not"] == "cloud-1 can't take over: it has no endpoint of passport."
    assert [endpoint["change"] for endpoint in document["endpoints"]] == ["removed"]


def test_what_citizens_apps_would_be_told_otherwise_is_told(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path)
    repository.edit("estate/estate.yaml", "\nlimits:", f"{PUBLISH}\nlimits:")
    repository.commit("Tell apps")
    document = reviewed(capsys, repository)
    values = {one["what"]: one["after"] for one in document["settings"]}
    assert values["publish.mirrors"] == "../mirrors/a, ../mirrors/b"
    assert values["publish.services"] == "border-crossing, passport"
    assert values["publish.message.en"] == "The services are back."
    repository.edit("estate/estate.yaml", "4.2.0", "4.3.0")
    repository.commit("Ask for a newer one")
    document = reviewed(capsys, repository, "HEAD~1..HEAD")
    assert document["settings"] == [{"what": "publish.minimum_version", "before": "4.2.0", "after": "4.3.0"}]


def test_three_dots_compare_with_where_the_change_left_the_base(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path)
    repository.git("checkout", "--quiet", "-b", "change")
    repository.edit("estate/estate.yaml", "  region: 32", "  region: 16")
    repository.commit("Change")
    repository.git("checkout", "--quiet", "main")
    repository.edit("estate/estate.yaml", "  bastion: 10", "  bastion: 8")
    repository.commit("Go on")
    assert [one["what"] for one in reviewed(capsys, repository, "main...change")["settings"]] == ["limits.region"]
    two = {one["what"] for one in reviewed(capsys, repository, "main..change")["settings"]}
    assert two == {"limits.region", "limits.bastion"}
    repository.git("checkout", "--quiet", "change")
    assert reviewed(capsys, repository, "main...")["head"]["revision"] == "HEAD"


@pytest.mark.parametrize(
    ("file", "old", "new", "mistake"),
    [
        ("estate/placement.yaml", "passport: pdns-2", "passport: nowhere", "placement.yaml:6: placement.passport: "),
        ("templates/border-gate/nginx.conf.j2", "{{ unit.name }}", "{{ unit.nam }}", "nginx.conf.j2:1: (template): "),
    ],
)
def test_a_broken_estate_is_an_error_with_revision_file_and_line(
    tmp_path: Path, capsys: Capture, file: str, old: str, new: str, mistake: str
) -> None:
    repository = Gitted.make(tmp_path)
    repository.edit(file, old, new)
    repository.commit("Break")
    repository.git("tag", "broken")
    said = pulih(capsys, "review", "base..broken", "--estate", repository.estate)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"broken:{file.rpartition('/')[0]}/{mistake}")
    assert "pulih-review-" not in said.err
    mended = pulih(capsys, "review", "broken..base", "--estate", repository.estate)
    assert mended.code == 1
    assert mended.err.startswith("broken:")


def test_a_rule_that_the_base_breaks_and_the_change_mends_holds_up_no_review(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path)
    repository.edit("templates/border-gate/egress.nft.j2", "tcp dport {{ login.port }} accept", "tcp dport 9 accept")
    repository.commit("Shut pulih out")
    repository.git("tag", "shut")
    said = pulih(capsys, "review", "base..shut", "--estate", repository.estate)
    assert said.code == 1
    assert said.err.startswith("shut:templates/border-gate/egress.nft.j2:1: (template): egress/egress.nft has no rule")
    assert [unit["name"] for unit in reviewed(capsys, repository, "shut..base")["units"]] == ["airport-border-crossing"]


@pytest.mark.parametrize(
    ("revisions", "words"),
    [
        ("HEAD", "expected two revisions, such as origin/main..HEAD"),
        ("gone..HEAD", "gone: there is no such revision here. Fetch it"),
        ("--help..HEAD", "--help: there is no such revision here"),
    ],
)
def test_what_is_no_range_is_an_error_that_says_what_to_do(
    tmp_path: Path, capsys: Capture, revisions: str, words: str
) -> None:
    repository = Gitted.make(tmp_path)
    said = pulih(capsys, "review", "--estate", repository.estate, "--", revisions)
    assert said.code == 1
    assert words in said.err


def test_an_estate_outside_git_and_a_revision_without_one_are_errors(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path / "repository")
    shutil.copytree(repository.estate, tmp_path / "loose")
    said = pulih(capsys, "review", "base..HEAD", "--estate", tmp_path / "loose")
    assert said.code == 1
    assert "not a git repository" in said.err
    repository.git("checkout", "--quiet", "--orphan", "empty")
    repository.git("rm", "-r", "--quiet", "--cached", ".")
    repository.git("commit", "--quiet", "--allow-empty", "--message", "Nothing")
    said = pulih(capsys, "review", "empty..base", "--estate", repository.estate)
    assert said.code == 1
    assert "has no estate in estate" in said.err


def test_neither_attributes_nor_links_nor_templates_of_a_change_reach_further(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path / "repository")
    repository.write({".gitattributes": "estate/regions/west.yaml export-ignore\n*.yaml filter=evil\n"})
    repository.git("config", "filter.evil.smudge", f"touch {tmp_path}/ran; cat")
    repository.git("tag", "attributes", repository.commit("Hide"))
    assert reviewed(capsys, repository, "base..attributes")["units"] == []
    assert not (tmp_path / "ran").exists()

    secret = tmp_path / "secret.j2"
    secret.write_text("secret\n")
    template = repository.top / "templates" / "border-gate" / "settings.json.j2"
    template.unlink()
    template.symlink_to(secret)
    repository.git("tag", "link", repository.commit("Look outside"))
    said = pulih(capsys, "review", "base..link", "--estate", repository.estate)
    assert (said.code, said.out) == (1, "")
    assert "templates/border-gate/settings.json.j2 is a link that leads out of the revision" in said.err

    repository.git("checkout", "--quiet", "base")
    shutil.copytree(OWN_TEMPLATES, tmp_path / "elsewhere")
    repository.edit("estate/estate.yaml", "templates: ../templates", f"templates: {tmp_path}/elsewhere")
    repository.git("tag", "outside", repository.commit("Take them from elsewhere"))
    said = pulih(capsys, "review", "base..outside", "--estate", repository.estate)
    assert said.code == 1
    assert "its templates are outside the repository" in said.err


def test_a_link_inside_a_revision_is_followed(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path)
    anchors = repository.estate / "trust-anchors.pem"
    anchors.rename(tmp_path / "anchors.pem")
    anchors.symlink_to("../anchors.pem")
    repository.commit("Share them")
    assert reviewed(capsys, repository)["settings"] == []


def test_a_commit_says_why_it_reaches_far(tmp_path: Path, capsys: Capture) -> None:
    repository = Gitted.make(tmp_path)
    repository.edit("estate/data-centres.yaml", "app_port: 9001", "app_port: 9011")
    repository.commit("Move identity\n\nBlast-Radius: its program can\n  listen nowhere else, @all")
    repository.commit("Something else")
    document = reviewed(capsys, repository)
    assert document["blast_radius"]["reasons"] == ["its program can listen nowhere else, @all"]
    page = pulih(capsys, "review", "base..HEAD", "--estate", repository.estate, "--output", "markdown").out
    assert "Too far for one change" not in page
    assert "Why it reaches so far, by its commit: <code>its program can listen nowhere else, &#64;all</code>" in page
    assert "Too far for one change" in pulih(capsys, "review", "HEAD..base", "--estate", repository.estate).out


def test_in_ci_people_get_markdown_and_on_a_terminal_a_table(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Gitted.make(tmp_path)
    repository.edit("templates/border-gate/nginx.conf.j2", "worker_processes 1;", "worker_processes 2;")
    repository.commit("Two workers")
    words = ("review", "base..HEAD", "--estate", repository.estate)
    table = pulih(capsys, *words)
    assert table.code == 2
    assert "    +worker_processes 2;" in table.out.splitlines()
    assert "changed airport-border-crossing (west) D1" in table.out.splitlines()
    monkeypatch.setenv("CI", "true")
    assert pulih(capsys, *words).out.startswith("<!-- pulih-review -->\n# pulih: 1 of 3 units change\n")
