"""A driver that is killed again and again, each time at a moment that chance has chosen."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.end_to_end.place import CLUSTER_ONE, LIMIT_S, Place
from tests.faults.invariant import Witness

pytestmark = [pytest.mark.integration, pytest.mark.mlflow, pytest.mark.timeout(900)]

STUDY = """
study: killed
final: null
models: [tiny.onnx]
tuners: [none, random]
opt_levels: [0, 1, 2, 3]
axes: {{batch: {batches}}}
"""
CLUSTER = """
name: made-up
engine: simulated
mlflow: {{enabled: {mirror}}}
simulate: {{devices: 2, slots: 4, failure_rate: 0.02, speed: {speed},
           stage_s: {{import: 2, lower: 5, tune: 30, build: 8, measure: 3}}}}
"""
REAL_STUDY = """
study: killed
final: null
models: [tiny.onnx]
tuners: [none, {{name: random, trials_per_task: 6, number: 1, repeat: 1, min_repeat_ms: 20}}]
opt_levels: [1, 3]
axes: {{batch: {batches}}}
measure: {{repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0}}
"""
EARLY = 0.15
"""Share of the kills that come at any moment of the first second: before there is a ledger, or nothing new in it."""
MIRRORED = 5
"""Kills while MLflow is written to, which takes seconds to begin: those runs work slowly."""
FAST, SLOW = 200, 2
KILLS_A_BATCH = 5


def test_a_few_kills(tmp_path: Path, chance: random.Random) -> None:
    place = Place(tmp_path / "place", "", CLUSTER.format(mirror="false", speed=FAST))
    killer = Killer(place, chance, STUDY, kills=3)

    for _ in range(3):
        killer.kill(killer.any_moment)
    _end(killer.witness)


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path, chance: random.Random) -> None:
    kills = 50
    place = Place(tmp_path / "place", "", "")
    killer = Killer(place, chance, STUDY, kills)
    mirrored = chance.sample(range(kills), MIRRORED)

    for number in range(kills):
        if number in mirrored:
            place.write("cluster.yaml", CLUSTER.format(mirror="true", speed=SLOW))
            killer.kill(killer.while_mlflow_is_written)
        else:
            place.write("cluster.yaml", CLUSTER.format(mirror="false", speed=FAST))
            killer.kill(killer.any_moment)
    place.write("cluster.yaml", CLUSTER.format(mirror="true", speed=FAST))
    killer.witness.store = place.out / "mlflow.db"
    _end(killer.witness)
    assert killer.kills == 0


@pytest.mark.slow
@pytest.mark.tvm
def test_a_real_study(tmp_path: Path, chance: random.Random) -> None:
    kills = 4
    one = CLUSTER_ONE.format(engine="inline")
    place = Place(tmp_path / "place", "", one.replace("name: one", "name: one, mlflow: {enabled: false}"))
    killer = Killer(place, chance, REAL_STUDY, kills)

    for _ in range(kills):
        killer.kill(killer.any_moment)
    place.write("cluster.yaml", one)
    killer.witness.store = place.out / "mlflow.db"
    _end(killer.witness)


@dataclass(frozen=True)
class Moment:
    """When a run is to be killed."""

    has_come: Callable[[], bool]
    delay_s: float
    """After that."""


@dataclass
class Killer:
    """Starts one sweep again and again, and kills it."""

    place: Place
    chance: random.Random
    study: str
    kills: int
    """To come."""
    batches: int = 0
    report_share: float = field(init=False)

    def __post_init__(self) -> None:
        self.witness = Witness(self.place)
        self.report_share = 3 / self.kills
        self._grow()

    def kill(self, moment: Callable[[], Moment]) -> None:
        """Until a run was killed. One that was quicker has done all there was, so there must be more to do."""
        while not self._is_killed(moment()):
            self._grow()
        self.kills -= 1
        self.witness.look()
        if self.chance.random() < self.report_share and (self.place.out / "plan.json").exists():
            said = self.place.call("report", "out", "--format", "json")
            assert said.code == 0, said.err

    def _is_killed(self, moment: Moment) -> bool:
        running, deadline = self.place.start(), time.monotonic() + LIMIT_S
        while running.poll() is None and not moment.has_come():
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.002)
        time.sleep(moment.delay_s)
        running.kill()
        _, err = running.communicate(timeout=LIMIT_S)
        self.witness.pids.append(running.pid)
        assert running.returncode in (-signal.SIGKILL, 0, 1), err
        return running.returncode == -signal.SIGKILL

    def _grow(self) -> None:
        self.batches += 1 + self.kills // KILLS_A_BATCH
        self.place.write("study.yaml", self.study.format(batches=list(range(1, self.batches + 1))))

    def any_moment(self) -> Moment:
        if self.chance.random() < EARLY:
            return Moment(lambda: True, self.chance.random())
        share, before = self._share(), self._ledger_from(0)
        return Moment(lambda: self._ledger_from(len(before)).count(b"\n") >= share, self.chance.random() * 0.01)

    def while_mlflow_is_written(self) -> Moment:
        before = self._store()
        return Moment(lambda: self._store() != before, self.chance.random() * 0.5)

    def _ledger_from(self, offset: int) -> bytes:
        """What a run has added; all of it, each two milliseconds, would take a tenth of a core."""
        try:
            with (self.place.out / "ledger.jsonl").open("rb") as file:
                file.seek(offset)
                return file.read()
        except FileNotFoundError:
            return b""

    def _share(self) -> int:
        """Lines of the ledger: about an equal share of what is left for each kill to come, and one for the end."""
        total = self.place.stages() or 10 * self.kills
        missing = 2 * (total - self.place.done())
        return max(1, round(self.chance.random() * 2 * missing / (self.kills + 1) * 0.8))

    def _store(self) -> list[tuple[str, int, int]]:
        """Changes whenever MLflow's database does, or the log of what is not in it yet."""
        files = [self.place.out / name for name in ("mlflow.db", "mlflow.db-wal")]
        states = [(path.name, path.stat()) for path in files if path.exists()]
        return [(name, state.st_size, state.st_mtime_ns) for name, state in states]


def _end(witness: Witness) -> None:
    place = witness.place
    ended = place.run()
    assert ended.code in (0, 1), ended.err
    witness.assert_whole()
    again = place.run()
    assert "nothing was missing: nothing was executed" in again.out
    witness.assert_whole()
