"""All that sweep writes says of which form it is: a newer one is refused in a line, one that says nothing is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import sweep
from sweep.analysis.rows.saved import read_table
from sweep.api.commands.init import init
from sweep.cli import main
from sweep.errors import RecordError
from sweep.files.sweep_dir import TABLES
from sweep.running.ledger.ledger import Ledger
from tests.api.session.simulated_sweep import begun

STUDY = "study: forms\nmodels: [onnx-light:squeezenet]\ndevices: [sim-0]\ntuners: [{name: none}]\n"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begun(tmp_path_factory.mktemp("forms"), STUDY) / "out"


def test_ledger_plan_tables_and_report_have_an_id(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    assert [one["schema"] for one in events if one["event"] == "run_started"] == ["urn:tvm-sweep:ledger:1"]
    assert json.loads((out / "plan.json").read_text())["$id"] == "urn:tvm-sweep:plan:1"
    for name, file in TABLES.items():
        assert pq.read_schema(out / file).metadata[b"sweep.schema"].decode() == f"urn:tvm-sweep:{name}:1"
    assert main(["report", str(out), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["$id"] == "urn:tvm-sweep:report:1"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_a_newer_version_is_refused_and_one_of_none_is_read(out: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / TABLES[name]
    table = pq.read_table(out / TABLES[name])
    about = table.schema.metadata
    pq.write_table(table.replace_schema_metadata({**about, b"sweep.version": b"2"}), file)
    with pytest.raises(RecordError) as refused:
        read_table(tmp_path, name)
    assert str(refused.value) == f"{file}: is of a newer version of sweep (2); allowed: up to 1"
    former = {key: value for key, value in about.items() if key not in (b"sweep.version", b"sweep.schema")}
    pq.write_table(table.replace_schema_metadata(former), file)
    assert read_table(tmp_path, name).num_rows == table.num_rows


def test_a_ledger_and_a_plan_of_a_newer_version_are_refused_in_a_line(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = Path(shutil.copytree(out, tmp_path / "newer"))
    with Ledger(newer) as ledger:
        ledger.append("run_started", t=1.0, version=2, schema="urn:tvm-sweep:ledger:2", conditions={})
    assert main(["status", str(newer)]) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "a newer version wrote it, in format 2; allowed: up to 1" in line
    newer = Path(shutil.copytree(out, tmp_path / "planned"))
    plan = json.loads((newer / "plan.json").read_text())
    (newer / "plan.json").write_text(json.dumps(plan | {"version": 2, "$id": "urn:tvm-sweep:plan:2"}))
    assert main(["status", str(newer)]) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "is of format 2, which a newer version wrote; allowed: up to 1" in line


def test_what_is_written_for_a_person_says_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    init()
    for file in (tmp_path / "study.yaml", tmp_path / "clusters" / "local.yaml"):
        assert "\nversion: 1\n" in file.read_text()
    sweep.save_study(sweep.load_study("study.yaml"), "again.yaml")
    assert (tmp_path / "again.yaml").read_text().startswith("version: 1\n")
