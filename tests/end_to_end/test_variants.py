"""Pruned and sparsified variants of a network in a real sweep: smaller, checked, compared with ONNX Runtime."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import sweep
from sweep.analysis.outcome import MEASURED
from sweep.analysis.rows.saved import read_saved
from tests.end_to_end.place import CLUSTER_ALONE, Place
from tests.toolchain.training.digits_net import write_net as write_digits_net

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.timeout(900)]

STUDY = """
study: variants
final: null
models:
  - tiny.onnx
  - {from: tiny, prune: {levels: [0.5]}}
  - {from: tiny, sparsify: {levels: [0.75]}}
opt_levels: [3]
measure: {repeat: 3, max_repeat: 3, rounds: 1, min_repeat_ms: 1, retakes: 0}
"""
STEPS = "pretrain_steps: 40, sparse_steps: 40, finetune_steps: 40, batch_size: 32, learning_rate: 0.01"
TRAINED = f"""
study: trained
final: null
models:
  - {{path: digits.onnx, name: digits}}
  - {{from: digits, train: {{dataset: digits, levels: [0.0, 0.8], {STEPS}}}}}
datasets: {{digits: {{sklearn: digits, preprocess: {{divide: 16}}}}}}
opt_levels: [3]
measure: {{repeat: 3, max_repeat: 3, rounds: 1, min_repeat_ms: 1, retakes: 0}}
"""


def test_variants_are_measured_beside_what_they_are_made_of(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", STUDY, CLUSTER_ALONE.format(engine="inline"))
    ended = place.run()
    assert ended.code == 0, ended.err
    rows = pd.read_parquet(place.out / "results.parquet").set_index(["model", "runtime"])
    assert set(rows.status) <= set(MEASURED)
    assert (rows.output_check == "compared").all()
    for runtime in ("tvm", "onnxruntime"):
        whole, small, zeros = (rows.loc[(name, runtime)] for name in ("tiny", "tiny-l1-50", "tiny-magnitude-75"))
        assert pd.isna(whole.variant_of)
        assert (small.variant_of, small.variant_step, small.variant_level) == ("tiny", "prune", 0.5)
        assert small.parameters_removed == pytest.approx(1 - small.parameters / whole.parameters)
        assert small.macs_dense < whole.macs_dense
        assert (zeros.parameters, zeros.macs_dense) == (whole.parameters, whole.macs_dense)
        assert zeros.sparsity == pytest.approx(0.75, abs=0.01)
        assert zeros.macs_sparse < 0.5 * zeros.macs_dense
    assert place.leftovers([]) == []
    checklist = (place.out / "report" / "checklist.md").read_text()
    assert checklist.count("## tiny") == 3
    assert "| made of | tiny: prune l1 at 50% |" in checklist
    everything = sweep.export_zoo(place.out, tmp_path / "zoo", domain="vision", task="toys").networks
    placed = [one for one in everything if one.model.startswith("tiny")]
    names = [re.sub(r"\d{8}", "DATE", str(one.folder.relative_to(tmp_path / "zoo"))) for one in placed]
    assert names[0] == "vision/toys/tiny/original"
    assert re.fullmatch(r"vision/toys/tiny/DATE_sp\d\d_8x8", names[1])
    assert names[2] == "vision/toys/tiny/DATE_sp75_8x8"
    (again,) = sweep.load_study({"study": "again", "models": [str(placed[1].folder)]}).models
    assert again.name == "tiny-l1-50"


@pytest.mark.slow
def test_trained_variants_are_measured_with_their_accuracy(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    place = Place(tmp_path / "place", TRAINED, CLUSTER_ALONE.format(engine="inline"))
    write_digits_net(place.folder / "digits.onnx")
    ended = place.run()
    assert ended.code == 0, ended.err
    rows = pd.read_parquet(place.out / "results.parquet").set_index(["model", "runtime"])
    assert set(rows.status) <= set(MEASURED)
    assert (rows.output_check == "compared").all()
    dense, sparse = (rows.loc[(f"digits-train-{level}", "tvm")] for level in (0, 80))
    assert (sparse.variant_of, sparse.variant_step, sparse.variant_level) == ("digits", "train", 0.8)
    assert sparse.sparsity == pytest.approx(0.8, abs=0.01)
    assert sparse.training_accuracy > 0.7
    assert dense.training_accuracy > 0.8
    summary = read_saved(place.out).summary
    assert [each["model"] for each in summary.training] == ["digits-train-0", "digits-train-80"]
    assert "digits: accuracy against sparsity" in (place.out / "report" / "index.html").read_text()
    assert "(digits-train-0)" in (place.out / "report" / "checklist.md").read_text()
    assert place.leftovers([]) == []
