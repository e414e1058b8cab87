from __future__ import annotations

import numpy as np
from hypothesis import given

from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.overlay.metric import Criterion, judge
from sweep.analysis.overlay.missing import Contest, Gap, contest, deciding, gaps
from tests.analysis.overlay.layers import NO, layer, layers


def test_gaps_are_what_was_neither_measured_nor_failed_anywhere() -> None:
    times = layer([[1.0, NO], [NO, NO], [NO, 2.0], [1.0, 1.0]], failures={(1, 0): "BuildFailed: no"})
    assert gaps(times) == [Gap(0, 1), Gap(2, 0)]


def test_the_fastest_of_each_device_and_the_chosen_one_decide() -> None:
    seconds = [[1.0, 9.0], [9.0, 1.0], [1.1, 1.1], [5.0, 5.0]]
    assert deciding(judge(layer(seconds))) == [0, 1, 2]
    assert deciding(judge(layer([[1.0, NO], [NO, 1.0]]))) == []
    # c0 is out: it cannot be chosen, though theta is its time
    assert deciding(judge(layer([[0.5, NO], [1.0, 1.0], [2.0, 2.0]]))) == [1]


def test_a_contest_is_of_those_that_decide_and_the_few_that_come_close() -> None:
    seconds = [[1.0, 9.0], [9.0, 1.0], [1.1, 1.1], [1.15, 1.15], [5.0, 5.0], [9.0, 1.05]]
    assert contest(judge(layer(seconds)), [[], []]) == Contest([0, 1, 2, 3, 5], [0, 1])


def test_close_ones_are_limited() -> None:
    judged = judge(layer([[1.0 + index / 1000, 1.0 + index / 1000] for index in range(40)]))
    found = contest(judged, [[], []])
    assert found is not None
    assert found.rows == list(range(6))


def test_one_that_was_held_is_held_again_where_others_decide_now() -> None:
    judged = judge(layer([[1.0, 2.0], [2.0, 1.0], [5.0, 5.0]]))
    assert contest(judged, [[{"c0", "c1"}], [{"c0", "c1", "c2"}]]) is None
    assert contest(judged, [[{"c0", "c1"}], [{"c0", "c2"}]]) == Contest([0, 1, 2], [1])
    assert contest(judged, [[{"c0", "c1"}, {"c0"}], []]) == Contest([0, 1], [0, 1])
    # Enough was tried on the first
    assert contest(judged, [[{"c0"}, {"c0"}, {"c0"}], []]) == Contest([0, 1], [1])


def test_one_to_which_nobody_comes_close_decides_itself() -> None:
    assert contest(judge(layer([[1.0, 2.0]])), [[], []]) is None
    assert contest(judge(layer([[1.0, 2.0], [2.0, 3.0]])), [[], []]) is None
    assert contest(judge(layer([[1.0, 2.0], [NO, 1.0]])), [[], []]) is None


@given(layers())
def test_contests_end_and_leave_out_what_is_out(times: LayerTimes) -> None:
    """Times stay here, so one contest is enough, whatever is chosen by."""
    for criterion in Criterion:
        judged = judge(times, criterion=criterion)
        found = contest(judged, [[] for _ in times.devices])
        if found is None:
            assert len(deciding(judged)) < 2
            continue
        assert not np.isnan(judged.metric[list(found.rows)]).any()
        assert judged.chosen in found.rows
        held = {times.configurations[row] for row in found.rows}
        assert contest(judged, [[held] for _ in times.devices]) is None
