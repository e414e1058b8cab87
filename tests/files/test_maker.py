"""Who made a folder, and what is said before anything of it is loaded."""

from __future__ import annotations

import logging
import os
import platform
from pathlib import Path

import pytest

from sweep.api.commands.exec import execute
from sweep.errors import StudyError
from sweep.files.maker import foreign_maker, loads, tell_if_foreign
from sweep.study.gate import local_cluster
from tests.api.made_sweep import MadeCell, make_sweep

HERE = platform.node()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_sweep(tmp_path / "made", [MadeCell()])


def test_ones_own_on_this_host_is_nobody_elses(folder: Path) -> None:
    assert foreign_maker(folder, HERE) is None
    assert foreign_maker(folder, None) is None
    assert loads("x", folder, HERE) == "loads x, made by this user on this host; SHA-256 as in its ledger"


def test_another_host_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    tell_if_foreign(folder, HERE)
    tell_if_foreign(folder, "lab-3")

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.endswith(
        "was made by somebody on the host 'lab-3': this run loads its networks and libraries, SHA-256 as in its ledger"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file another user's")
def test_another_user_is_told_by_name_or_number(folder: Path) -> None:
    os.chown(folder / "ledger.jsonl", 65534, 65534)
    assert foreign_maker(folder, HERE) == "user nobody"
    os.chown(folder / "ledger.jsonl", 54321, 54321)
    assert foreign_maker(folder, "lab-3") == "user 54321 on the host 'lab-3'"


def test_a_host_that_is_no_text_is_none(folder: Path) -> None:
    assert foreign_maker(folder, ["\x1b[2J"]) is None
    assert "\x1b" not in str(foreign_maker(folder, "\x1b[2J"))


def test_of_an_earlier_versions_files_no_checksum_is_claimed(folder: Path) -> None:
    assert loads("x", folder, HERE, has_checksums=False).endswith("an earlier version has left no SHA-256 of it")


@pytest.mark.parametrize("file", ["build/b0/lib.so", "import/i0/reference.npz"])
def test_what_rests_on_a_damaged_file_is_not_executed(file: str, folder: Path) -> None:
    (folder / "artifacts" / file).write_bytes(b"")
    cluster = local_cluster()
    said: list[str] = []

    with pytest.raises(StudyError, match=f"WHAT: rests on a damaged file: artifacts/{file} is empty"):
        execute(folder / "artifacts/build/b0", cluster.devices[0].key, cluster, say=said.append)

    assert said == []
