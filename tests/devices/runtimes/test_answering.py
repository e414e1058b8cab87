"""Another runtime answers labelled samples in its own process."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from onnxruntime import InferenceSession

from sweep.datasets.preprocessing import NetworkInput
from sweep.datasets.reading import Wanted, read_samples
from sweep.devices.runtimes.answering.samples_asked import Asked, answer_in_child
from sweep.errors import MeasureFailed
from sweep.files.npz import save_arrays

DIGITS = Path(__file__).parents[3] / "experiments" / "networks" / "digits.onnx"
OPTIONS = {"of": "sklearn", "name": "digits", "test": 0.25, "seed": 0, "preprocess": {"divide": 16}}


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    shutil.copyfile(DIGITS, tmp_path / "model.onnx")
    save_arrays(tmp_path / "inputs.npz", {"image": np.zeros((7, 1, 8, 8), "float32")})
    return tmp_path


def test_a_runtime_answers_as_it_does_by_itself(imported: Path) -> None:
    samples = read_samples(OPTIONS, {}, Wanted("test", 50), NetworkInput([7, 1, 8, 8]))
    told = answer_in_child("onnxruntime", imported, Asked(samples.inputs, 7, "image", 0), (0,), 1)
    scores = InferenceSession(str(DIGITS)).run(None, {"image": samples.inputs})[0]
    assert [ranked[0] for ranked in told.ranked] == scores.argmax(axis=1).tolist()
    assert {len(ranked) for ranked in told.ranked} == {5}
    assert told.classes == 10
    assert told.runtime_version
    assert told.conditions["runtime_threads"] == 1


def test_what_the_runtime_refuses_is_told(imported: Path) -> None:
    wrong = Asked(np.zeros((3, 1, 4, 4), "float32"), 3, "image", 0)
    with pytest.raises(MeasureFailed, match="ONNX Runtime"):
        answer_in_child("onnxruntime", imported, wrong, (0,), 1)
