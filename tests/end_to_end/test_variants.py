"""Pruned and sparsified variants of a network in a real sweep: smaller, checked, compared with ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sweep.analysis.outcome import MEASURED
from tests.end_to_end.place import CLUSTER_ALONE, Place

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.timeout(900)]

STUDY = """
study: variants
final: null
models:
  - tiny.onnx
  - {from: tiny, prune: {levels: [0.5]}}
  - {from: tiny, sparsify: {levels: [0.75]}}
opt_levels: [3]
measure: {repeat: 3, max_repeat: 3, rounds: 1, min_repeat_ms: 1}
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
