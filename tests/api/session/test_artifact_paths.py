"""Where the files of a sweep lie."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.api.session.artifact_paths import cell_files, sweeps_below
from sweep.errors import LedgerError
from sweep.running.ledger.ledger import Ledger

STAGES = {"i": "import", "l": "lower", "t": "tune", "b": "build", "m": "measure", "r": "measure"}
RESULTS = {
    "i": {"dir": "artifacts/import/i"},
    "l": {"dir": "artifacts/lower/l"},
    "t": {"records_dir": "records/x/xgb-one"},
    "b": {"dir": "artifacts/build/b"},
    "m": {},
}
FILES = ("artifacts/import/i/model.onnx", "artifacts/lower/l/module.json", "artifacts/build/b/lib.so")


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    folder = tmp_path / "sweeps" / "one"
    for name in (*FILES, "records/x/xgb-one/trials.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    cells = [{"name": "tuned", "stages": list("iltbm")}, {"name": "rival", "stages": ["i", "r"]}]
    cells = [{"id": f"id-{number}", **cell} for number, cell in enumerate(cells)]
    (folder / "plan.json").write_text(json.dumps({"study": "s", "cells": cells, "stages": {}}))
    with Ledger(folder) as ledger:
        ledger.append("run_started", conditions={})
        for stage, result in RESULTS.items():
            ledger.append("stage_done", stage=stage, kind=STAGES[stage], result=result, seconds=1.0, attempt=1)
        ledger.append("run_ended", status="stopped")
    return folder


def test_each_cell_has_the_files_that_were_made(swept: Path) -> None:
    tuned, rival = cell_files(swept)
    names = [*FILES[:2], "records/x/xgb-one", FILES[2]]
    parts = ("network", "lowered", "records", "library")
    assert tuned.files == dict(zip(parts, (swept / name for name in names), strict=True))
    assert (rival.name, list(rival.files)) == ("rival", ["network"])
    assert tuned.as_dict()["library"] == str(swept / FILES[2])


def test_a_network_of_another_format_is_found_by_it(swept: Path) -> None:
    (swept / "artifacts/import/i/model.tflite").touch()
    (swept / "artifacts/import/i/module.json").touch()
    for formats, name in ((["tflite", "onnx"], "model.tflite"), ([], "module.json")):
        with Ledger(swept) as ledger:
            result = {"dir": "artifacts/import/i", "formats": formats}
            ledger.append("stage_done", stage="i", kind="import", result=result, seconds=1.0, attempt=2)
        assert cell_files(swept)[0].files["network"] == swept / "artifacts/import/i" / name


def test_what_was_deleted_is_not_named(swept: Path) -> None:
    (swept / FILES[2]).unlink()
    assert "library" not in cell_files(swept)[0].files


def test_sweeps_below_a_folder_with_how_they_ended(swept: Path) -> None:
    damaged = swept.parent / "two"
    damaged.mkdir()
    (damaged / "ledger.jsonl").write_text("no ledger\nat all\n")
    assert [(one.folder, one.study, one.status) for one in sweeps_below(swept.parent)] == [(swept, "s", "stopped")]


def test_a_folder_that_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError):
        cell_files(tmp_path)
