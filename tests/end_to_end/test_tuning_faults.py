"""Boards and servers that fail while a tuner on Ray measures its candidates: each task gets its trials all the same.

What was lost with a board is no trial: it says nothing of the candidate.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter

import pytest

from sweep.analysis.outcome import MEASURED
from sweep.devices.leasing.board_health import LEASE_S
from sweep.devices.leasing.register import is_held, now_s
from tests.devices.parts import until
from tests.end_to_end.faulty import Begin, Faulty, resume, suspend
from tests.end_to_end.place import LIMIT_S

pytestmark = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.tvm,
    pytest.mark.ray,
    pytest.mark.timeout(900),
]

TRIALS = 8
STUDY = f"""
study: bad-boards
final: null
models: [tiny.onnx]
tuners: [{{name: random, trials_per_task: {TRIALS}, number: 1, repeat: 3, min_repeat_ms: 200}}]
opt_levels: [1]
measure: {{repeat: 3, max_repeat: 3, rounds: 1, min_repeat_ms: 200}}
"""
CLUSTER = "{name: faults, engine: ray, devices: [{key: here, cores: [-1]%s}], mlflow: {enabled: false}}"
WELL_IN_S = 0.1
"""Of a candidate, which takes 0.6 s, or 0.2 where it is slower than the best."""


def _under_way(begin: Begin, more: str = "") -> tuple[Faulty, str]:
    """A sweep in the middle of its tuning, with the board that measures a candidate now."""
    sweep = begin(STUDY, CLUSTER % more)
    sweep.wait_for_trials(2)
    return sweep, sweep.used(WELL_IN_S)


def test_a_server_is_killed(begin: Begin) -> None:
    sweep, board = _under_way(begin)
    sweep.servers(board)[0].kill()

    _assert_tuned(sweep)
    assert sweep.failures("tune") == []


def test_a_tracker_is_restarted(begin: Begin) -> None:
    sweep, _ = _under_way(begin)
    sweep.tracker().kill()

    _assert_tuned(sweep)
    assert sweep.failures("tune") == []


def test_a_board_hangs_and_answers_late(begin: Begin) -> None:
    sweep, board = _under_way(begin)
    stopped = sweep.servers(board)
    suspend(stopped)
    until(lambda: sweep.boards()[board].failures > 0, "the client gave up", LIMIT_S)
    resume(stopped)

    _assert_tuned(sweep)


def test_a_board_that_hangs_leaves_its_candidates_to_its_sibling(begin: Begin) -> None:
    sweep, board = _under_way(begin, ", count: 2")
    suspend(sweep.servers(board))

    _assert_tuned(sweep)
    assert json.loads(sweep.row().conditions_json)["board"] != board
    assert sweep.boards()[board].failures > 0


def test_who_was_stopped_for_longer_than_the_lease_measures_the_candidate_again(begin: Begin) -> None:
    sweep, board = _under_way(begin)
    holder = sweep.holder(board)
    holder.suspend()
    until(lambda: not is_held(sweep.boards()[board], now_s()), "its lease has run out", 3 * LEASE_S)
    holder.resume()

    _assert_tuned(sweep)
    assert sweep.failures("tune") == []


def test_a_board_that_hangs_for_good_fails_the_tuner_and_the_next_run_makes_what_is_missing(begin: Begin) -> None:
    sweep, board = _under_way(begin)
    suspend(sweep.servers(board))
    ended = sweep.end()

    assert ended.code == 1, ended.err
    assert {kind for kind, _ in sweep.failures("tune")} == {"DeviceLost"}
    assert (sweep.row().status, sweep.row().error_class) == ("failed", "DeviceLost")
    before = sweep.place.trials()
    again = sweep.place.run()
    assert again.code == 0, again.err
    assert sweep.place.trials()[: len(before)] == before
    _assert_each_task_has_its_trials(sweep)


def _assert_tuned(sweep: Faulty) -> None:
    ended = sweep.end()
    assert ended.code == 0, ended.err
    assert sweep.row().status in MEASURED
    _assert_each_task_has_its_trials(sweep)


def _assert_each_task_has_its_trials(sweep: Faulty) -> None:
    trials = [json.loads(line) for line in sweep.place.trials()]
    answered = Counter(trial["task"] for trial in trials if trial["error_class"] != "DeviceLost")
    assert sorted(answered.values())[-2:] == [TRIALS, TRIALS], Counter(trial["error"] for trial in trials)
    measured = [trial["run_secs"] for trial in trials if trial["run_secs"] is not None]
    assert measured
    for seconds in measured:
        assert max(seconds) <= 8 * statistics.median(seconds), "a pause would show in a mean of 0.2 s"
