"""A person's key on a token: SoftHSM, by PKCS#11."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from tests.citizens import Office
from tests.tools import need

LIBRARIES = (Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib64/pkcs11/libsofthsm2.so"))
PIN = "4711"
"""Of the token, and of whoever may reset it."""
URI = "hsm:2?label=Ani"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a token with a key, and return its configuration; the library reads it once for the whole process."""
    need("softhsm2-util")
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    command = ["softhsm2-util", "--init-token", "--free", "--label", "Ani", "--pin", PIN, "--so-pin", PIN]
    subprocess.run(command, check=True, capture_output=True)
    import pkcs11
    import pkcs11.util.ec

    library: Any = cast(Any, pkcs11).lib(str(next(path for path in LIBRARIES if path.exists())))
    with library.get_token(token_label="Ani").open(rw=True, user_pin=PIN) as session:  # noqa: S106 - its name
        curve = {pkcs11.Attribute.EC_PARAMS: pkcs11.util.ec.encode_named_curve_parameters("secp256r1")}
        parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
        parameters.generate_keypair(store=True, id=b"\x02", label="Ani")
    return configuration


@pytest.fixture
def office(tmp_path: Path, token: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setenv("SOFTHSM2_CONF", str(token))
    monkeypatch.setenv("PYKCS11LIB", str(next(path for path in LIBRARIES if path.exists())))
    (tmp_path / "pin").write_text(PIN + "\n")
    return Office(tmp_path, capsys, monkeypatch)


def test_a_key_on_a_token_takes_the_place_of_a_file_and_signs(office: Office) -> None:
    public = office.folder / "targets-ani.pub"
    office.ok("keys", "new", "--token", URI, "--key", public)
    people = office.signing("root-1", "root-2", "targets-2", "targets-3")
    office.ok("keys", "change", "--replace", f"targets-1={public}", *people)
    assert office.told()["config_epoch"] == office.epoch
    office.moves()
    carried = office.folder / "carried"
    office.ok("publish", "--prepare", carried)
    said = office.ok("publish", "--sign", carried, "--key", URI, "--passphrase-file", office.folder / "pin")
    assert f"{URI} signed targets.json" in said.out
    office.ok("publish", "--sign", carried, *office.signing("targets-3"))
    office.ok("publish", "--finish", carried)
    assert office.told()["config_epoch"] == office.epoch + 1
    assert [key["name"] for key in office.shown()["keys"] if key["has_signed"]] == ["targets-3", "targets-ani"]


def test_a_wrong_pin_or_a_token_that_is_not_there_is_said_and_not_shown(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.moves()
    (office.folder / "pin").write_text("0815\n")
    given = ("--passphrase-file", office.folder / "pin")
    said = office.pulih("publish", "--key", URI, *given)
    assert said.code == 1
    assert f"{URI}: " in said.err
    assert "is the PIN right?" in said.err
    assert "0815" not in said.err
    said = office.pulih("publish", "--key", "hsm:2?label=Budi", *given)
    assert "No PKCS#11 token found for label Budi" in said.err
    monkeypatch.delenv("PYKCS11LIB")
    said = office.pulih("publish", "--key", URI, *given)
    assert "PYKCS11LIB" in said.err
