"""What the benchmark of single layers says of its ratios, and which layers it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.tuning.kernel_layers import LAYERS
from benchmarks.tuning.kernels import bench_kernels, median_interval


def test_the_interval_is_of_the_fourth_least_and_greatest_of_15() -> None:
    assert median_interval([*range(15, 0, -1)]) == (8, 4, 12)
    assert median_interval([1.0, 2.0, 3.0]) == (2.0, 1.0, 3.0), "three say no more than where they lie"


def test_the_interval_holds_the_median_nearly_always() -> None:
    random = np.random.default_rng(0)
    intervals = [median_interval(random.lognormal(size=15)) for _ in range(2_000)]
    share = np.mean([low <= 1.0 <= high for _, low, high in intervals])
    assert 0.95 <= share <= 0.98


def test_every_layer_is_a_network_that_onnx_runtime_takes() -> None:
    import onnxruntime

    for make in LAYERS.values():
        session = onnxruntime.InferenceSession(make().model.SerializeToString(), providers=["CPUExecutionProvider"])
        assert [one.name for one in session.get_inputs()] == ["x"]


def test_a_layer_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no layer is called AlexNet; there are MobileNetV2 112x112x32"):
        bench_kernels(tmp_path, ["AlexNet"])
