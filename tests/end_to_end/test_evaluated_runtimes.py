"""Networks of other formats are evaluated in their own runtimes by the same stage, and held against their original."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.end_to_end.place import CLUSTER_ONE, Place

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.slow, pytest.mark.timeout(900)]

NETWORKS = Path(__file__).parents[2] / "experiments" / "networks"
STUDY = """
study: runtimes
final: null
models: {models}
opt_levels: [3]
runtimes: [tvm, {runtime}]
measure: {{repeat: 3, max_repeat: 3, rounds: 1, min_repeat_ms: 1, retakes: 0}}
datasets: {{digits: {{sklearn: digits, preprocess: {{divide: 16}}}}}}
evaluate: {{dataset: digits, samples: 200}}
"""


def _rows(place: Place) -> dict[tuple[str, str], dict[str, Any]]:
    ended = place.run()
    assert ended.code == 0, ended.err
    rows = pd.read_parquet(place.out / "results.parquet").to_dict("records")
    return {(row["model"], row["runtime"]): row for row in rows}


def test_litert_evaluates_its_files_and_int8_is_held_against_float32(tmp_path: Path) -> None:
    models = "[digits.tflite, {path: digits-int8.tflite, original: digits}]"
    place = Place(
        tmp_path / "place", STUDY.format(models=models, runtime="litert"), CLUSTER_ONE.format(engine="inline")
    )
    for name in ("digits.tflite", "digits-int8.tflite"):
        shutil.copyfile(NETWORKS / name, place.folder / name)
    rows = _rows(place)
    own = rows["digits", "litert"]
    assert own["accuracy"] > 0.95
    assert {row["accuracy_reference"] for row in rows.values()} == {own["cell_name"]}
    for (model, _), row in rows.items():
        assert row["evaluated_samples"] == 200
        assert row["accuracy_drop"] == pytest.approx(own["accuracy"] - row["accuracy"])
        assert row["agreement"] >= (1 if model == "digits" else 0.97)
    ours, theirs = (rows["digits-int8", runtime]["accuracy"] for runtime in ("tvm", "litert"))
    assert ours == pytest.approx(theirs, abs=1.5 / 200), "kernels round halves each their way: a sample may turn"


def test_torch_evaluates_its_programs(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    place = Place(
        tmp_path / "place", STUDY.format(models="[net.pt2]", runtime="torch"), CLUSTER_ONE.format(engine="inline")
    )
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 10)
    )
    torch.export.save(torch.export.export(network.eval(), (torch.zeros(1, 1, 8, 8),)), place.folder / "net.pt2")
    rows = _rows(place)
    ours, own = rows["net", "tvm"], rows["net", "torch"]
    assert own["evaluated_samples"] == 200
    assert ours["accuracy_reference"] == own["cell_name"]
    assert (ours["agreement"], ours["accuracy"]) == (1.0, own["accuracy"])
