"""Mistakes in templates and `unit.yaml`: each is named with file and line before any unit is rendered."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from recovery.errors import DeclarationError
from recovery.render import Renderer, Templates
from tests.places import TEMPLATES, an_estate


def edited(tmp_path: Path, file: str, old: str, new: str) -> tuple[Path, int]:
    """Copy the templates, replace text in one file; return the copy and the line of the change."""
    folder = tmp_path / "templates"
    shutil.copytree(TEMPLATES, folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    return folder, text[: text.index(old)].count("\n") + 1


def mistakes(folder: Path) -> list[str]:
    """Return what loading a folder of templates complains about, with paths from the folder."""
    with pytest.raises(DeclarationError) as caught:
        Templates.load(folder)
    return [str(mistake).removeprefix(f"{folder}/") for mistake in caught.value.mistakes]


NGINX = "passport-counter/nginx.conf.j2"
UNIT = "passport-counter/unit.yaml"
CHRONY = "_shared/chrony-client.conf.j2"
PORT = "{{ unit.gateway_port }}"
NAMED = "template: nginx.conf.j2"
AT = "files.'gateway/nginx.conf'"


@pytest.mark.parametrize(
    ("file", "old", "new", "path", "message"),
    [
        (NGINX, PORT, "{{ unit.gateway_port }", "(template)", "is not a valid template"),
        (NGINX, PORT, "{{ unit.gateway_port | shout }}", "(template)", "No filter named 'shout'"),
        (NGINX, PORT, "{{ gateway_port }}", "gateway_port", "is no variable of passport-counter's"),
        (NGINX, "_shared/nginx-probe.conf.j2", "nginx-probe.conf.j2", "(template)", "which does not exist"),
        (NGINX, '"_shared/nginx-probe.conf.j2"', "unit.name", "(template)", "whose name is computed"),
        (NGINX, "_shared/nginx-probe.conf.j2", NGINX, "(template)", "which includes this one again"),
        ("endpoint-host/egress.nft.j2", "endpoint.name", "unit.name", "unit", "is no variable of endpoint-host's"),
        (CHRONY, "{{ time.name }}", "{{ office.name }}", "office", "is no variable of endpoint-host's"),
        (UNIT, NAMED, "template: ngnix.conf.j2", f"{AT}.template", "no template"),
        (UNIT, NAMED, "template: ../nginx.conf.j2", f"{AT}.template", "ends in .j2"),
        (UNIT, NAMED, "template: nginx.conf", f"{AT}.template", "ends in .j2"),
        (UNIT, '"0644"', '"0666"', "files.'counter/settings.json'.mode", "writable by nobody else"),
        (UNIT, '"0644"', '"644"', "files.'counter/settings.json'.mode", "four octal digits"),
        (UNIT, '"0644"', '"4755"', "files.'counter/settings.json'.mode", "four octal digits"),
        (UNIT, '"0644"', "rw-r--r--", "files.'counter/settings.json'.mode", "four octal digits"),
        (UNIT, "gateway/nginx.conf:", "/etc/nginx.conf:", "files.'/etc/nginx.conf'", "a path inside the release"),
        (UNIT, "gateway/nginx.conf:", "gateway/../nginx.conf:", "files.'gateway/../nginx.conf'", "a path inside the"),
        (UNIT, "gateway/nginx.conf:", "gate way/nginx.conf:", "files.'gate way/nginx.conf'", "a path inside the"),
        (UNIT, "gateway/nginx.conf:", "unit/probe:", "files.'unit/probe'", "pulih writes this file itself"),
        (UNIT, "gateway/nginx.conf:", "MANIFEST:", "files.MANIFEST", "pulih writes this file itself"),
        (UNIT, "gateway/nginx.conf:", "counter:", "files.counter", "can't be a file and the folder of"),
        (UNIT, "time/chrony.conf:", "gateway/nginx.conf:", AT, "given twice"),
        (UNIT, "probe:", "porbe:", "porbe", "unknown key"),
        (UNIT, "reload:", "restart:", "restart", "unknown key"),
        (UNIT, "[nginx, -t,", "nginx -t [", "validate[0]", "expected a list"),
        (UNIT, "{{ nonce }}\"", "{{ nonce }\"", "probe[0][9]", "is not a valid template"),
        (UNIT, PORT, "{{ port }}", "probe[0][10]", "uses 'port'"),
        (UNIT, "pulih-egress]", '"{{ nonce }}"]', "reload[0][4]", "uses 'nonce'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_and_line(
    tmp_path: Path, file: str, old: str, new: str, path: str, message: str
) -> None:
    folder, line = edited(tmp_path, file, old, new)
    found = mistakes(folder)
    matching = [text for text in found if text.startswith(f"{file}:{line}: {path}: ") and message in text]
    assert matching, found


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    folder, line = edited(tmp_path, NGINX, PORT, "{{ unit.gateway_port }")
    (folder / "border-gate" / "settings.json.j2").write_text("{{ offfice.title | tojson }}")
    (folder / "stay-permit-desk" / "unit.yaml").write_text("files: {}\n")
    (folder / "endpoint-host" / "egress.nft.j2").write_bytes(b"# one\n# \xff\n")
    found = mistakes(folder)
    assert [text.split(": ")[0] for text in found] == [
        "border-gate/settings.json.j2:1",
        "endpoint-host/egress.nft.j2:2",
        f"passport-counter/nginx.conf.j2:{line}",
        *["stay-permit-desk/unit.yaml:1"] * 4,
    ], found


def test_a_missing_unit_yaml_is_named(tmp_path: Path) -> None:
    folder, _ = edited(tmp_path, NGINX, "worker_processes", "worker_processes")
    (folder / "border-gate" / "unit.yaml").unlink()
    assert mistakes(folder) == ["border-gate/unit.yaml:1: (file): is missing; every kind of unit has one"]


def test_a_folder_that_is_not_there_or_holds_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="cannot be read: No such file"):
        Templates.load(tmp_path / "templates")
    with pytest.raises(DeclarationError, match="holds no kind of unit"):
        Templates.load(tmp_path)


def test_the_digest_covers_names_and_bytes_of_templates_and_nothing_else(tmp_path: Path) -> None:
    folder, _ = edited(tmp_path, NGINX, "# Gateway", "# The gateway")
    before, changed = Templates.load(TEMPLATES).digest, Templates.load(folder).digest
    assert changed != before
    (folder / "passport-counter" / "notes.txt").write_text("not a template")
    assert Templates.load(folder).digest == changed
    (folder / "_shared" / "spare.conf.j2").write_text("# spare\n")
    assert Templates.load(folder).digest != changed


def test_the_same_bytes_are_compiled_once_and_others_anew(tmp_path: Path) -> None:
    folder, _ = edited(tmp_path, NGINX, "# Gateway", "# The gateway")
    first = Templates.load(folder)
    assert Templates.load(folder) is first
    file = folder / "passport-counter" / "unit.yaml"
    file.write_text(f"{file.read_text()}# another comment\n")
    assert Templates.load(folder) is not first


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (NGINX, PORT, "{{ unit.gateway_prot }}", "Unit has no field gateway_prot"),
        (NGINX, PORT, "{{ office.title }}", "office.title: the value for passport-soekarno-hatta"),
        (NGINX, PORT, "{{ unit }}", "is a Unit, which can't be written"),
        (NGINX, PORT, "{{ 1 // 0 }}", "cannot be filled in for passport-soekarno-hatta"),
        (CHRONY, "{{ time.port }}", "{{ time.prot }}", "Endpoint has no field prot"),
        (UNIT, PORT, "{{ unit.gateway_prot }}", "Unit has no field gateway_prot"),
        (UNIT, PORT, "{{ office.title }}", "office.title: the value for passport-soekarno-hatta"),
    ],
)  # fmt: skip
def test_what_shows_only_with_an_estate_is_named_with_the_templates_line(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    folder, line = edited(tmp_path, file, old, new)
    estate = an_estate()
    place = next(place for place in estate.places() if place[2].service == "passport")
    with pytest.raises(DeclarationError) as caught:
        Renderer(estate, Templates.load(folder)).unit(*place)
    assert str(caught.value).startswith(f"{folder}/{file}:{line}: ")
    assert message in str(caught.value)


def test_settings_that_are_no_json_are_refused(tmp_path: Path) -> None:
    folder, _ = edited(tmp_path, "passport-counter/settings.json.j2", "48}", "48},")
    estate = an_estate()
    place = next(place for place in estate.places() if place[2].service == "passport")
    with pytest.raises(DeclarationError, match=r"counter/settings\.json for passport-soekarno-hatta is no JSON"):
        Renderer(estate, Templates.load(folder)).unit(*place)


@pytest.mark.parametrize(
    "expression",
    [
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ unit.__class__.__init__.__globals__ }}",
        "{{ estate.folder.joinpath('/etc/hostname').read_text() }}",
        "{{ estate.templates.parent.name }}",
        "{% for name in ''.__class__.__mro__ %}{% endfor %}",
        "{{ estate.placement.default.clear() }}",
    ],
)
def test_a_template_reaches_neither_python_nor_a_file(tmp_path: Path, expression: str) -> None:
    folder, line = edited(tmp_path, NGINX, PORT, expression)
    estate = an_estate()
    place = next(place for place in estate.places() if place[2].service == "passport")
    with pytest.raises(DeclarationError) as caught:
        Renderer(estate, Templates.load(folder)).unit(*place)
    assert str(caught.value).startswith(f"{folder}/{NGINX}:{line}: ")
    assert "SecurityError" in str(caught.value)
    assert an_estate().placement == estate.placement
