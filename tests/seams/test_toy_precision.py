"""Precisions from outside: a wrong output fails a cell where equality is due, and is the cell's quality elsewhere."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sweep.analysis.outcome import MEASURED
from tests.end_to_end.place import CLUSTER_ALONE, Place
from tests.seams.installed import install_toys

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.timeout(900)]

STUDY = """
study: toy-precisions
final: null
models: [tiny.onnx]
axes: {precision: [strict16, loose16]}
runtimes: [tvm]
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0, rounds: 1}
"""


@pytest.mark.slow
def test_a_cell_that_would_have_failed_is_done_with_its_distance(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", STUDY, CLUSTER_ALONE.format(engine="inline"))
    toys = {name: f"tests.seams.toy_precisions:{name[:-2].upper()}" for name in ("strict16", "loose16")}
    install_toys(place.site, "sweep.precisions", toys)

    ended = place.run()

    rows = pd.read_parquet(place.out / "results.parquet").set_index("precision")
    strict, loose = rows.loc["strict16"], rows.loc["loose16"]
    assert (strict.status, strict.error_class) == ("failed", "OutputMismatch")
    assert pd.isna(strict.latency_ms_median)
    assert loose.status in MEASURED, ended.err
    assert loose.latency_ms_median > 0
    assert 1e-7 < loose.output_max_abs_diff < 1, "how far float16 is off"
    assert loose.output_cosine_distance >= 0
    assert "loose16" in ended.out
