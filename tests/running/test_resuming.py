"""Files of earlier runs are believed while they are as they were made; what is damaged, the same run makes again."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from sweep.files.checksums import sums_of
from sweep.planning.kinds import kind_of
from sweep.planning.stage import Plan
from sweep.running.contract import Attempt, Done
from sweep.running.driver import drive
from sweep.running.ledger.ledger import Ledger
from sweep.running.options import RunOptions
from sweep.running.resuming import usable_results
from tests.running.plans import plan_of, stage

STAGES = [
    stage("i", "import"),
    stage("l", "lower", "i"),
    stage("b", "build", "l"),
    stage("m", "measure", "i", "b", device="d0"),
]
FILES = {
    "import": ("module.json", "inputs.npz", "reference.npz"),
    "lower": ("module.json", "lowering.json"),
    "build": ("lib.so", "metadata.json"),
}


def whole() -> Plan:
    return plan_of([*STAGES], ["m"])


def longer() -> Plan:
    """As after a further measurement was asked for."""
    return plan_of([*STAGES, stage("m2", "measure", "i", "b", device="d1")], ["m", "m2"])


class Maker:
    """An engine whose stages leave files, with their checksums or, as an earlier version, without."""

    capacity: Mapping[str, int] = {"compile": 1}

    def __init__(self, folder: Path, *, is_old: bool = False) -> None:
        self.folder, self.is_old = folder, is_old
        self.made: list[str] = []
        self._reports: list[Done] = []

    def start(self, attempt: Attempt) -> None:
        kind, names = attempt.stage.kind, FILES.get(attempt.stage.kind)
        self.made.append(attempt.stage.id)
        told: dict[str, object] = {"reference": True} if kind == "import" else {}
        if names is not None:
            told["dir"] = f"artifacts/{kind}/{attempt.stage.id}"
            path = self.folder / str(told["dir"])
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
            for name in names:
                (path / name).write_text(f"{name} of {kind}")
            if not self.is_old:
                told["files"] = sums_of(path)
        result = kind_of(attempt.stage).result.of_job(told)
        self._reports.append(Done(attempt.stage.id, attempt.number, result, 1.0, "w"))

    def poll(self, timeout_s: float) -> Sequence[Done]:
        reports, self._reports = self._reports, []
        return reports

    def close(self) -> None:
        pass


def made(folder: Path, plan: Plan, *, is_old: bool = False) -> list[str]:
    """What a run makes of a plan."""
    engine = Maker(folder, is_old=is_old)
    with Ledger(folder) as ledger:
        assert drive(plan, engine, ledger, folder).status == "done"
    return engine.made


def harmed_in_silence(path: Path) -> None:
    about = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


HARMS: dict[str, Callable[[Path], object]] = {
    "another content": lambda path: path.write_text("x" * len(path.read_text())),
    "cut": lambda path: path.write_text(path.read_text()[:-1]),
    "emptied": lambda path: path.write_text(""),
    "a link": lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("file", ["import/i/reference.npz", "lower/l/module.json", "build/b/lib.so"])
def test_what_is_damaged_the_same_command_makes_again_and_says_so(
    harm: str, file: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert made(tmp_path, whole()) == ["i", "l", "b", "m"]
    HARMS[harm](tmp_path / "artifacts" / file)

    assert made(tmp_path, whole()) == [file.split("/")[1]]

    (line,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert line.startswith(f"artifacts/{file} ")
    assert line.endswith("is made again")
    assert made(tmp_path, whole()) == []


@pytest.mark.parametrize("harm", [harmed_in_silence, Path.unlink])
def test_what_no_look_at_size_and_time_tells_is_found_before_it_is_used(
    harm: Callable[[Path], object], tmp_path: Path
) -> None:
    made(tmp_path, whole())
    harm(tmp_path / "artifacts/import/i/reference.npz")
    assert made(tmp_path, whole()) == [], "nothing needs it"

    assert made(tmp_path, longer()) == ["i", "m2"], "an unchecked cell else"


def test_what_was_damaged_below_what_is_made_again_is_made_again_first(tmp_path: Path) -> None:
    made(tmp_path, whole())
    harmed_in_silence(tmp_path / "artifacts/import/i/module.json")
    harmed_in_silence(tmp_path / "artifacts/lower/l/module.json")
    (tmp_path / "artifacts/build/b/lib.so").write_text("")

    assert made(tmp_path, whole()) == ["i", "l", "b"]


def test_a_folder_that_somebody_has_deleted_is_made_again_where_it_is_needed(tmp_path: Path) -> None:
    made(tmp_path, whole())
    shutil.rmtree(tmp_path / "artifacts/import")

    assert made(tmp_path, whole()) == []
    assert made(tmp_path, longer()) == ["i", "m2"]


def test_a_copy_whose_times_are_others_is_believed(tmp_path: Path) -> None:
    made(tmp_path / "here", whole())
    shutil.copytree(tmp_path / "here", tmp_path / "there", copy_function=shutil.copyfile)

    assert made(tmp_path / "there", longer()) == ["m2"]


def test_artifacts_of_an_earlier_version_are_taken_as_they_are_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made(tmp_path, whole(), is_old=True)

    assert made(tmp_path, longer()) == ["m2"]

    assert [record.message for record in caplog.records] == [
        "2 artifacts of an earlier version have no checksums: taken as they are"
    ]


def test_of_an_earlier_version_what_is_missing_or_empty_is_seen(tmp_path: Path) -> None:
    made(tmp_path, whole(), is_old=True)
    (tmp_path / "artifacts/import/i/reference.npz").unlink()
    (tmp_path / "artifacts/build/b/lib.so").write_text("")

    assert made(tmp_path, whole()) == []
    assert made(tmp_path, longer()) == ["i", "b", "m2"]


def test_a_line_of_the_ledger_has_size_time_and_sha256_of_each_file(tmp_path: Path) -> None:
    made(tmp_path, whole())

    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    built = next(line for line in lines if line["event"] == "stage_done" and line["kind"] == "build")

    assert built["result"]["files"] == sums_of(tmp_path / "artifacts/build/b")
    assert [len(about[2]) for about in built["result"]["files"].values()] == [64, 64]


def test_each_file_is_read_once_however_often_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, whole())
    read: list[str] = []
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *a, **k: (read.append(path.name), opened(path, *a, **k))[1])
    with Ledger(tmp_path) as ledger:
        for _ in range(3):
            assert usable_results(longer(), ledger, tmp_path, RunOptions()).done == {"i", "l", "b", "m"}

    assert not {name for names in FILES.values() for name in names}.intersection(read)
