from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.merged import merge
from sweep.analysis.overlay.metric import judge
from tests.analysis.overlay.layers import NO, layer, models


def test_a_model_is_the_weighted_sum_of_its_choices() -> None:
    conv = layer([[1.0, 4.0], [1.5, 2.0]], layer="conv", weight=2)
    pool = layer([[1.0, 1.0]], layer="pool")
    found = merge([judge(conv), judge(pool)])
    assert found.estimate_s.tolist() == [4.0, 5.0]
    assert found.best_s.tolist() == [3.0, 5.0]
    assert found.regrets.tolist() == pytest.approx([1 / 3, 0])
    assert found.mean_regret == pytest.approx(1 / 6)


def test_an_undecided_layer_is_named_and_in_neither_sum() -> None:
    layers = [judge(layer([[1.0, NO], [NO, 1.0]], layer="conv")), judge(layer([[1.0, 2.0]], layer="pool"))]
    found = merge(layers)
    assert found.undecided == ["conv"]
    assert found.estimate_s.tolist() == found.best_s.tolist() == [1.0, 2.0]
    assert np.isnan(merge(layers[:1]).regrets).all()


@given(models())
def test_a_model_loses_no_more_than_its_worst_layer_and_gains_nothing(layers: list[LayerTimes]) -> None:
    judged = [judge(times) for times in layers]
    found = merge(judged)
    chosen = [one.regrets(one.chosen) for one in judged if one.chosen is not None]
    if chosen:
        assert (found.regrets >= 0).all()
        assert (found.regrets <= np.max(chosen, axis=0) * (1 + 1e-9) + 1e-12).all()
    assert len(found.undecided) == len(layers) - len(chosen)


@pytest.mark.parametrize(
    "layers", [[], [layer([[1.0]]), layer([[1.0, 2.0]])], [layer([[1.0]]), layer([[1.0]], devices=["z"])]]
)
def test_layers_of_other_devices_are_no_model(layers: list[LayerTimes]) -> None:
    with pytest.raises(ValueError, match="same devices"):
        merge([judge(times) for times in layers])
