"""Loading an estate: what comes out of sound files, and files that are made to hurt the reader."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from recovery.declared import estate_schema, load
from recovery.declared.folders import OWN_TEMPLATES
from recovery.errors import DeclarationError, Mistake
from recovery.model.estate import Estate, HostKey
from tests.estates import host_key, sound_estate, sound_files, write_files

NESTED = [
    pytest.param("[" * 500_000, id="brackets"),
    pytest.param("{a: " * 200_000, id="braces"),
    pytest.param("- " * 300_000, id="dashes"),
    pytest.param("? " * 300_000, id="question marks"),
    pytest.param("\n".join(" " * depth + "-" for depth in range(1400)), id="indentation"),
    pytest.param("a: " + "[" * 120 + "]" * 120 + "\nb: {c: d}" * 200, id="few brackets among many"),
]


def refused(folder: Path) -> tuple[Mistake, ...]:
    with pytest.raises(DeclarationError) as caught:
        load(folder)
    return caught.value.mistakes


def edited(folder: Path, name: str, find: str, put: str) -> Path:
    files = sound_files()
    assert find in files[name]
    return write_files(folder, {**files, name: files[name].replace(find, put, 1)})


def test_sound_files_are_the_model_that_was_built_by_hand(tmp_path: Path) -> None:
    loaded = load(write_files(tmp_path))
    assert dataclasses.replace(loaded, files_digest="") == sound_estate(tmp_path)


def test_the_word_no_is_a_city_and_not_a_falsehood(tmp_path: Path) -> None:
    east, _ = load(write_files(tmp_path)).regions
    assert east.offices[0].city == "NO"


def test_minutes_of_half_a_minute_become_seconds(tmp_path: Path) -> None:
    loaded = load(edited(tmp_path, "services.yaml", "rpo_min: 15", "rpo_min: 0.5"))
    assert loaded.services[0].rpo_s == 30


def test_a_units_gateway_port_is_8080_unless_declared(tmp_path: Path) -> None:
    _, west = load(write_files(tmp_path)).regions
    assert [unit.gateway_port for unit in west.offices[0].units] == [8080, 8081]


def test_the_files_digest_is_the_same_wherever_the_files_stand(tmp_path: Path) -> None:
    one, other = load(write_files(tmp_path / "one")), load(write_files(tmp_path / "deeper" / "other"))
    assert one.files_digest == other.files_digest
    assert one.files_digest.startswith("sha256:")


def test_the_files_digest_does_not_cover_the_placement(tmp_path: Path) -> None:
    before = load(write_files(tmp_path))
    after = load(edited(tmp_path, "placement.yaml", "passport: pdns-2", "passport: cloud-1"))
    assert after.placement != before.placement
    assert after.files_digest == before.files_digest


@pytest.mark.parametrize("name", sorted(set(sound_files()) - {"placement.yaml"}))
def test_the_files_digest_covers_every_other_byte(name: str, tmp_path: Path) -> None:
    before = load(write_files(tmp_path))
    with (tmp_path / name).open("a", encoding="utf-8") as file:
        file.write("# seen by nobody\n")
    assert load(tmp_path).files_digest != before.files_digest


def test_a_folder_of_templates_is_named_from_the_estates_own(tmp_path: Path) -> None:
    for kind in ("border-gate", "passport-counter", "endpoint-host"):
        write_files(tmp_path / "mine" / kind, {"unit.yaml": ""})
    estate = load(edited(tmp_path / "estate", "estate.yaml", "name:", "templates: ../mine\nname:"))
    assert estate.templates == (tmp_path / "mine").resolve()


def test_templates_stand_beside_the_nearest_pulumi_project_above(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "infra" / "estate")
    for kind in ("border-gate", "passport-counter", "endpoint-host"):
        write_files(tmp_path / "templates" / kind, {"unit.yaml": ""})
    assert load(folder).templates == OWN_TEMPLATES
    (tmp_path / "Pulumi.yaml").touch()
    assert load(folder).templates == (tmp_path / "templates").resolve()


def test_a_pulumi_project_without_templates_leaves_pulihs_own(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "estate")
    (tmp_path / "Pulumi.yaml").touch()
    assert load(folder).templates == OWN_TEMPLATES


def test_a_practice_estates_key_is_named_from_its_folder_and_need_not_be_there(tmp_path: Path) -> None:
    more = "practice: true\nstaging: [10.0.0.0/8]\nssh_key: ../keys/id\nname:"
    estate = load(edited(tmp_path / "estate", "estate.yaml", "name:", more))
    assert estate.ssh_key == tmp_path.resolve() / "keys" / "id"
    assert [str(network) for network in estate.staging] == ["10.0.0.0/8"]


def test_loopback_needs_no_staging_in_a_practice_estate(tmp_path: Path) -> None:
    files = {name: text.replace("address: 10.", "address: 127.") for name, text in sound_files().items()}
    files["estate.yaml"] = "practice: true\n" + files["estate.yaml"]
    assert load(write_files(tmp_path, files)).practice


def test_documentation_addresses_are_those_of_an_illustrative_estate(tmp_path: Path) -> None:
    files = sound_files()
    for name, text in files.items():
        lines = text.split("\n")
        files[name] = "\n".join(
            f"{line.split('address: ')[0]}address: 2001:db8:{number:x}::1" if "address: " in line else line
            for number, line in enumerate(lines, start=256 * (1 + sorted(files).index(name)))
        )
    files["estate.yaml"] = "illustrative: true\n" + files["estate.yaml"]
    assert load(write_files(tmp_path, files)).illustrative


@pytest.mark.parametrize("text", NESTED)
def test_deep_nesting_is_refused_and_does_not_kill_the_reader(text: str, tmp_path: Path) -> None:
    mistakes = refused(write_files(tmp_path, {**sound_files(), "placement.yaml": text}))
    assert [mistake.message for mistake in mistakes] == ["is nested more than 50 levels deep"]


def test_a_file_over_one_mebibyte_is_refused_and_one_of_it_is_read(tmp_path: Path) -> None:
    text = sound_files()["placement.yaml"]
    write_files(tmp_path, {**sound_files(), "placement.yaml": text + "#" * ((1 << 20) - len(text))})
    assert load(tmp_path).placement == sound_estate(tmp_path).placement
    with (tmp_path / "placement.yaml").open("a") as file:
        file.write("#")
    (mistake,) = refused(tmp_path)
    assert mistake.message == "is larger than 1 MiB, the most that is read"


def test_a_file_that_is_not_utf8_is_named_with_the_line_of_the_first_bad_byte(tmp_path: Path) -> None:
    write_files(tmp_path)
    file = tmp_path / "regions" / "east.yaml"
    file.write_bytes(file.read_text(encoding="utf-8").replace("大使館", "").encode("latin-1", "replace"))
    (mistake,) = refused(tmp_path)
    assert (mistake.file, mistake.line) == (file, 7)
    assert mistake.message == "is not UTF-8: found the byte 0xe3; save it as UTF-8"


def test_a_pipe_among_the_regions_does_not_hang_the_reader(tmp_path: Path) -> None:
    write_files(tmp_path)
    os.mkfifo(tmp_path / "regions" / "pipe.yaml")
    (mistake,) = refused(tmp_path)
    assert str(mistake).endswith("regions/pipe.yaml:1: (file): is not a regular file")


def test_a_folder_in_the_place_of_a_file_is_a_mistake(tmp_path: Path) -> None:
    write_files(tmp_path, {name: text for name, text in sound_files().items() if name != "bastions.yaml"})
    (tmp_path / "bastions.yaml").mkdir()
    (mistake,) = refused(tmp_path)
    assert mistake.message == "cannot be read: Is a directory"


def test_a_folder_that_is_no_estate_names_every_file_that_is_missing(tmp_path: Path) -> None:
    names = [mistake.file.name for mistake in refused(tmp_path)]
    assert names == ["bastions.yaml", "data-centres.yaml", "estate.yaml", "placement.yaml", "regions", "services.yaml"]


def test_mistakes_come_in_the_order_of_file_and_line(tmp_path: Path) -> None:
    files = {
        name: text.replace("port: 22", "port: 0").replace("user: pulih", "user: $")
        for name, text in sound_files().items()
    }
    mistakes = refused(write_files(tmp_path, files))
    places = [(str(mistake.file), mistake.line) for mistake in mistakes]
    assert places == sorted(places)
    assert len(places) == 2 * (2 + 8 + 4)


def test_a_pasted_private_key_reaches_no_message(tmp_path: Path) -> None:
    key_file = "-----BEGIN OPENSSH PRIVATE KEY-----", "c2VjcmV0", "-----END OPENSSH PRIVATE KEY-----"
    pasted = "|" + "".join(f"\n          {line}" for line in key_file)
    names = [
        "host_key: " + host_key("airport-passport"),
        "user: pulih",
        "city: Tangerang",
        "name: airport",
        "bastion: gate-west",
    ]
    text = sound_files()["regions/west.yaml"]
    for line in names:
        key = line.split(":")[0]
        assert line in text
        text = text.replace(line, f"{key}: {pasted}", 1)
    mistakes = refused(write_files(tmp_path, {**sound_files(), "regions/west.yaml": text}))
    assert len(mistakes) >= len(names)
    assert "c2Vj" not in "".join(map(str, mistakes))


def test_a_message_is_one_line_whatever_was_found(tmp_path: Path) -> None:
    files = sound_files()
    files["regions/west.yaml"] = files["regions/west.yaml"].replace("kind: tpi", 'kind: "a\\nb\\e[2J"\n    "x\\ny": 1')
    mistakes = refused(write_files(tmp_path, files))
    assert len(mistakes) == 2
    assert all(str(mistake).isprintable() for mistake in mistakes)


def test_host_keys_of_two_hosts_may_be_the_same(tmp_path: Path) -> None:
    """Machines cloned from one image share it: worth a word at a rotation, no reason to refuse a recovery."""
    files = sound_files()
    files["regions/east.yaml"] = files["regions/east.yaml"].replace(
        host_key("embassy-passport"), host_key("airport-passport")
    )
    estate: Estate = load(write_files(tmp_path, files))
    assert estate.regions[0].offices[0].units[0].login.host_key == HostKey(host_key("airport-passport"))


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            if key == "$ref":
                yield str(item)
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from references(item)


def test_the_schema_describes_every_file_and_refers_to_nothing_that_is_not_in_it() -> None:
    schema: dict[str, Any] = estate_schema()
    assert set(schema["properties"]) == {
        "estate.yaml", "services.yaml", "data-centres.yaml", "placement.yaml", "bastions.yaml",
    }  # fmt: skip
    assert set(references(schema)) == {f"#/$defs/{name}" for name in schema["$defs"]}


def test_the_schema_has_types_and_limits_as_an_editor_sees_the_values() -> None:
    definitions: dict[str, Any] = estate_schema()["$defs"]  # pyright: ignore[reportAssignmentType]
    unit = definitions["UnitBlock"]
    assert unit["additionalProperties"] is False
    assert unit["properties"]["port"] | {"title": "", "description": ""} == {
        "type": "integer", "minimum": 1, "maximum": 65535, "title": "", "description": "",
    }  # fmt: skip
    assert "state" not in unit["required"]
    assert definitions["EstateFile"]["properties"]["ssh_key"]["type"] == "string"
    assert definitions["ServiceBlock"]["properties"]["class"]["enum"] == ["supporting", "serving"]
