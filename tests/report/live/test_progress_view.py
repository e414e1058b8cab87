from __future__ import annotations

import io

import pytest
from rich.console import Console

from sweep.analysis.rows.bounds import EXACT, UPPER, Reading
from sweep.report.live.pool_progress import spent_words
from sweep.report.live.progress import SweepProgress
from sweep.report.live.progress_view import LiveProgress, PlainProgress, ProgressView, open_progress


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def plain(clock: Clock) -> tuple[PlainProgress, io.StringIO]:
    stream = io.StringIO()
    view = open_progress(Console(file=stream, width=200), "cpu-quickstart", clock)
    assert isinstance(view, PlainProgress)
    return view, stream


def live(clock: Clock) -> tuple[LiveProgress, io.StringIO]:
    stream = io.StringIO()
    view = open_progress(Console(file=stream, width=120, height=40, force_terminal=True), "cpu-quickstart", clock)
    assert isinstance(view, LiveProgress)
    return view, stream


def play(view: ProgressView, clock: Clock) -> None:
    """Three of four cells of a small sweep; a tuner still works."""
    view.plan_ready(4, {"lower": 1, "tune": 2, "build": 4, "measure": 4})
    view.attempt_started("lower squeezenet O3", "lower")
    clock.now += 2
    view.stage_done("lower squeezenet O3", "lower", 2.0)
    view.cell_finished("squeezenet none O3", "done", 16e-3, None, group="squeezenet on local-1")
    view.attempt_started("squeezenet xgb O3", "tune", pool="squeezenet xgb O3")
    view.progress({"label": "squeezenet xgb O3", "trials": 0, "trials_total": 64})
    clock.now += 10
    view.progress(
        {"label": "squeezenet xgb O3", "trials": 32, "trials_total": 64, "valid": 30, "best_estimate_s": 3e-3}
    )
    view.attempt_failed("squeezenet ga O3", "tune", "DeviceLost", "no server\nfor key local-1", will_retry=True)
    view.cell_finished("squeezenet ga O3", "failed", None, "build BuildFailed: ld: no space")
    view.cell_finished("squeezenet random O3", "done", 4e-3, None, group="squeezenet on local-1")


def test_a_tainted_cell_tells_its_time_and_why_and_is_no_best(clock: Clock) -> None:
    view, stream = plain(clock)
    play(view, clock)
    view.cell_finished(
        "squeezenet none O0", "tainted", 1e-3, "1 foreign thread wanted the cores", group="squeezenet on local-1"
    )
    assert "tainted squeezenet none O0: 1.00 ms; 1 foreign thread wanted the cores" in stream.getvalue()
    assert view.state.best["squeezenet on local-1"].median_s == 4e-3
    assert "4/4 cells, 1 tainted, 1 failed" in view.summary(clock.now)


def test_a_tainted_cell_that_is_faster_all_the_same_is_the_best_with_what_it_takes_at_most(clock: Clock) -> None:
    view, stream = live(clock)
    play(view, clock)
    for name, high_ms in (("squeezenet xgb O3", 3.21), ("squeezenet random O1", 5.0), ("squeezenet ga O1", 3.5)):
        reading = Reading(0.9 * high_ms, 0.0, high_ms, UPPER)
        view.cell_finished(name, "tainted", 3e-3, "others took 30 %", group="squeezenet on local-1", reading=reading)
    best = view.state.best["squeezenet on local-1"]
    assert (best.cell_name, best.median_s, best.is_upper) == ("squeezenet xgb O3", pytest.approx(3.21e-3), True)
    view.tick(clock.now + 10)
    view.close()
    assert "≤ 3.21 ms" in stream.getvalue()


def test_plain_lines_tell_each_stage_cell_and_failure(clock: Clock) -> None:
    view, stream = plain(clock)
    play(view, clock)
    view.close()
    assert stream.getvalue().splitlines() == [
        "4 cells to measure in 11 stages (1 lower, 2 tune, 4 build, 4 measure)",
        "stage   lower squeezenet O3  2.0 s",
        "done    squeezenet none O3  16.0 ms",
        "first   tune squeezenet xgb O3  about 3.00 ms, the sum of its tasks after 32 trials",
        "again   tune squeezenet ga O3: DeviceLost: no server for key local-1",
        "failed  squeezenet ga O3: build BuildFailed: ld: no space",
        "done    squeezenet random O3  4.00 ms",
        "ended: 3/4 cells, 1 failed, 1 retry, 12 s",
    ]


def test_plain_summary_comes_at_most_every_ten_seconds(clock: Clock) -> None:
    view, stream = plain(clock)
    view.plan_ready(4, {})
    for _ in range(90):
        clock.now += 0.5
        view.tick(clock.now)
    assert stream.getvalue().count("so far  0/4 cells") == 4


def test_what_is_due_any_moment_is_not_said_to_take_no_time(clock: Clock) -> None:
    view, _ = plain(clock)
    view.plan_ready(2, {"measure": 2})
    view.attempt_started("measure a", "measure")
    clock.now += 2
    view.stage_done("measure a", "measure", 2.0)
    view.cell_finished("a", "done", 1e-3, None)
    view.attempt_started("measure b", "measure")
    clock.now += 1
    assert "about 1.0 s left" in view.summary(clock.now)
    clock.now += 5  # longer than the first took
    assert "left" not in view.summary(clock.now)


def test_where_no_stage_is_missing_none_is_counted(clock: Clock) -> None:
    view, stream = plain(clock)
    view.plan_ready(2, {})
    assert stream.getvalue() == "2 cells, and no stage that is missing\n"


def test_plain_output_has_no_control_codes(clock: Clock) -> None:
    view, stream = plain(clock)
    play(view, clock)
    view.tick(clock.now + 60)
    view.close(interrupted=True)
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_the_same_reason_is_told_three_times_then_counted(clock: Clock) -> None:
    view, stream = plain(clock)
    view.plan_ready(50, {})
    for index in range(50):
        view.cell_finished(f"cell {index}", "failed", None, "measure DeviceLost: gone")
    view.close()
    assert stream.getvalue().count("DeviceLost") == 3
    assert "further cells that end for this reason are counted only" in stream.getvalue()
    assert "50/50 cells, 50 failed" in stream.getvalue()


def test_cells_of_an_earlier_run_are_counted_without_a_line(clock: Clock) -> None:
    view, stream = plain(clock)
    view.plan_ready(2, {})
    view.cell_finished("one", "done", 1e-3, None, from_earlier_run=True)
    view.close()
    assert "done    one" not in stream.getvalue()
    assert "1/2 cells, 1 from an earlier run" in stream.getvalue()


def test_the_live_panel_shows_best_and_running(clock: Clock) -> None:
    view, stream = live(clock)
    play(view, clock)
    view.tick(clock.now)
    text = stream.getvalue()
    assert not any("best so far" in line and "━" in line for line in text.splitlines())
    for told in ("3/4 cells", "squeezenet on local-1", "4.00 ms", "32/64 trials, 3.2 trials/s", "best 3.00 ms"):
        assert told in text
    view.close()


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_terminal_is_left_clean(clock: Clock, interrupted: bool) -> None:
    view, stream = live(clock)
    play(view, clock)
    view.tick(clock.now)
    view.close(interrupted)
    view.close(interrupted)
    text = stream.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back
    last = "interrupted, everything kept; the same command resumes: " if interrupted else "ended: "
    assert text.count(last) == 1


def test_an_interrupt_inside_closes_the_view(clock: Clock) -> None:
    view, stream = live(clock)
    with pytest.raises(KeyboardInterrupt), view:
        raise KeyboardInterrupt
    assert "interrupted, everything kept" in stream.getvalue()


def test_markup_in_names_and_errors_is_no_markup(clock: Clock) -> None:
    view, stream = plain(clock)
    view.plan_ready(1, {})
    view.cell_finished("a [red]b[/red]", "failed", None, "measure: [1, 3] expected [/]")
    assert "failed  a [red]b[/red]: measure: [1, 3] expected [/]" in stream.getvalue()


def test_stages_of_one_pool_share_a_line_and_its_busy_shares_are_not_added(clock: Clock) -> None:
    panel, panel_stream = live(clock)
    lines, lines_stream = plain(clock)
    for view in (panel, lines):
        view.plan_ready(2, {"tune": 3})
        for label in ("tune a O3", "tune b O3"):
            view.attempt_started(label, "tune", pool="xgb on local-1 for native")
        view.attempt_started("tune a O3 ga", "tune", pool="ga on local-1 for native")
    clock.now += 30
    for view in (panel, lines):
        for label, trials, failed, best_s in (("tune a O3", 60, {"BuildFailed": 3}, 3e-3), ("tune b O3", 40, {}, None)):
            view.progress(
                {
                    "label": label,
                    "trials": trials,
                    "trials_total": 200,
                    "valid": trials,
                    "best_estimate_s": best_s,
                    "tasks": 30,
                    "tasks_covered": 28,
                    "failed": failed,
                    "busy": {"search": 0.76, "build": 0.58, "device": 0.45},
                }
            )
        view.tick(clock.now)
        view.close()
    assert (
        "tuning  xgb on local-1 for native, 2 models: 100/400 trials, 3.3 trials/s, best 3.00 ms, "
        "56/60 tasks covered, 3 % failed (BuildFailed 3), search 76 % build 58 % device 45 %"
    ) in lines_stream.getvalue().splitlines()
    assert "tuning  ga on local-1 for native: no trial yet" in lines_stream.getvalue().splitlines()
    for told in (
        "xgb on local-1 for native, 2 models: 100/400",
        "3 % failed (BuildFailed 3)",
        "search 76 % build 58 %",
    ):
        assert told in panel_stream.getvalue()


def test_a_pool_counts_the_stages_that_have_ended_until_its_last_one_ends() -> None:
    state = SweepProgress(0.0)
    for label in "ab":
        state.attempt_started(label, "tune", 0.0, "pool")
        state.progress({"label": label, "trials": 8, "failed": {"BuildFailed": 1}}, 1.0)
    state.stage_done("a", "tune", 2.0)
    assert state.pools["pool"].sum("trials") == 16
    assert state.pools["pool"].failed == {"BuildFailed": 2}
    state.attempt_failed("b", "tune", will_retry=True)
    assert state.pools == {}


def test_a_few_first_trials_promise_nothing() -> None:
    state = SweepProgress(0.0)
    state.plan_ready(2, {"lower": 1, "tune": 1})
    state.stage_done("l", "lower", 1.0)
    state.attempt_started("t", "tune", 0.0, pool="t")
    state.progress({"label": "t", "trials": 1, "trials_total": 100}, 60.0)
    left = state.time_left(60.0)
    assert left is not None
    assert left.is_lower_bound


def test_time_left_waits_for_a_first_stage_then_says_when_it_is_a_lower_bound() -> None:
    state = SweepProgress(0.0)
    state.plan_ready(4, {"lower": 4, "measure": 4})
    assert state.time_left(5.0) is None
    state.attempt_started("a", "lower", 0.0)
    state.stage_done("a", "lower", 10.0)
    left = state.time_left(10.0)
    assert left is not None
    assert (left.seconds, left.is_lower_bound) == (pytest.approx(30.0), True)
    state.attempt_started("a", "measure", 10.0)
    state.stage_done("a", "measure", 5.0)
    left = state.time_left(15.0)
    assert left is not None
    assert (left.seconds, left.is_lower_bound) == (pytest.approx(3 * 10 + 3 * 5), False)


def test_time_left_counts_what_ran_at_once_and_what_failed_cells_no_longer_need() -> None:
    state = SweepProgress(0.0)
    state.plan_ready(4, {"measure": 4})
    for label in "ab":
        state.attempt_started(label, "measure", 0.0)
    for label in "ab":
        state.stage_done(label, "measure", 10.0)
    assert state.time_left(10.0).seconds == pytest.approx(10.0)  # type: ignore[union-attr]
    exact = Reading(1.0, 1.0, 1.0, EXACT)
    state.cell_finished("a", "done", exact, "m", False)
    state.cell_finished("b", "done", exact, "m", False)
    state.cell_finished("c", "failed", None, "m", False)
    assert state.time_left(10.0).seconds == pytest.approx(5.0)  # type: ignore[union-attr]


def test_a_first_tuner_that_says_its_trials_is_extrapolated() -> None:
    state = SweepProgress(0.0)
    state.plan_ready(2, {"lower": 1, "tune": 1})
    state.stage_done("l", "lower", 1.0)
    state.attempt_started("t", "tune", 0.0, pool="t")
    state.progress({"label": "t", "trials": 25, "trials_total": 100}, 10.0)
    left = state.time_left(10.0)
    assert left is not None
    assert not left.is_lower_bound
    assert left.seconds == pytest.approx((40.0 - 10.0) / 1.1)


@pytest.mark.parametrize(
    ("total", "left_s", "words"),
    [
        (100_000, 1200.0, "25 trials, 2.5 trials/s, 20 min 00 s left"),
        (100_000, 0.0, "25 trials, 2.5 trials/s"),
        (100, 1200.0, "25/100 trials, 2.5 trials/s"),
    ],
)
def test_a_tuner_that_has_so_many_hours_ends_with_them_unless_its_trials_are_up_before(
    total: int, left_s: float, words: str
) -> None:
    state = SweepProgress(0.0)
    state.plan_ready(2, {"lower": 1, "tune": 1})
    state.stage_done("l", "lower", 0.0)
    state.attempt_started("t", "tune", 0.0, pool="pool")
    state.progress({"label": "t", "trials": 25, "trials_total": total, "seconds_left": left_s}, 10.0)
    left = state.time_left(10.0)
    assert left is not None
    assert left.seconds == pytest.approx(min(left_s, 30.0 * (total / 100)))
    assert spent_words(state.pools["pool"], 10.0) == f"pool: {words}"


def test_trials_per_second_looks_back_half_a_minute() -> None:
    state = SweepProgress(0.0)
    state.attempt_started("t", "tune", 0.0, pool="t")
    state.progress({"label": "t", "trials": 60}, 10.0)
    assert state.trials_per_s(20.0) == pytest.approx(3.0)
    assert state.trials_per_s(60.0) == 0.0
    state.progress({"label": "unknown", "trials": 60}, 61.0)
    assert state.trials_per_s(61.0) == 0.0


@pytest.mark.parametrize(("done", "is_told"), [(3, False), (1, True)])
def test_no_time_left_is_not_told_as_0_0_s(done: int, is_told: bool, clock: Clock) -> None:
    """The last cell is under way, and nothing of it is left but its end."""
    view, _ = plain(clock)
    view.plan_ready(4, {"measure": 3})
    for number in range(done):
        view.attempt_started(f"measure {number}", "measure")
        clock.now += 2
        view.stage_done(f"measure {number}", "measure", 2.0)
        view.cell_finished(f"cell {number}", "done", 1e-3, None)
    told = view.summary(clock.now)
    assert (" left" in told) is is_told
    assert "0.0 s" not in told


def test_what_a_stage_comes_to_at_first_has_a_line_and_what_follows_has_none(clock: Clock) -> None:
    """The first tuned cell of a study is minutes away, what its tasks add up to some seconds."""
    view, stream = plain(clock)
    view.plan_ready(2, {"tune": 1, "measure": 2})
    view.attempt_started("measure squeezenet onnxruntime on local-1", "measure")
    view.attempt_started("tune squeezenet xgb O3", "tune", pool="squeezenet xgb O3")
    view.progress({"label": "measure squeezenet onnxruntime on local-1", "median_s": 3.35e-3, "values": 3})
    view.progress({"label": "measure squeezenet onnxruntime on local-1", "median_s": 3.4e-3, "values": 6})
    for trials, estimate_s in ((12, None), (30, 4.9e-3), (60, 4.1e-3)):
        told = {"label": "tune squeezenet xgb O3", "trials": trials, "trials_total": 191}
        view.progress({**told, "best_estimate_s": estimate_s})
    for trials in (61, 62, 90):
        told = {
            "trials": trials,
            "measured_s": 4.4e-3 - 1e-6 * (trials // 90),
            "measured_trials": 90 if trials == 90 else 31,
        }
        view.progress({"label": "tune squeezenet xgb O3", "trials_total": 191, "best_estimate_s": 4.1e-3, **told})
    view.progress({"label": "no longer there", "median_s": 1.0, "values": 1})
    assert [line for line in stream.getvalue().splitlines() if line.startswith(("first", "early"))] == [
        "first   measure squeezenet onnxruntime on local-1  3.35 ms by its first 3 values",
        "first   tune squeezenet xgb O3  about 4.90 ms, the sum of its tasks after 30 trials",
        "early   tune squeezenet xgb O3  4.40 ms, built and measured after 31 trials",
        "early   tune squeezenet xgb O3  4.40 ms, built and measured after 90 trials",
    ]


def test_the_panel_tells_what_a_measurement_has_come_to(clock: Clock) -> None:
    view, stream = live(clock)
    with view:
        view.plan_ready(1, {"measure": 1})
        view.attempt_started("measure squeezenet onnxruntime on local-1", "measure")
        view.progress({"label": "measure squeezenet onnxruntime on local-1", "median_s": 3.35e-3, "values": 3})
        clock.now += 1
        view.tick(clock.now)
    assert "squeezenet onnxruntime on local-1  3.35 ms by its first 3 values" in stream.getvalue()
