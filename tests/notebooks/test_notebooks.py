"""Every notebook runs from top to bottom on a real sweep, and on logs that were imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nbclient import NotebookClient

import sweep
from sweep.record.parquet_tables import write_records
from tests.networks import write_tiny
from tests.old_logs import autotvm, write_log

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
STUDY = """
study: small
final: null
models: [tiny.onnx]
tuners: [none, {name: random, trials_per_task: 8}, {name: xgb, trials_per_task: 8}]
opt_levels: [3]
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1}
"""
PRUNED = f"""
study: pruned
final: null
models:
  - {{path: {NOTEBOOKS.parent}/experiments/networks/digits.onnx, name: digits}}
  - {{from: digits, prune: {{levels: [0.3, 0.6]}}}}
axes: {{batch: [1, 2, 4]}}
opt_levels: [3]
runtimes: [tvm, onnxruntime]
datasets: {{digits: {{sklearn: digits, preprocess: {{divide: 16}}}}}}
evaluate: {{dataset: digits, samples: 50}}
planner: {{predictor: self, prune: 0.5, audit: 0.5}}
measure: {{repeat: 3, max_repeat: 3, min_repeat_ms: 1}}
"""
QUANTISED = f"""
study: quantised
final: null
models: [{{path: {NOTEBOOKS.parent}/experiments/networks/digits.onnx, name: digits}}]
opt_levels: [3]
runtimes: [tvm]
axes:
  precision:
    - float32
    - int8
    - {{name: bad, dtype: int8, strategy: scale_shift, per: tensor, calibrate: percentile, percentile: 50, calibrate_classes: [0]}}
datasets: {{digits: {{sklearn: digits, preprocess: {{divide: 16}}}}}}
calibration: {{dataset: digits, samples: 40}}
evaluate: {{dataset: digits, samples: 200, layer_error: true}}
measure: {{repeat: 3, max_repeat: 3, min_repeat_ms: 1}}
"""
CLUSTER = "{name: here, engine: inline, devices: [{key: here, cores: [-1]}]}"
LIMIT_S = 300


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    write_tiny(folder / "tiny.onnx")
    (folder / "study.yaml").write_text(STUDY)
    (folder / "cluster.yaml").write_text(CLUSTER)
    command = [sys.executable, "-m", "sweep", "run", "study.yaml", "--cluster", "cluster.yaml", "--out", "out"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pruned")
    (folder / "study.yaml").write_text(PRUNED)
    (folder / "cluster.yaml").write_text(CLUSTER)
    command = [sys.executable, "-m", "sweep", "run", "study.yaml", "--cluster", "cluster.yaml", "--out", "out"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)
    assert ended.returncode == 0, ended.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantised")
    (folder / "study.yaml").write_text(QUANTISED)
    (folder / "cluster.yaml").write_text(CLUSTER)
    command = [sys.executable, "-m", "sweep", "run", "study.yaml", "--cluster", "cluster.yaml", "--out", "out"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)
    assert ended.returncode == 0, ended.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sweep.cli import main

    folder = tmp_path_factory.mktemp("published")
    for key, factor in (("one", 1.0), ("two", 3.0)):
        lines = [autotvm(tile, costs=(factor * 1e-3 * (1 + (tile * 7 % 5)),)) for tile in range(1, 9)]
        write_log(folder / f"{key}.log", *lines)
    logs = [f"{key}={folder}/{key}.log" for key in ("one", "two")]
    assert main(["import", *logs, "--out", str(folder / "out")]) == 0
    return folder


@pytest.fixture(scope="module")
def measured_again(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and as an overlay leaves it: each configuration once more, a third of them among the best."""
    folder = tmp_path_factory.mktemp("again")
    first = pq.read_table(published / "out" / "tuning_records.parquet")
    rows = first.to_pylist()
    for number, row in enumerate(rows):
        turned = [seconds * (1 + number * 5 % 7) for seconds in row["run_secs"]]
        again_s = turned[0] * (2 + number % 4) if number % 3 == 0 else None
        row.update(t=row["t"] + 60.0 - number, run_secs=turned, validated_s=again_s)
    write_records(pa.concat_tables([pa.Table.from_pylist(rows, schema=first.schema), first]), folder)
    return folder


def cells_of(folder: Path) -> pd.DataFrame:
    return sweep.open_results(folder).to_pandas()


def printed(notebook: str, environment: dict[str, Path]) -> str:
    """Execute it; what its cells have printed."""
    document = nbformat.read(NOTEBOOKS / f"{notebook}.ipynb", as_version=4)
    before = dict(os.environ)
    os.environ.update({name: str(path) for name, path in environment.items()})
    try:
        NotebookClient(document, timeout=LIMIT_S, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return "".join(output.get("text", "") for cell in document.cells for output in cell.get("outputs", ()))


@pytest.mark.slow
def test_explore_a_sweep(swept: Path) -> None:
    text = printed("explore_a_sweep", {"SWEEP_DIR": swept / "out"})
    cells = cells_of(swept / "out")
    assert len(cells) == 4
    assert {*cells.status} <= {"done", "tainted"}
    assert f"4 cells: {cells.status.value_counts().to_dict()}\n" in text
    fastest = cells[cells.device == cells.device.iloc[0]].sort_values("latency_ms_median").cell_name
    assert sweep.compare(swept / "out", fastest.iloc[0], fastest.iloc[1]).as_text() in text


@pytest.mark.slow
def test_overlay_over_devices(published: Path, measured_again: Path) -> None:
    for folder in (published / "out", measured_again):
        assert "the same choice in every layer" in printed("overlay_over_devices", {"SWEEP_DIR": folder})


@pytest.mark.slow
def test_tuners_by_replay(swept: Path) -> None:
    environment = {"SWEEP_DIR": swept / "out", "SWEEP_STUDY": swept / "study.yaml"}
    assert "done: 11 attempts in" in printed("tuners_by_replay", environment)


@pytest.mark.slow
def test_prune_profile_predict(pruned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed("prune_profile_predict", {"SWEEP_DIR": pruned})
    cells = cells_of(pruned)
    assert len(cells) == 18
    assert {*cells.status} <= {"done", "tainted", "skipped"}
    assert f"18 cells: {cells.status.value_counts().to_dict()}\n" in text
    sweep.print_report(pruned, "checklist")
    assert capsys.readouterr().out in text
    judged = cells[cells.predicted_low_ms.notna()].status
    assert f"\n{(judged == 'skipped').sum()} of 18 cells were spared; of {(judged == 'done').sum()} in the" in text
    told = [line for line in text.splitlines() if line.startswith(("tvm: ", "onnxruntime: "))]
    measured = cells[cells.status.isin(["done", "tainted"])].runtime.unique()
    assert [line.partition(":")[0] for line in told] == sorted(measured), "of one network nothing tells another"


@pytest.mark.slow
def test_quantise_and_judge(quantised: Path) -> None:
    text = printed("quantise_and_judge", {"SWEEP_DIR": quantised})
    cells = cells_of(quantised).set_index("precision")
    assert f"3 cells: {cells.status.value_counts().to_dict()}\n" in text
    kept = cells[cells.accuracy_drop.fillna(0) <= 0.005]
    best = kept.latency_ms_median.idxmin()
    row = kept.loc[best]
    assert f"digits: {best} in tvm, {row.latency_ms_median:.4g} ms, {row.accuracy:.2%} right\n" in text
    assert best != "bad"
    assert "worse beyond doubt: bad\n" in text
    assert "bad: 200 samples, most often predicted: " in text
    tables = {path.name for path in (quantised / "artifacts" / "calibrate").iterdir()}
    assert len(tables) == 2
    for table in tables:
        assert f"calibration: {{table: artifacts/calibrate/{table}}}  # 40 samples of digits\n" in text


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_kept_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert cells[0]["cell_type"] == "markdown"
