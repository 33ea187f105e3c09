"""What the engine is told of a unit, and what is wrong with inputs that say otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.declaration import ENDPOINT, UNIT, Declaration, declaration
from infra.provider.checking import faults
from recovery.errors import DeclarationError, PlanError
from tests.estates import sound_files, write_files

REGION = "west"


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("estate"), sound_files())


@pytest.fixture(scope="module")
def declared(estate: Path) -> Declaration:
    return declaration(estate, REGION)


def given(declared: Declaration, **changed: object) -> dict[str, Any]:
    """Return the inputs of a unit, some of them changed; None leaves one out."""
    name = next(iter(declared.deployables))
    inputs = {**declared.deployables[name].inputs, **changed}
    return {key: value for key, value in inputs.items() if value is not None}


def found(declared: Declaration, inputs: dict[str, Any]) -> list[str]:
    unit = declared.deployables.get(str(inputs.get("unit")))
    return [fault.path for fault in faults(UNIT, inputs, unit)]


def test_what_the_declaration_makes_has_no_fault(declared: Declaration) -> None:
    for name, deployable in declared.deployables.items():
        assert faults(UNIT, deployable.inputs, deployable) == ()
        assert deployable.inputs["unit"] == name
        assert deployable.inputs["digest"] == deployable.bundle.digest


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"unit": None}, "unit"),
        ({"unit": "Not A Slug"}, "unit"),
        ({"unit": 7.0}, "unit"),
        ({"office": "elsewhere"}, "office"),
        ({"service": "visa"}, "service"),
        ({"dataCentre": "cloud-1"}, "dataCentre"),
        ({"endpoint": "passport-cloud-1"}, "endpoint"),
        ({"digest": "sha256:beef"}, "digest"),
        ({"digest": "sha256:" + "0" * 64}, "digest"),
        ({"files": "all of them"}, "files"),
        ({"files": {}}, "files"),
        ({"files": {"../etc/passwd": "0" * 64}}, 'files["../etc/passwd"]'),
        ({"files": {"/etc/passwd": "0" * 64}}, 'files["/etc/passwd"]'),
        ({"files": {"gateway/nginx.conf": "short"}}, 'files["gateway/nginx.conf"]'),
        ({"password": "hunter2"}, "password"),
    ],
)
def test_a_bad_input_is_named_by_its_property_path(
    declared: Declaration, changed: dict[str, object], path: str
) -> None:
    assert path in found(declared, given(declared, **changed))


def test_every_bad_input_is_reported_at_once(declared: Declaration) -> None:
    paths = found(declared, given(declared, office=None, digest="x", files={"a b": "0" * 64}))
    assert paths == ["office", "digest", 'files["a b"]']


def test_a_file_that_differs_from_the_declaration_is_named(declared: Declaration) -> None:
    files = dict(given(declared)["files"])
    files["gateway/nginx.conf"] = "0" * 64
    assert found(declared, given(declared, files=files)) == ['files["gateway/nginx.conf"]']


def test_a_unit_of_another_region_is_refused(declared: Declaration) -> None:
    inputs = given(declared, unit="somewhere-else")
    (fault,) = faults(UNIT, inputs, None)
    assert fault.path == "unit"
    assert "not among what the declaration deploys in this stack" in fault.reason


def test_a_data_centres_stack_deploys_the_endpoints_that_serve_somebody(estate: Path) -> None:
    serving = declaration(estate, "pdns-2").deployables
    assert sorted(serving) == ["border-crossing-pdns-2", "identity-pdns-2", "passport-pdns-2", "time-pdns-2"]
    assert declaration(estate, "cloud-1").deployables == {}
    for deployable in serving.values():
        assert faults(ENDPOINT, deployable.inputs, deployable) == ()


def test_a_stack_of_no_region_and_no_data_centre_says_which_there_are(estate: Path) -> None:
    with pytest.raises(PlanError, match=r"The stack atlantis is neither .* pdns-2, cloud-1"):
        declaration(estate, "atlantis").stack("atlantis")


def test_a_mistake_of_the_estate_comes_with_file_and_line(tmp_path: Path) -> None:
    files = sound_files()
    files["estate.yaml"] = files["estate.yaml"].replace("region: 32", "region: many")
    folder = write_files(tmp_path, files)
    with pytest.raises(DeclarationError, match=r"estate\.yaml:\d+: limits\.region"):
        declaration(folder, "pdns-2")


def test_a_retired_unit_is_not_deployed(estate: Path) -> None:
    assert "embassy-passport-old" in (estate / "regions" / "east.yaml").read_text()
    assert list(declaration(estate, "east").deployables) == ["embassy-passport"]
