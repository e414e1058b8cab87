"""The metric against a slow reference, and what holds of it whatever the times."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.analysis.overlay import metric
from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.metric import Criterion, judge
from tests.analysis.overlay.layers import ANY, NO, layer, layers, reordered, why_out

criteria = st.sampled_from(list(Criterion))


def exact_best(times: LayerTimes) -> list[Fraction | None]:
    columns = [[Fraction(value) for value in column if not math.isnan(value)] for column in times.seconds.T.tolist()]
    return [min(column) if column else None for column in columns]


def exact_regrets(times: LayerTimes, row: int) -> list[Fraction] | None:
    """By the definition, without rounding; None for a configuration that is out."""
    regrets = []
    for value, best in zip(times.seconds[row].tolist(), exact_best(times), strict=True):
        if math.isnan(value) or best is None:
            return None
        regrets.append((Fraction(value) - best) / best)
    return regrets


@given(layers())
def test_it_agrees_with_the_definition(times: LayerTimes) -> None:
    judged = judge(times)
    for row in range(len(times.configurations)):
        regrets = exact_regrets(times, row)
        if regrets is None:
            assert np.isnan([judged.metric[row], judged.largest[row]]).all()
        else:
            assert judged.metric[row] == pytest.approx(float(sum(regrets)))
            assert judged.metric_per_device[row] == pytest.approx(float(sum(regrets) / len(regrets)))
            assert judged.largest[row] == pytest.approx(float(max(regrets)))
            assert judged.regrets(row).tolist() == pytest.approx([float(regret) for regret in regrets])


@given(layers(), criteria)
def test_the_chosen_is_least_and_never_out(times: LayerTimes, criterion: Criterion) -> None:
    judged = judge(times, criterion=criterion)
    values = judged.metric if criterion is Criterion.SUM else judged.largest
    if judged.chosen is None:
        assert all(why_out(times, row) for row in range(len(times.configurations)))
        assert judged.config is None
        assert judged.candidates == 0
    else:
        assert why_out(times, judged.chosen) == []
        assert values[judged.chosen] == np.nanmin(values)


@given(layers())
def test_it_is_never_negative_and_zero_for_the_best_everywhere_alone(times: LayerTimes) -> None:
    judged = judge(times)
    for row, value in enumerate(judged.metric.tolist()):
        if not math.isnan(value):
            assert value >= judged.largest[row] >= 0
            assert (value == 0) == (times.seconds[row] == judged.best_s).all()


@given(layers(), criteria, st.data())
def test_neither_order_matters_to_the_last_digit(times: LayerTimes, criterion: Criterion, data: st.DataObject) -> None:
    rows = data.draw(st.permutations(range(len(times.configurations))))
    columns = data.draw(st.permutations(range(len(times.devices))))
    weights = {key: data.draw(st.floats(0.1, 10)) for key in times.devices} if data.draw(st.booleans()) else None
    one = judge(times, criterion=criterion, weights=weights)
    other = judge(reordered(times, rows, columns), criterion=criterion, weights=weights)
    assert other.config == one.config
    np.testing.assert_array_equal(other.metric, one.metric[rows])
    np.testing.assert_array_equal(other.largest, one.largest[rows])


@given(layers(), st.data())
def test_the_unit_of_a_device_does_not_matter(times: LayerTimes, data: st.DataObject) -> None:
    # By powers of two, so that not even rounding differs and the choice of equals must be the same.
    scale = 2.0 ** np.array([data.draw(st.integers(-20, 20)) for _ in times.devices])
    scaled = layer((times.seconds * scale).tolist())
    np.testing.assert_array_equal(judge(scaled).metric, judge(times).metric)
    assert judge(scaled).chosen == judge(times).chosen
    odd = layer((times.seconds * 3.7).tolist())
    np.testing.assert_allclose(judge(odd).metric, judge(times).metric, rtol=1e-9, atol=1e-12)


@given(layers(missing=False), st.data())
def test_one_more_configuration_makes_the_choice_no_worse_while_theta_stays(
    times: LayerTimes, data: st.DataObject
) -> None:
    before = judge(times)
    factors = [data.draw(st.one_of(st.floats(1, 10), st.just(NO))) for _ in times.devices]
    more = layer([*times.seconds.tolist(), (before.best_s * factors).tolist()])
    for criterion, name in ((Criterion.SUM, "metric"), (Criterion.WORST, "largest")):
        old, new = judge(times, criterion=criterion), judge(more, criterion=criterion)
        np.testing.assert_array_equal(new.best_s, old.best_s)
        assert getattr(new, name)[new.chosen] <= getattr(old, name)[old.chosen]


@given(layers(missing=False), st.data())
def test_one_more_configuration_makes_the_choice_no_worse_by_its_own_theta(
    times: LayerTimes, data: st.DataObject
) -> None:
    """A faster one lowers theta and so raises M of all others: by that theta the new choice is no worse."""
    old = judge(times).chosen
    new = judge(layer([*times.seconds.tolist(), [data.draw(ANY) for _ in times.devices]]))
    assert new.metric[new.chosen] <= new.metric[old]


@given(layers(), st.data())
def test_what_fails_somewhere_still_sets_theta_there(times: LayerTimes, data: st.DataObject) -> None:
    assume(len(times.devices) > 1)
    fast = [*([NO] * (len(times.devices) - 1)), 1e-9]
    judged = judge(layer([*times.seconds.tolist(), fast]))
    assert judged.best_s[-1] == 1e-9
    assert np.isnan(judged.metric[-1])
    assert judged.chosen != len(times.configurations)


@given(layers(), st.data())
def test_weights_are_ratios(times: LayerTimes, data: st.DataObject) -> None:
    weights = {key: data.draw(st.floats(0.1, 10)) for key in times.devices}
    weighted = judge(times, weights=weights)
    twice = judge(times, weights={key: 2 * weight for key, weight in weights.items()})
    np.testing.assert_allclose(twice.metric, weighted.metric)
    np.testing.assert_allclose(judge(times, weights=dict.fromkeys(times.devices, 3.0)).metric, judge(times).metric)
    np.testing.assert_array_equal(weighted.largest, judge(times).largest)
    for row in range(len(times.configurations)):
        regrets = judge(times).regrets(row)
        mean = np.average(regrets, weights=list(weights.values()))
        assert weighted.metric_per_device[row] == pytest.approx(mean, nan_ok=True)


@pytest.mark.parametrize(
    "weights", [{"a": 1.0}, {"a": 1.0, "b": 0.0}, {"a": 1.0, "b": math.nan}, {"a": 1, "b": 1, "c": 1}]
)
def test_weights_that_do_not_fit_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive weight"):
        judge(layer([[1.0, 2.0]]), weights=weights)


def test_the_three_forms_may_choose_differently() -> None:
    times = layer([[1.0, 1.9], [1.5, 1.5], [4.0, 1.0]])
    assert judge(times).config == "c0"  # M 0.9, 1, 3
    assert judge(times, criterion=Criterion.WORST).config == "c1"  # 0.9, 0.5, 3
    assert judge(times, weights={"a": 1.0, "b": 9.0}).config == "c2"  # 1.62, 1, 0.6


@pytest.mark.parametrize(
    ("seconds", "config"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], "c0"),  # the same sum and largest: the least id
        ([[1.0, 1.0, 3.0], [2.0, 2.0, 1.0]], "c1"),  # the same sum: the lesser largest
        ([[1.0, NO], [NO, 1.0]], None),
        ([[5.0, 5.0], [1.0, NO]], "c0"),  # never one with M 0 because its failure was skipped
    ],
)
def test_choices(seconds: list[list[float]], config: str | None) -> None:
    assert judge(layer(seconds)).config == config


def test_devices_are_summed_in_the_order_of_their_keys() -> None:
    seconds = np.random.default_rng(0).lognormal(size=(50, 9))
    for seed in range(5):
        columns = np.random.default_rng(seed).permutation(9).tolist()
        other = judge(reordered(layer(seconds.tolist()), range(50), columns))
        np.testing.assert_array_equal(other.metric, judge(layer(seconds.tolist())).metric)


def test_ids_and_not_places_settle_what_is_equal() -> None:
    assert judge(layer([[1.0, 2.0], [2.0, 1.0]], configurations=["z", "y"])).config == "y"


@given(layers())
def test_a_score_is_one_for_the_best_and_zero_for_the_slowest(times: LayerTimes) -> None:
    judged = judge(times)
    for row in range(len(times.configurations)):
        for value, seconds, best_s, slowest_s in zip(
            judged.scores(row), times.seconds[row], judged.best_s, judged.slowest_s, strict=True
        ):
            if math.isnan(seconds):
                assert math.isnan(value)
            elif best_s == slowest_s:
                assert value == 1
            else:
                assert value == pytest.approx(1 - (seconds - best_s) / (slowest_s - best_s))
                assert 0 <= value <= 1


def test_a_layer_without_configurations_has_no_choice() -> None:
    judged = judge(layer([[1.0]]).rows(np.array([], dtype=np.intp)))
    assert judged.chosen is None
    assert np.isnan(judged.best_s).all()


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = np.random.default_rng(0).lognormal(size=(100, 9))
    seconds[::7, 2] = NO
    whole = judge(layer(seconds.tolist()))
    monkeypatch.setattr(metric, "_BLOCK_ROWS", 17)
    parts = judge(layer(seconds.tolist()))
    np.testing.assert_array_equal(parts.metric, whole.metric)
    np.testing.assert_array_equal(parts.largest, whole.largest)
