"""A driver that is killed again and again, each time at a moment that chance has chosen."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.place import CLUSTER_ONE, LIMIT_S, Place
from tests.faults.invariant import Witness
from tests.faults.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.mlflow, pytest.mark.timeout(900)]

STUDY = """
study: killed
models: [tiny.onnx]
tuners: [none, random]
opt_levels: [0, 1, 2, 3]
axes: {{batch: {batches}}}
"""
CLUSTER = """
name: made-up
engine: simulated
mlflow: {{enabled: {mirror}}}
simulate: {{devices: 2, slots: 4, failure_rate: 0.02, speed: 500,
           stage_s: {{import: 2, lower: 5, tune: 30, build: 8, measure: 3}}}}
"""
REAL_STUDY = """
study: killed
models: [tiny.onnx]
tuners: [none, {name: random, trials_per_task: 6, number: 1, repeat: 1, min_repeat_ms: 20}]
opt_levels: [1, 3]
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1}
"""

MIRRORED = 0.2
"""Share of the runs that write to MLflow too, which takes as long as all the rest."""
EARLY = 0.15
"""Share of the kills that come at any moment of the first second: before there is a ledger, or nothing new in it."""


def test_a_few_kills(tmp_path: Path, chance: random.Random) -> None:
    place = Place(tmp_path / "place", STUDY.format(batches=[1]), CLUSTER.format(mirror="false"))

    _end(_kill(place, chance, kills=3))


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path, chance: random.Random) -> None:
    kills = 50
    batches = list(range(1, 3 + kills // 5))
    place = Place(tmp_path / "place", STUDY.format(batches=batches), CLUSTER.format(mirror="true"))

    def vary() -> None:
        place.write("cluster.yaml", CLUSTER.format(mirror=str(chance.random() < MIRRORED).lower()))

    witness = _kill(place, chance, kills, vary)
    witness.store = place.out / "mlflow.db"
    place.write("cluster.yaml", CLUSTER.format(mirror="true"))
    _end(witness)


@pytest.mark.slow
@pytest.mark.tvm
def test_a_real_study(tmp_path: Path, chance: random.Random) -> None:
    place = Place(tmp_path / "place", REAL_STUDY, CLUSTER_ONE.format(engine="inline"))

    witness = _kill(place, chance, kills=5)
    witness.store = place.out / "mlflow.db"
    _end(witness)


def _kill(place: Place, chance: random.Random, kills: int, vary: Callable[[], None] = lambda: None) -> Witness:
    witness = Witness(place)
    for left in range(kills, 0, -1):
        vary()
        running = place.start()
        if chance.random() < EARLY:
            time.sleep(chance.random())  # any moment will do: there is nothing to wait for
        else:
            _wait_for_lines(place, running, _new_lines(place, chance, left))
            time.sleep(chance.random() * 0.01)
        assert running.poll() is None, f"ended before it was killed: {running.communicate()[1]}"
        running.kill()
        running.communicate(timeout=LIMIT_S)
        witness.pids.append(running.pid)
        witness.look()
        if chance.random() < 3 / kills and (place.out / "plan.json").exists():
            said = place.call("report", "out", "--format", "json")
            assert said.code == 0, said.err
    return witness


def _end(witness: Witness) -> None:
    place = witness.place
    ended = place.run()
    assert ended.code in (0, 1), ended.err
    witness.assert_whole()
    again = place.run()
    assert "nothing was missing: nothing was executed" in again.out
    witness.assert_whole()


def _new_lines(place: Place, chance: random.Random, kills_left: int) -> int:
    """About an equal share of what is left for each of the kills that are left, and one more for the end."""
    total = place.stages() or 10 * kills_left
    missing = 2 * (total - len(place.events("stage_done")))
    return max(1, round(chance.random() * 2 * missing / (kills_left + 1) * 0.8))


def _wait_for_lines(place: Place, running: subprocess.Popen[str], lines: int) -> None:
    ledger = place.out / "ledger.jsonl"
    before = ledger.read_bytes().count(b"\n") if ledger.exists() else 0
    wait_until(lambda: ledger.exists() and ledger.read_bytes().count(b"\n") >= before + lines, running)
