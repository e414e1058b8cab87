"""What 8 bits cost a network that knows handwritten digits: little, and much where ranges are cut on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from sweep.datasets.preprocessing import NetworkInput
from sweep.datasets.reading import Samples, Wanted, read_samples
from sweep.study.gate import load_study
from sweep.toolchain.models.onnx_shapes import fix_shapes
from sweep.toolchain.quantisation.calibration_samples import samples_for
from sweep.toolchain.quantisation.prepared_network import prepared, session_of
from sweep.toolchain.quantisation.qdq_network import quantised
from sweep.toolchain.quantisation.range_table import observe

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
STUDY = load_study(EXPERIMENTS / "quantisation.yaml")
PRECISIONS = STUDY.described["precision"]
BAD = "bad"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    network = onnx.load(str(EXPERIMENTS / "networks" / "digits.onnx"))
    path = tmp_path_factory.mktemp("digits") / "digits.onnx"
    fix_shapes(network, {}, 1, None)
    onnx.save(network, str(path))
    return prepared(path)


@pytest.fixture(scope="module")
def held_out() -> Samples:
    return read_samples(STUDY.datasets["digits"].options, {}, Wanted("test"), NetworkInput([1, 1, 8, 8], "float32"))


def accuracy(model: Any, samples: Samples) -> float:
    session, name = session_of(model.SerializeToString()), model.graph.input[0].name
    answers = [int(session.run(None, {name: one[None]})[0].argmax()) for one in samples.inputs]
    return float(np.mean(np.asarray(answers) == samples.labels))


def in_integers(model: Any, name: str) -> Any:
    options = PRECISIONS[name].options
    calibration = {**STUDY.calibration.options, "seed": 0}
    calibration |= {key: options[key] for key in ("calibrate_classes",) if key in options}
    samples = samples_for(model, calibration, STUDY.calibration.hints)
    return quantised(model, observe(model, samples, samples.samples, samples.source), options).model


def test_the_float_network_is_worth_the_comparison(model: Any, held_out: Samples) -> None:
    assert len(held_out) == 450
    assert accuracy(model, held_out) >= 0.97


KL = "minmax-kl"
"""Thresholds by divergence take seconds: one of them is tried by default."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.endswith("-kl") and name != KL else name
        for name in sorted(set(PRECISIONS) - {BAD})
    ],
)
def test_eight_bits_lose_half_a_point_at_most(model: Any, held_out: Samples, name: str) -> None:
    assert accuracy(in_integers(model, name), held_out) >= accuracy(model, held_out) - 0.005


def test_what_is_bad_on_purpose_is_seen_to_be_bad(model: Any, held_out: Samples) -> None:
    assert accuracy(in_integers(model, BAD), held_out) < accuracy(model, held_out) - 0.05
