"""The place of shared leases: what is taken, what is refused, and that no secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from recovery.declared import load, write
from recovery.errors import DeclarationError
from recovery.model.bucket import Bucket
from tests.estates import sound_estate, sound_files, write_files


def test_a_place_is_read_into_its_parts() -> None:
    assert Bucket.parse("s3://leases") == Bucket(name="leases", prefix="", region=None, endpoint=None)
    full = Bucket.parse("s3://my.leases/a/b/?region=ap-southeast-3&endpoint=https%3A%2F%2Fs3.example.org:9000/")
    assert full == Bucket(
        name="my.leases", prefix="a/b", region="ap-southeast-3", endpoint="https://s3.example.org:9000"
    )
    assert str(full) == "s3://my.leases/a/b at https://s3.example.org:9000"
    assert Bucket.parse("s3://leases/p?endpoint=http://127.0.0.1:9000").endpoint == "http://127.0.0.1:9000"
    assert str(Bucket.parse("s3://leases/p?endpoint=http://[::1]:9000").address) == "::1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected s3://BUCKET"),
        ("leases", "expected s3://BUCKET"),
        ("https://leases/p", "expected s3://BUCKET"),
        ("s3://Leases/p", "expected s3://BUCKET"),
        ("s3://l/p", "expected s3://BUCKET"),
        ("s3://leases:9000/p", "expected s3://BUCKET"),
        ("s3://leases/../p", "found the prefix '../p'"),
        ("s3://leases/a//b", "found the prefix 'a//b'"),
        ("s3://leases/p q", "found the prefix 'p q'"),
        ("s3://leases/p?zone=a", "found the options zone"),
        ("s3://leases/p?region=a&region=b", "found the options region, region"),
        ("s3://leases/p?region=", "found the region ''"),
        ("s3://leases/p?endpoint=minio", "found the endpoint 'minio'"),
        ("s3://leases/p?endpoint=ftp://minio", "found the endpoint 'ftp://minio'"),
        ("s3://leases/p?endpoint=https://minio/s3", "found the endpoint 'https://minio/s3'"),
        ("s3://leases/p?endpoint=https://minio:port", "found the endpoint 'https://minio:port'"),
        ("s3://leases/p?endpoint=http://10.0.0.1:9000", "plain http is for loopback addresses only"),
        ("s3://leases/p?endpoint=http://localhost:9000", "plain http is for loopback addresses only"),
    ],
)
def test_anything_else_is_refused_with_what_was_found(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^found ") as caught:
        Bucket.parse(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIDEXAMPLE:hush@leases/p",
        "s3://leases/p?aws_secret_access_key=hush",
        "s3://leases/p?endpoint=https://AKIDEXAMPLE:hush@minio",
        "https://leases/p?X-Amz-Signature=hush",
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"^found ") as caught:
        Bucket.parse(text)
    assert "hush" not in str(caught.value)


def declared(folder: Path, *lines: str) -> Path:
    files = sound_files()
    files["estate.yaml"] += "".join(f"{line}\n" for line in lines)
    return write_files(folder, files)


def test_an_estate_that_names_a_place_is_read_and_written(tmp_path: Path) -> None:
    place = "s3://leases/pulih?region=ap-southeast-3"
    estate = load(declared(tmp_path / "one", f"leases: {place}"))
    assert estate.leases == place
    write(estate, tmp_path / "two")
    assert load(tmp_path / "two").leases == place
    write(sound_estate(tmp_path / "two"), tmp_path / "two")
    assert load(tmp_path / "two").leases is None


def test_a_wrong_place_is_a_mistake_on_its_line(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"estate\.yaml:\d+: leases: found the options zone, expected s3://"):
        load(declared(tmp_path, "leases: s3://leases/p?zone=a"))


@pytest.mark.parametrize(
    ("place", "is_sound"),
    [
        ("s3://leases/p", False),
        ("s3://leases/p?endpoint=https://s3.example.org", False),
        ("s3://leases/p?endpoint=https://192.0.2.1", False),
        ("s3://leases/p?endpoint=http://127.0.0.1:9000", True),
        ("s3://leases/p?endpoint=https://10.3.0.1:9000", True),
    ],
)
def test_a_practice_estate_never_holds_the_leases_of_the_real_one(tmp_path: Path, place: str, is_sound: bool) -> None:
    folder = declared(tmp_path, "practice: true", "staging: [10.0.0.0/8]", f"leases: {place}")
    if is_sound:
        assert load(folder).leases == place
        return
    with pytest.raises(DeclarationError, match=r"leases: found .* because estate.yaml says practice: true"):
        load(folder)
