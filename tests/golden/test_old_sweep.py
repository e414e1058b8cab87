"""A sweep directory of an earlier version is resumed with nothing executed, and read with the same numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import sweep
from sweep.api.commands import run as run_command
from sweep.api.overlay.overlay import write
from sweep.api.session.table_cache import refresh
from sweep.cli import main
from sweep.planning.kinds import STAGE_KINDS
from sweep.record.mlflow.run_values import cell_tags, metrics, params
from sweep.running.ledger.ledger import read_ledger
from sweep.running.ledger.saved_plan import restore
from sweep.running.ledger.sweep_outcome import sweep_outcome
from tests.golden.conftest import HERE

STUDY, CLUSTER = HERE / "study.yaml", HERE / "cluster.yaml"


def agree(value: Any, expected: Any, where: str = "") -> None:
    """Assert that all that is expected is there; what later versions add beside it is no matter."""
    if isinstance(expected, Mapping):
        assert isinstance(value, Mapping), where
        for key, inner in expected.items():
            assert key in value, f"{where}.{key} is gone"
            agree(value[key], inner, f"{where}.{key}")
    elif isinstance(expected, Sequence) and not isinstance(expected, str):
        assert isinstance(value, Sequence), where
        assert len(value) == len(expected), where
        for index, inner in enumerate(expected):
            agree(value[index], inner, f"{where}[{index}]")
    elif isinstance(expected, float):
        assert value == pytest.approx(expected, rel=1e-9, abs=0), where
    else:
        assert value == expected, where


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> Any:
    """What a command prints as JSON."""
    assert main([str(argument) for argument in arguments]) == code
    return json.loads(capsys.readouterr().out)


def saved_plan(folder: Path) -> Any:
    return json.loads((folder / "plan.json").read_text(encoding="utf-8"))


class NoEngine:
    """Refuses all work."""

    def __init__(self, *_: object, **__: object) -> None:
        raise AssertionError("a finished sweep asked for an engine")


def test_the_same_run_again_executes_nothing(
    old_sweep: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]
) -> None:
    monkeypatch.setattr(run_command, "EngineSession", NoEngine)
    before = (old_sweep / "ledger.jsonl").read_bytes()
    ended = sweep.run(sweep.load_study(STUDY), sweep.load_cluster(CLUSTER), out=old_sweep)
    assert (ended.executed, ended.status, ended.cells) == (0, "failed", 22)  # as it ended then
    assert (old_sweep / "ledger.jsonl").read_bytes() == before
    agree(sweep.standing(old_sweep).as_dict(), answers["status"])
    # plan.json is written anew by each run
    agree(saved_plan(old_sweep), saved_plan(HERE / "sweep-4932e56"))


def test_a_folder_that_lacks_a_result_asks_for_an_engine(old_sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_command, "EngineSession", NoEngine)
    ledger = old_sweep / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().split(b'"event":"run_ended"')[0].rpartition(b"\n")[0] + b"\n")
    with pytest.raises(AssertionError, match="asked for an engine"):
        sweep.run(sweep.load_study(STUDY), sweep.load_cluster(CLUSTER), out=old_sweep)


def test_plan_counts_what_is_there(
    old_sweep: Path, capsys: pytest.CaptureFixture[str], answers: dict[str, Any]
) -> None:
    agree(said(capsys, "plan", STUDY, "--cluster", CLUSTER, "--out", old_sweep, "--json"), answers["plan"])


def test_status(old_sweep: Path, capsys: pytest.CaptureFixture[str], answers: dict[str, Any]) -> None:
    agree(said(capsys, "status", old_sweep, "--json"), answers["status"])


@pytest.mark.parametrize("folder", ["old_sweep", "old_sweep_without_tables"])
def test_report(
    folder: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], answers: dict[str, Any]
) -> None:
    report = said(capsys, "report", request.getfixturevalue(folder), "--format", "json")
    agree(report, {name: value for name, value in answers["report"].items() if name != "answer"})
    # That version counted what could not be told apart as fastest, and untuned cells among the best tuned ones
    assert report["answer"] == (
        "Over 1 model on 2 devices, untuned at O3 on native has the best known time in 2 of 4, beyond doubt in 0; "
        "the best tuned cells run 1.02x as fast as untuned; the best cells take 0.128x to 0.215x the time of "
        "ONNX Runtime (slower than it in 0 of 4). "
        "Open in 2 of 4: 2 tainted cells may be faster (`sweep run ... --retry-tainted`).\n"
        "In 2 of 6 model-device pairs: no latency: 6 cells failed, mostly by ImportFailed in import."
    )


@pytest.mark.parametrize("table", sorted(path.name for path in (HERE / "sweep-4932e56").glob("*.parquet")))
def test_tables_made_anew_have_the_rows_that_they_had(table: str, old_sweep_without_tables: Path) -> None:
    refresh(old_sweep_without_tables)
    expected = pq.read_table(HERE / "sweep-4932e56" / table)
    agree(pq.read_table(old_sweep_without_tables / table).to_pylist(), expected.to_pylist(), table)


def test_compare(old_sweep: Path, capsys: pytest.CaptureFixture[str], answers: dict[str, Any]) -> None:
    for cells, expected in answers["compare"].items():
        # That version left out the end of the interval that is known of what was slowed, and what the notes say of it
        ends = {"notes", *(name for name, value in expected.items() if name.startswith("ratio_ci") and value is None)}
        known = {name: value for name, value in expected.items() if name not in ends}
        agree(said(capsys, "compare", old_sweep, *cells.split(" | "), "--json"), known, cells)


@pytest.mark.parametrize("folder", ["old_sweep", "old_sweep_without_tables"])
def test_overlay(folder: str, request: pytest.FixtureRequest, answers: dict[str, Any], tmp_path: Path) -> None:
    path = request.getfixturevalue(folder)
    overlay = sweep.overlay(path)
    agree(overlay.as_dict(), answers["overlay"])
    written = {file.relative_to(tmp_path).as_posix() for file in write(overlay, tmp_path / "overlay", "Overlay", path)}
    assert written >= {"overlay/overlay.csv", "overlay/details.csv", "overlay/merged/database_tuning_record.json"}


def test_what_goes_to_mlflow(old_sweep: Path, answers: dict[str, Any]) -> None:
    saved = restore(old_sweep)
    outcome = sweep_outcome(saved.plan, saved.question, read_ledger(old_sweep), old_sweep)
    points = {
        cell.cell.name: {
            "params": params(cell),
            "tags": cell_tags(cell, "sweep"),
            "metrics": {f"{p.name} {p.step} {p.t_ms}": p.value for p in metrics(cell, now=0.0)},
        }
        for cell in outcome.cells
    }
    for expected in answers["mlflow"].values():
        expected["metrics"] = {f"{name} {step} {t_ms}": value for name, value, t_ms, step in expected["metrics"]}
    agree(points, answers["mlflow"])


def test_the_models_of_the_plan(old_sweep: Path) -> None:
    for name, model in restore(old_sweep).models.items():
        path = HERE / f"{name}.onnx"
        assert model == {"source": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_what_would_be_done_again_is_said_of_a_plan_that_tells_no_versions(
    old_sweep: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The versions that give the ids which it has are found."""
    lower = STAGE_KINDS.get("lower")
    monkeypatch.setitem(STAGE_KINDS._loaded, "lower", dataclasses.replace(lower, revision=lower.revision + 1))
    monkeypatch.setattr(STAGE_KINDS, "_all", None)
    notes = said(capsys, "plan", STUDY, "--cluster", CLUSTER, "--out", old_sweep, "--json")["notes"]
    again = [note for note in notes if note.startswith("done again")]
    assert [note.partition(";")[0] for note in again] == [
        f"done again: 10 lower stages of 12 cells: recipe {lower.revision} -> {lower.revision + 1}",
        "done again: 2 tune stages of 2 cells: made from another lower",
        "done again: 12 build stages of 12 cells: made from another lower and tune",
        "done again: 12 measure stages of 12 cells: made from another build and import",
    ]
