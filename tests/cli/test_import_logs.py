"""`sweep import-logs` as a person types it: what it answers, and its one line for each slip."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Sweep
from tests.cli.test_bad_input import assert_one_line
from tests.old_logs import ansor, autotvm, write_log


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a log of each tuner."""
    monkeypatch.chdir(tmp_path)
    write_log(Path("rasp4.log"), "# published", autotvm(1), autotvm(2, number=7), autotvm(1))
    write_log(Path("tx2.log"), autotvm(1, costs=(1e-3,)), autotvm(2, costs=(2e-3,)))
    write_log(Path("ansor.json"), ansor())
    return tmp_path


def test_what_is_answered(logs: Path, sweep: Sweep) -> None:
    said = sweep("import-logs", "rasp4=rasp4.log", "tx2=tx2.log", "--out", "out")

    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "rasp4.log: AutoTVM on rasp4, 4 lines, 2 new records of 1 workload, of these failed: 1 MeasureTimeout",
        "  left out: 1 repeated, 1 comment",
        "tx2.log: AutoTVM on tx2, 2 lines, 2 new records of 1 workload",
        "out/tuning_records.parquet: 4 records of 1 workload on rasp4, tx2; 1 with a time on two devices or more",
    ]
    again = sweep("import-logs", "tx2.log", "--device", "tx2", "--out", "out")
    assert again.code == 0
    assert again.out.splitlines()[:2] == [
        "tx2.log: AutoTVM on tx2, 2 lines, 0 new records",
        "  left out: 2 imported before",
    ]


def test_json(logs: Path, sweep: Sweep) -> None:
    for arguments in (["--json", "import-logs"], ["import-logs", "--json"]):
        said = sweep(*arguments, "ansor.json", "--device", "here", "--out", "out")
        told = json.loads(said.out)
        assert (told["records"], told["devices"], told["logs"][0]["tuner"]) == (1, ["here"], "ansor")
    assert pq.read_table("out/tuning_records.parquet")["task"].to_pylist() == ["matmul_relu (96,64,32) float32"]


BAD = {
    "no log": ("--device a", ["LOG", "sweep import-logs"]),
    "no folder": ("rasp4=rasp4.log", ["--out"]),
    "no device": ("rasp4.log", ["LOG", "names no device", "'rasp4.log'", "--device KEY, or KEY=LOG"]),
    "a device that is no key": ("a/b=rasp4.log", ["KEY=LOG", "is no key of a device", "'a/b'", "letters, digits"]),
    "a device above": ("--device .. rasp4.log", ["--device", "'..'", "letters, digits"]),
    "an empty key": ("=rasp4.log", ["KEY=LOG", "is no key of a device", "''"]),
    "an absent log": ("tx2=tx1.log", ["tx1.log", "does not exist", "AutoTVM or Ansor"]),
    "a log's name that is too long": (f"a={'x' * 300}", ["does not exist"]),
    "a folder as log": ("a=.", ["is a directory", "AutoTVM or Ansor"]),
    "a device file as log": ("a=/dev/null", ["/dev/null", "is not a file"]),
    "an empty log": ("a=empty.log", ["empty.log: is empty", "at least one line"]),
    "comments alone": ("a=comments.log", ["comments.log: holds no tuning record", "at least one line"]),
    "not JSON": ("a=torn.log", ["torn.log: line 2: is not JSON", "AutoTVM 0.2", "Ansor v0.2 to v0.6"]),
    "mixed": ("a=mixed.log", ["mixed.log: line 2: is of Ansor, and line 1 of AutoTVM", "one format in a file"]),
    "an unknown version": ("a=new.log", ["new.log: line 1", "'v0.9'", "allowed: v0.2 to v0.6"]),
    "an old version": ("a=old.log", ["old.log: line 1", "log version 0.1", "allowed: 0.2"]),
    "pickled": ("a=pickled.log", ["pickled.log: line 1: is pickled", "wrote as JSON"]),
    "a good log before a bad one": ("tx2=tx2.log a=torn.log", ["torn.log: line 2"]),
}


@pytest.mark.parametrize(("line", "says"), BAD.values(), ids=BAD)
def test_bad_input(line: str, says: list[str], logs: Path, sweep: Sweep) -> None:
    Path("empty.log").touch()
    write_log(Path("comments.log"), "# nothing", "")
    write_log(Path("torn.log"), autotvm(), '{"input":', autotvm())
    write_log(Path("mixed.log"), autotvm(), ansor())
    write_log(Path("new.log"), ansor(version="v0.9"))
    write_log(Path("old.log"), json.dumps({"i": [], "r": [], "v": 0.1}))
    write_log(Path("pickled.log"), "cuda\tgANd\tgANd\tgANd")

    assert_one_line(
        sweep("import-logs", *line.split(), *([] if line == BAD["no folder"][0] else ["--out", "out"])), says
    )

    assert not Path("out").exists()


def test_a_log_that_may_not_be_read(logs: Path, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the root user everything may be, so the answer of the system is made up here."""
    whole = Path.open

    def refusing(self: Path, *arguments: object, **options: object) -> object:
        if self.name == "tx2.log":
            raise PermissionError(13, os.strerror(13))
        return whole(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refusing)
    assert_one_line(sweep("import-logs", "a=tx2.log", "--out", "out"), ["tx2.log", "cannot be read: Permission denied"])
    assert not Path("out").exists()


FOLDERS = {
    "a file": ("tx2.log", ["is not a folder", "a new, an empty"]),
    "other things": (".", ["holds other things", "an earlier import's"]),
    "a sweep": ("sweep", ["is a sweep's", "an earlier import's"]),
    "below a file": ("tx2.log/out", ["cannot be used", "a folder that can be written"]),
    "in /proc": ("/proc/out", ["cannot be used"]),
    "too long": ("x" * 300, ["cannot be used"]),
}


@pytest.mark.parametrize(("out", "says"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_that_is_no_place_for_it(out: str, says: list[str], logs: Path, sweep: Sweep) -> None:
    Path("sweep").mkdir()
    Path("sweep/ledger.jsonl").touch()
    before = sorted(logs.rglob("*"))

    assert_one_line(sweep("import-logs", "tx2=tx2.log", "--out", out), ["--out", *says])

    assert sorted(logs.rglob("*")) == before


def test_a_sweep_does_not_run_into_an_import(here: Path, sweep: Sweep) -> None:
    write_log(Path("a.log"), autotvm())
    assert sweep("import-logs", "one=a.log", "--out", "out").code == 0

    said = sweep("run", "study.yaml", "-c", "cluster.yaml", "--out", "out")

    assert_one_line(said, ["--out", "holds other things"])


def test_the_former_name_goes_on_working_with_a_note_and_is_listed_nowhere(logs: Path, sweep: Sweep) -> None:
    said = sweep("import", "rasp4=rasp4.log", "--out", "out")
    assert said.code == 0
    assert said.out.splitlines()[0].startswith("rasp4.log: AutoTVM on rasp4")
    assert said.err == "sweep: note: `sweep import` is now `sweep import-logs`; this name goes on working\n"
    listed = [line.split()[0] for line in sweep("--help").out.splitlines() if line.startswith("  ") and line.split()]
    assert "import-logs" in listed
    assert "import" not in listed
