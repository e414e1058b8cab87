"""Pruning of published structures, with the random weights that the onnx package's networks get."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sweep.study.model_file import find_model
from sweep.toolchain.models.loader import Shapes
from sweep.toolchain.models.onnx_loader import OnnxLoader
from sweep.toolchain.models.variants.settled_onnx import settled_onnx
from sweep.toolchain.models.variants.structured_pruning import pruned
from sweep.toolchain.models.variants.variant_loader import check_against_zeros, onnx_of

SHAPES = Shapes({}, 1, 0)


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("squeezenet", (0.3, 0.9)),
        ("shufflenet", (0.3, 0.6)),
        pytest.param("resnet50", (0.3, 0.6, 0.9), marks=pytest.mark.slow),
        pytest.param("densenet121", (0.5, 0.9), marks=pytest.mark.slow),
        pytest.param("inception_v2", (0.5, 0.9), marks=pytest.mark.slow),
    ],
)
def test_a_level_is_the_share_of_parameters_that_goes(name: str, levels: tuple[float, ...]) -> None:
    model, _ = find_model(f"onnx-light:{name}", Path("study.yaml"), "models[0]")
    loader = OnnxLoader()
    settled = settled_onnx(onnx_of(loader, loader.load(model.path, model.options), SHAPES))
    for level in levels:
        made = pruned(settled, level, "l1", seed=0)
        assert made.share == pytest.approx(level, abs=0.01)
        assert check_against_zeros(made, SHAPES) is not None
        least = min(
            int(np.count_nonzero(~np.isin(made.analysis.units.roots(labels), list(made.gone))))
            for _, _, labels in made.analysis.producers
        )
        assert least >= 2
