"""One finished sweep on Ray with two devices, and one without Ray on one device, for all tests here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.place import CLUSTER_ONE, CLUSTER_TWO, Ended, Place

STUDY = """
study: main-job
question: What does tuning buy for a network that takes no time?
models: [tiny.onnx]
tuners:
  - none
  - {name: random, trials_per_task: 2, number: 1, repeat: 1, min_repeat_ms: 0}
  - {name: xgb, trials_per_task: 2, round: 2, population: 4, generations: 1, number: 1, repeat: 1, min_repeat_ms: 0}
opt_levels: [1, 3]
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1}
exclude: [{tuner: xgb, opt_level: 1}]
"""


@dataclass(frozen=True)
class Finished:
    """A sweep that has ended well, to be looked at and copied, not to be changed."""

    place: Place
    ended: Ended
    pid: int

    @property
    def out(self) -> Path:
        return self.place.out


def _finish(folder: Path, cluster: str) -> Finished:
    from tests.end_to_end.place import LIMIT_S

    place = Place(folder, STUDY, cluster)
    running = place.start()
    out, err = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 0, f"{out}\n{err}"
    return Finished(place, Ended(running.returncode, out, err), running.pid)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """On Ray."""
    return _finish(tmp_path_factory.mktemp("finished"), CLUSTER_TWO.format(engine="ray"))


@pytest.fixture(scope="session")
def finished_inline(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """In one process."""
    return _finish(tmp_path_factory.mktemp("inline"), CLUSTER_ONE.format(engine="inline"))
