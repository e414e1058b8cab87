"""How few are enough, against every choice there is."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.analysis.overlay.k_configurations import few_for_layer, few_for_model
from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.merged import merge
from sweep.analysis.overlay.metric import judge
from tests.analysis.overlay.layers import NO, layer, layers, models, reordered


def least_mean(times: LayerTimes, count: int) -> float:
    """Over every set of so many configurations; infinite where no set gives every device a time."""
    regrets = (times.seconds - judge(times).best_s) / judge(times).best_s
    regrets = np.where(np.isnan(regrets), np.inf, regrets)
    rows = range(len(regrets))
    return min(float(regrets[list(some)].min(axis=0).mean()) for some in combinations(rows, min(count, len(regrets))))


@given(layers())
@settings(deadline=None)
def test_a_layer_agrees_with_every_set_of_configurations(times: LayerTimes) -> None:
    found = {one.count: one for one in few_for_layer(times)}
    for count in range(1, len(times.devices) + 1):
        least = least_mean(times, count)
        assert (count in found) == np.isfinite(least)
        if count in found:
            assert found[count].mean_regret == pytest.approx(least, rel=1e-9, abs=1e-12)
            assert found[count].is_exact


@given(layers(), st.booleans())
@settings(deadline=None)
def test_points_of_a_layer_never_rise_and_say_who_takes_what(times: LayerTimes, exact: bool) -> None:
    found = few_for_layer(times, exact_devices=9 if exact else 0)
    means = [one.mean_regret for one in found]
    assert means == sorted(means, reverse=True)
    for one in found:
        assert len(one.rows) <= one.count
        assert set(one.row_of) <= set(one.rows)
        taken = times.seconds[list(one.row_of), range(len(times.devices))]
        np.testing.assert_array_equal(taken, np.nanmin(times.seconds[list(one.rows)], axis=0))
        np.testing.assert_allclose(one.regrets, (taken - judge(times).best_s) / judge(times).best_s)
        assert one.mean_regret == pytest.approx(one.regrets.mean(), rel=1e-9, abs=1e-12)
    if found and found[-1].count == len(times.devices):
        assert found[-1].mean_regret == 0


@given(layers())
@settings(deadline=None)
def test_one_for_all_is_the_overlay(times: LayerTimes) -> None:
    judged = judge(times)
    found = [one for one in few_for_layer(times) if one.count == 1]
    assert [list(one.rows) for one in found] == ([] if judged.chosen is None else [[judged.chosen]])


@given(layers(missing=False), st.data())
@settings(deadline=None)
def test_the_order_of_devices_and_configurations_does_not_matter(times: LayerTimes, data: st.DataObject) -> None:
    rows = data.draw(st.permutations(range(len(times.configurations))))
    columns = data.draw(st.permutations(range(len(times.devices))))
    other = reordered(times, rows, columns)
    names = [[times.configurations[row] for row in one.rows] for one in few_for_layer(times)]
    assert names == [[other.configurations[row] for row in one.rows] for one in few_for_layer(other)]


def test_what_fails_on_a_device_can_serve_the_others() -> None:
    found = few_for_layer(layer([[1.0, 1.0, NO], [NO, NO, 1.0], [4.0, 4.0, 4.0]]))
    assert [(one.rows, one.row_of, one.mean_regret) for one in found[:2]] == [
        ([2], [2, 2, 2], 3.0),
        ([0, 1], [0, 0, 1], 0.0),
    ]
    assert [one.count for one in few_for_layer(layer([[1.0, NO], [NO, 1.0]]))] == [2]
    assert few_for_layer(layer([[1.0, NO]])) == []


def test_many_devices_are_not_searched_in_full_and_near_the_best_all_the_same() -> None:
    random = np.random.default_rng(1)
    times = layer(random.lognormal(sigma=0.5, size=(60, 8)).tolist())
    near, best = few_for_layer(times, exact_devices=4), few_for_layer(times)
    assert [one.is_exact for one in near] == [True, *[False] * 6, True]
    assert all(one.is_exact for one in best)
    for one, other in zip(near, best, strict=True):
        assert other.mean_regret <= one.mean_regret <= 1.1 * other.mean_regret + 1e-12


@given(models())
@settings(deadline=None)
def test_one_merged_choice_for_all_is_the_overlay_of_the_model(layers: list[LayerTimes]) -> None:
    judged = [judge(times) for times in layers]
    found = [one for one in few_for_model(layers) if one.count == 1]
    if all(one.chosen is not None for one in judged):
        [one] = found
        assert list(one.rows[0]) == [each.chosen for each in judged]
        assert one.mean_regret == pytest.approx(merge(judged).mean_regret, rel=1e-9, abs=1e-12)


@given(models(missing=False), st.booleans())
@settings(deadline=None)
def test_points_of_a_model_never_rise_and_end_at_nothing_lost(layers: list[LayerTimes], exact: bool) -> None:
    found = few_for_model(layers, exact_devices=9 if exact else 0)
    devices = layers[0].devices
    assert [one.count for one in found] == list(range(1, len(devices) + 1))
    means = [one.mean_regret for one in found]
    assert means == sorted(means, reverse=True)
    assert means[-1] == pytest.approx(0, rel=1e-9, abs=1e-12)
    for one in found:
        assert sorted(key for group in one.groups for key in group) == sorted(devices)
        for group, rows in zip(one.groups, one.rows, strict=True):
            # A group's choice is what the overlay of its devices alone would be.
            alone = merge([judge(times.on(group)) for times in layers])
            assert list(rows) == [each.chosen for each in alone.layers]
            assert one.regrets[[devices.index(key) for key in group]] == pytest.approx(
                alone.regrets, rel=1e-9, abs=1e-12
            )


def test_layers_that_some_device_has_no_time_for_are_named() -> None:
    known = layer([[1.0, 2.0], [2.0, 1.0]], layer="conv")
    found = few_for_model([known, layer([[1.0, NO]], layer="pool")])
    assert [(one.mean_regret, list(one.undecided)) for one in found] == [(0.5, ["pool"]), (0.0, ["pool"])]
    assert few_for_model([layer([[1.0, NO]])]) == []
    apart = few_for_model([known, layer([[1.0, NO], [NO, 1.0]])])
    assert [one.count for one in apart] == [2]
