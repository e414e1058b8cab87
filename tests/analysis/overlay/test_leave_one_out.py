from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.leave_one_out import leave_one_out, leave_one_out_of_model
from sweep.analysis.overlay.metric import Criterion, judge
from tests.analysis.overlay.layers import NO, layer, layers, models


def test_the_others_choose_and_the_device_pays() -> None:
    found = leave_one_out(layer([[1.0, 1.0, 3.0], [2.0, 2.0, 1.0]]))
    assert [(one.device, one.config, one.regret) for one in found] == [
        ("a", "c1", 1.0),
        ("b", "c1", 1.0),
        ("c", "c0", 2.0),
    ]
    assert leave_one_out(layer([[1.0]])) == []


def test_why_there_is_no_regret() -> None:
    times = layer([[1.0, NO], [NO, 1.0]], failures={(0, 1): "BuildFailed"})
    assert [one.reason for one in leave_one_out(times)] == ["not measured on a", "failed on b: BuildFailed"]
    [apart, *_] = leave_one_out(layer([[1.0, 1.0, NO], [1.0, NO, 1.0]]))
    assert (apart.config, apart.reason) == (None, "no configuration has a time on all other devices")


def test_what_the_device_alone_found_is_not_known_to_the_others() -> None:
    seconds = [[1.0, 1.0], [2.0, 2.0]]
    found = np.array([[True, False], [False, True]])
    apart = leave_one_out(layer(seconds, found=found))
    assert [(one.config, one.regret) for one in apart] == [("c1", 1.0), ("c0", 0.0)]
    nobody = leave_one_out(layer(seconds, found=np.zeros((2, 2), dtype=np.bool_)))
    assert [one.config for one in nobody] == ["c0", "c0"]


@given(layers(least_devices=2), st.sampled_from(list(Criterion)))
def test_it_is_the_choice_for_the_other_devices_against_the_own_best(times: LayerTimes, criterion: Criterion) -> None:
    for column, one in enumerate(leave_one_out(times, criterion=criterion)):
        others = judge(times.on([key for key in times.devices if key != one.device]), criterion=criterion)
        assert one.config == others.config
        assert (one.regret is None) == (one.reason is not None)
        if one.regret is not None:
            assert others.chosen is not None
            assert one.regret == judge(times).regrets(others.chosen)[column] >= 0


@given(models())
def test_a_model_adds_up_the_layers_that_can_be_told(layers: list[LayerTimes]) -> None:
    apart = [leave_one_out(times) for times in layers]
    for column, one in enumerate(leave_one_out_of_model(layers)):
        told = [(times.weight, found[column]) for times, found in zip(layers, apart, strict=True)]
        spent = sum(weight * found.time_s for weight, found in told if found.time_s is not None)
        assert one.estimate_s == pytest.approx(spent)
        assert one.regret is None or one.regret >= 0
        assert (one.regret is None) == (spent == 0)
        assert set(one.undecided) == {found.layer for _, found in told if found.reason is not None}
