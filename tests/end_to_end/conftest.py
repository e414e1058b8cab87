"""One finished sweep on Ray with two devices, and one without Ray on one device, for all tests here; sweeps to disturb,
and boards to take away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweep.devices.farm.farm import Farm
from sweep.study.cluster.cluster import Tracker
from sweep.study.measure_options import Measure
from tests.devices.parts import make_cluster, make_device
from tests.end_to_end.faulty import Begin, Faulty
from tests.end_to_end.place import CLUSTER_ONE, CLUSTER_TWO, LIMIT_S, Ended, Place

STUDY = """
study: main-job
final: null
question: What does tuning buy for a network that takes no time?
models: [tiny.onnx]
tuners:
  - none
  - {name: random, trials_per_task: 2, number: 1, repeat: 1, min_repeat_ms: 0}
  - {name: xgb, trials_per_task: 2, round: 2, population: 4, generations: 1, number: 1, repeat: 1, min_repeat_ms: 0}
opt_levels: [1, 3]
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0}
exclude: [{tuner: random, opt_level: 1}, {tuner: xgb, opt_level: 3}, {tuner: xgb, device: there}]
"""
STUDY_ONE = STUDY.replace(", {tuner: xgb, device: there}", "")
"""For `here` alone."""


@dataclass(frozen=True)
class Finished:
    """A sweep that has ended well, to be looked at and copied, not to be changed."""

    place: Place
    ended: Ended
    pid: int

    @property
    def out(self) -> Path:
        return self.place.out


def _finish(folder: Path, study: str, cluster: str) -> Finished:
    place = Place(folder, study, cluster)
    running = place.start()
    out, err = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 0, f"{out}\n{err}"
    return Finished(place, Ended(running.returncode, out, err), running.pid)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """On Ray."""
    return _finish(tmp_path_factory.mktemp("finished"), STUDY, CLUSTER_TWO.format(engine="ray"))


@pytest.fixture(scope="session")
def finished_inline(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """In one process; the slow tests' alone, which is why the others take the one above."""
    return _finish(tmp_path_factory.mktemp("inline"), STUDY_ONE, CLUSTER_ONE.format(engine="inline"))


@pytest.fixture
def in_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `sweep exec` measures in this process takes milliseconds, not seconds."""
    short = Measure(repeat=3, max_repeat=3, rounds=1, min_repeat_ms=1, retakes=0)
    monkeypatch.setattr("sweep.api.commands.exec.Measure", lambda: short)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts a sweep, of a study with a cluster, that a test is to disturb."""
    started: list[Faulty] = []

    def begin_(study: str, cluster: str) -> Faulty:
        started.append(Faulty(Place(tmp_path / "place", study, cluster)))
        return started[-1]

    yield begin_
    for faulty in started:
        faulty.kill()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Farm]]:
    """A tracker that the sweep did not start, which it finds by the environment; each call adds a board `here`."""
    guests: list[Farm] = []
    with Farm(make_cluster(), tmp_path / "lab") as tracker:
        address = tracker.status().address
        assert address is not None
        monkeypatch.setenv("TVM_TRACKER_HOST", address.tracker_host)
        monkeypatch.setenv("TVM_TRACKER_PORT", str(address.tracker_port))

        def add() -> Farm:
            there = Tracker(address.tracker_host, address.tracker_port, False)
            guests.append(Farm(make_cluster(make_device("here"), tracker=there), tmp_path / f"guest-{len(guests)}"))
            guests[-1].up()
            return guests[-1]

        yield add
        for guest in guests:
            guest.down()
