"""A driver on Ray that is killed while it calibrates: the same command again leaves the table of an undisturbed run."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.files.npz import load_arrays
from tests.devices.parts import until
from tests.end_to_end.place import CLUSTER_ALONE, LIMIT_S, Place

pytestmark = [
    *(pytest.mark.integration, pytest.mark.tvm, pytest.mark.ray, pytest.mark.slow),
    pytest.mark.timeout(900),
]

STUDY = """
study: calibrated
final: null
models: [tiny.onnx]
runtimes: [tvm]
axes: {precision: [int8]}
calibration: {random: 6000}
measure: {repeat: 3, max_repeat: 3, rounds: 1, min_repeat_ms: 1, retakes: 0}
"""


def _table(place: Place) -> tuple[dict[str, Any], Any]:
    (folder,) = (place.out / "artifacts" / "calibrate").iterdir()
    return json.loads((folder / "ranges.json").read_text()), load_arrays(folder / "histograms.npz")["histograms"]


def _is_calibrating(place: Place) -> bool:
    return any(event["kind"] == "calibrate" for event in place.events("attempt_started"))


def test_the_table_is_that_of_an_undisturbed_run(tmp_path: Path) -> None:
    whole = Place(tmp_path / "whole", STUDY, CLUSTER_ALONE.format(engine="inline"))
    assert whole.run().code == 0

    cut = Place(tmp_path / "cut", STUDY, CLUSTER_ALONE.format(engine="ray"))
    running = cut.start()
    until(lambda: _is_calibrating(cut), "a calibration", LIMIT_S)
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=LIMIT_S)
    assert not any(event["kind"] == "calibrate" for event in cut.events("stage_done"))
    ended = cut.run()
    assert ended.code == 0, ended.err

    (expected, histograms), (found, counted) = _table(whole), _table(cut)
    assert found == expected
    assert np.array_equal(counted, histograms)
