"""One sweep that has bad luck: its driver is killed, then a person presses Ctrl-C, then it may end.

Each kill waits for something in the ledger, not for a time. By default nobody presses Ctrl-C; with it, and on Ray, the
same takes twice and three times as long, and is slow.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import psutil
import pytest

from sweep.analysis.outcome import MEASURED
from sweep.planning.trial_limits import RELATIVE_TRIALS
from tests.devices.parts import until
from tests.end_to_end.place import LIMIT_S, Ended, Place, is_open, listening

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.ray, pytest.mark.mlflow, pytest.mark.timeout(900)]

STUDY = """
study: bad-luck
final: null
models: [tiny.onnx]
tuners: [none, {name: random, trials_per_task: 6, number: 1, repeat: 1, min_repeat_ms: 50}]
opt_levels: [3]
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0}
"""
CLUSTER = "{{name: one, engine: {engine}, devices: [{{key: here, cores: [-1]}}], mlflow: {{enabled: {mirror}}}}}"
CELLS = 3
WITH_CTRL_C = [pytest.param((engine, True), marks=pytest.mark.slow, id=engine) for engine in ("inline", "ray")]


@dataclass
class Cut:
    """A run that was ended from outside, and what was there right before and after."""

    pid: int
    code: int
    err: str
    trials_before: list[str]
    done_before: set[str]
    ports_before: set[int]
    survivors: list[str]
    """Processes that were still there in the end, however long one waited."""
    leftovers: list[str]
    last_seq: int
    events_of_run: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Story:
    """What happened to the sweep."""

    place: Place
    second: Ended
    """Another `sweep run` while the first was at work."""
    first_pid: int
    killed: Cut
    interrupted: Cut | None
    """None where nobody pressed Ctrl-C."""
    ended: Ended

    @property
    def cuts(self) -> list[Cut]:
        return [self.killed] if self.interrupted is None else [self.killed, self.interrupted]


@pytest.fixture(scope="module", params=[pytest.param(("inline", False), id="inline-killed"), *WITH_CTRL_C])
def story(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Story:
    engine, is_interrupted = request.param
    place = Place(tmp_path_factory.mktemp("bad-luck"), STUDY, CLUSTER.format(engine=engine, mirror="false"))

    running = place.start()
    until(lambda: _has_event(place, running, "attempt_started"), "a first attempt", LIMIT_S)
    second = place.run()
    until(lambda: _is_in_mid_search(place, running, trials=2), "two trials and a measured cell", LIMIT_S)
    killed = _cut(place, running, signal.SIGKILL)

    place.write("cluster.yaml", CLUSTER.format(engine=engine, mirror="true"))
    interrupted = _interrupted(place, killed) if is_interrupted else None

    return Story(place, second, killed.pid, killed, interrupted, place.run())


def _interrupted(place: Place, killed: Cut) -> Cut:
    running = place.start()
    trials = len(killed.trials_before) + 2
    until(lambda: _is_in_mid_search(place, running, trials, runs=2), "two more trials", LIMIT_S)
    return _cut(place, running, signal.SIGINT)


def _has_event(place: Place, running: subprocess.Popen[str], name: str) -> bool:
    _still_runs(running)
    return bool(place.events(name))


def _is_in_mid_search(place: Place, running: subprocess.Popen[str], trials: int, runs: int = 1) -> bool:
    """In that run a tune stage is under way, this many trials are on the disk, and a cell has been measured."""
    _still_runs(running)
    if len(place.events("run_started")) < runs:
        return False
    under_way: set[str] = set()
    for event in place.events():
        if event["event"] == "run_started":
            under_way.clear()
        elif event["event"] == "attempt_started" and event["kind"] == "tune":
            under_way.add(event["stage"])
        elif event["event"] == "stage_done":
            under_way.discard(event["stage"])
    measured = any(event["kind"] == "measure" for event in place.events("stage_done"))
    return bool(under_way) and measured and len(place.trials()) >= trials


def _still_runs(running: subprocess.Popen[str]) -> None:
    if running.poll() is not None:
        raise AssertionError(f"ended too early with {running.returncode}: {running.communicate()[1]}")


def _cut(place: Place, running: subprocess.Popen[str], number: signal.Signals) -> Cut:
    tree = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
    ports = listening(tree)
    done, trials = {event["stage"] for event in place.events("stage_done")}, place.trials()
    if number is signal.SIGKILL:
        running.kill()
    else:
        os.killpg(running.pid, number)  # as a terminal does: to all of the group
    _, err = running.communicate(timeout=LIMIT_S)
    alive = lambda: [*place.processes(), *(process for process in tree if _is_alive(process))]  # noqa: E731
    if number is signal.SIGKILL:  # nobody tidies up: the kernel and the processes themselves must
        until(lambda: not alive(), "the end of all that the killed driver had started", LIMIT_S)
    return Cut(
        pid=running.pid,
        code=running.returncode,
        err=err,
        trials_before=trials,
        done_before=done,
        ports_before=ports,
        survivors=[str(process) for process in alive()],
        leftovers=place.leftovers([running.pid]),
        last_seq=place.events()[-1]["seq"],
    )


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# -- a second run -----------------------------------------------------------------------------------------------------


def test_a_second_run_is_refused_in_a_line_that_names_the_first(story: Story) -> None:
    assert story.second.code == 2
    assert story.second.out == ""
    assert story.second.err.count("\n") == 1
    assert "is in use by another `sweep run`" in story.second.err
    assert f"process {story.first_pid} on" in story.second.err


# -- kill -9 ----------------------------------------------------------------------------------------------------------


def test_a_killed_driver_takes_all_its_processes_along(story: Story) -> None:
    assert story.killed.code == -signal.SIGKILL
    assert story.killed.survivors == []
    assert len(story.killed.ports_before) >= 2
    assert not [port for port in story.killed.ports_before if is_open(port)]


def test_what_a_killed_driver_left_in_the_temporary_folder_goes_with_the_next_run(story: Story) -> None:
    assert story.place.leftovers([story.killed.pid]) == []


# -- Ctrl-C -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("story", WITH_CTRL_C, indirect=True)
def test_ctrl_c_ends_with_130_and_a_line(story: Story) -> None:
    assert story.interrupted is not None
    assert story.interrupted.code == 130
    assert "interrupted, everything kept; the same command resumes" in story.interrupted.err
    assert "Traceback" not in story.interrupted.err


@pytest.mark.parametrize("story", WITH_CTRL_C, indirect=True)
def test_ctrl_c_leaves_nothing_on_the_machine(story: Story) -> None:
    assert story.interrupted is not None
    assert story.interrupted.survivors == []
    assert story.interrupted.leftovers == []
    assert len(story.interrupted.ports_before) >= 2
    assert not [port for port in story.interrupted.ports_before if is_open(port)]


@pytest.mark.parametrize("story", WITH_CTRL_C, indirect=True)
def test_ctrl_c_is_in_the_ledger(story: Story) -> None:
    statuses = [event["status"] for event in story.place.events("run_ended")]

    assert statuses == ["interrupted", "done"], "a killed run writes no end"


# -- both -------------------------------------------------------------------------------------------------------------


def test_no_finished_stage_is_attempted_again(story: Story) -> None:
    for cut in story.cuts:
        later = {event["stage"] for event in story.place.events("attempt_started") if event["seq"] > cut.last_seq}

        assert cut.done_before
        assert not cut.done_before & later


def test_every_trial_that_was_on_the_disk_is_still_there(story: Story) -> None:
    for cut in story.cuts:
        assert len(cut.trials_before) >= 2
        assert not Counter(cut.trials_before) - Counter(story.place.trials())


def test_no_trial_is_made_twice(story: Story) -> None:
    """A search goes on from the records: each task gets the trials that were asked for, in all."""
    trials = [json.loads(line) for line in story.place.trials()]

    assert set(Counter(trial["workload"] for trial in trials).values()) <= {6, RELATIVE_TRIALS, 1}
    assert [trial["trial"] for trial in trials] == list(range(1, len(trials) + 1))


def test_in_the_end_every_cell_has_one_row(story: Story) -> None:
    assert story.ended.code == 0, story.ended.err
    rows = pd.read_parquet(story.place.out / "results.parquet")
    assert len(rows) == rows.cell_id.nunique() == CELLS
    assert set(rows.status) <= {*MEASURED}
    done = Counter(event["stage"] for event in story.place.events("stage_done"))
    assert set(done.values()) == {1}


def test_in_the_end_mlflow_has_one_run_for_each_cell(story: Story) -> None:
    from sweep.record.mlflow.tracking_store import embedded_store, open_client

    store = open_client(embedded_store(story.place.out)[0])
    experiment = store.get_experiment_by_name("bad-luck")
    runs = store.search_runs([experiment.experiment_id])

    assert len(runs) == CELLS + 1
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_in_the_end_nothing_half_done_is_left(story: Story) -> None:
    out = story.place.out

    assert not list(out.glob("artifacts/*/.*"))
    assert not list(out.glob("records/*/*/candidates-*"))
    assert story.place.processes() == []
