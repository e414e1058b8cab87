"""By which files of a folder are believed: quick looks at size and time, and the content before it is used."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sweep.files.checksums import damage, damage_without_checksums, sums_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "tasks").mkdir(parents=True)
    (made / "lib.so").write_bytes(b"code" * 100)
    (made / "tasks" / "a.json").write_text("{}")
    return made


def _changed_in_silence(path: Path) -> None:
    """As a disk does it: another byte, and no time is another."""
    about, content = path.stat(), path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def test_a_folder_that_is_as_it_was_is_believed_also_as_json_has_it(folder: Path) -> None:
    sums = json.loads(json.dumps(sums_of(folder)))

    assert list(sums) == ["lib.so", "tasks/a.json"]
    for is_read in (False, True):
        assert damage(folder, sums, is_read=is_read) is None


def test_a_copy_is_believed_although_its_times_are_others(folder: Path) -> None:
    sums = sums_of(folder)
    os.utime(folder / "lib.so", ns=(1, 1))

    assert damage(folder, sums, is_read=False) is None


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.write_bytes(b""), "lib.so has 0 bytes in place of 400"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "lib.so has 399 bytes"),
        (lambda path: path.write_bytes(b"edoc" * 100), "another SHA-256"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), "lib.so is no file"),
        (lambda path: (path.unlink(), path.mkdir()), "lib.so is no file"),
    ],
)
def test_damage_is_told_by_a_quick_look(harm: object, told: str, folder: Path) -> None:
    sums = sums_of(folder)
    harm(folder / "lib.so")  # type: ignore[operator]

    assert told in str(damage(folder, sums, is_read=False))


def test_what_is_gone_is_missed_when_it_is_to_be_used(folder: Path) -> None:
    sums = sums_of(folder)
    (folder / "lib.so").unlink()

    assert damage(folder, sums, is_read=False) is None
    assert damage(folder, sums, is_read=True) == "lib.so is not there"


def test_what_a_disk_changes_in_silence_is_found_by_reading(folder: Path) -> None:
    sums = sums_of(folder)
    _changed_in_silence(folder / "lib.so")

    assert damage(folder, sums, is_read=False) is None
    assert "another SHA-256" in str(damage(folder, sums, is_read=True))
    assert "another SHA-256" in str(damage(folder, sums, is_read=False)), "it is known from then on"


@pytest.mark.parametrize("about", [[], [1], [400, 0, None], "abc", [400.5, 0, "0"], ["400", 0, "0"]])
def test_checksums_that_are_none_believe_nothing(about: object, folder: Path) -> None:
    assert damage(folder, {"lib.so": about}, is_read=True)  # type: ignore[dict-item]


def test_a_name_that_leads_out_is_no_file_of_the_folder(folder: Path) -> None:
    (folder.parent / "other").write_text("x")
    sums = {"../other": sums_of(folder.parent)["other"]}

    assert damage(folder, sums, is_read=False) == "../other leads out of its folder"


def test_of_older_versions_names_and_emptiness_are_all_that_is_known(folder: Path) -> None:
    assert damage_without_checksums(folder, ["lib.so", "tasks/a.json"]) is None
    assert damage_without_checksums(folder, ["metadata.json"]) == "metadata.json is not there"
    (folder / "lib.so").write_bytes(b"")
    assert damage_without_checksums(folder, ["lib.so"]) == "lib.so is empty"
