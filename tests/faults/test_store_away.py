"""An MLflow server that is away for a while: what it missed is sent later, and nothing twice."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.place import LIMIT_S, Place
from tests.faults.conftest import CLUSTER, STUDY
from tests.faults.invariant import Witness
from tests.faults.waiting import wait_until
from tests.record.servers import TrackingServer

pytestmark = [pytest.mark.integration, pytest.mark.mlflow, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TrackingServer]:
    (tmp_path / "store").mkdir()
    server = TrackingServer(tmp_path / "store" / "mlflow.db")
    server.start()
    yield server
    server.stop()


def test_in_mid_run_and_while_the_driver_is_killed(
    tmp_path: Path, chance: random.Random, server: TrackingServer
) -> None:
    slow = CLUSTER.replace("SPEED", "8").replace("{enabled: false}", f"{{tracking_uri: '{server.uri}'}}")
    place = Place(tmp_path / "place", STUDY, slow)
    witness = Witness(place, store=server.database)

    def begin() -> subprocess.Popen[str]:
        """A run, and a server that goes away soon after its beginning."""
        running = place.start()
        enough = place.done() + chance.randrange(1, 5)
        wait_until(lambda: place.done() >= enough, running)
        server.stop()
        wait_until(lambda: place.done() > enough + 2, running)
        return running

    running = begin()
    running.kill()
    running.communicate(timeout=LIMIT_S)
    witness.pids.append(running.pid)
    witness.look()
    witness.assert_nothing_runs()
    server.start()
    running = begin()
    server.start()
    _, err = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 0, err
    ended = place.run()  # where the server was back too late for that run

    assert ended.code == 0, ended.err
    assert "MLflow lacks" not in ended.err
    witness.assert_whole()
