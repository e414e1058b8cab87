"""Tuner, builder and device actors that are killed while they work, in a sweep that is left to itself."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.place import LIMIT_S, Place
from tests.faults.invariant import Witness
from tests.faults.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

STUDY = """
study: lost-workers
final: null
models: [tiny.onnx]
tuners: [none, {name: random, trials_per_task: 8, number: 1, repeat: 1, min_repeat_ms: 30}]
opt_levels: [1, 3]
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0}
"""
CLUSTER = "{name: one, engine: ray, devices: [{key: here, cores: [-1]}], mlflow: {enabled: false}}"
ROLES = ["BuilderActor", "TunerActor", "DeviceActor"]


def test_every_cell_is_measured_all_the_same(tmp_path: Path, chance: random.Random) -> None:
    place = Place(tmp_path / "place", STUDY, CLUSTER)
    witness = Witness(place)
    running = place.start()
    for role in chance.sample(ROLES, len(ROLES)):
        trials = len(place.trials()) + chance.randrange(1, 4)
        wait_until(lambda enough=trials: len(place.trials()) >= enough, running)  # type: ignore[misc]
        time.sleep(chance.random() * 0.2)
        _kill(place, role, running)
        witness.look()
    _, err = running.communicate(timeout=LIMIT_S)

    assert running.returncode == 0, err
    witness.assert_whole()
    deaths = [event for event in place.events("attempt_failed") if event["error_class"] == "EngineError"]
    assert deaths, "a tuner that died costs its attempt"


def _kill(place: Place, role: str, running: subprocess.Popen[str]) -> None:
    found: list[psutil.Process] = []

    def is_there() -> bool:
        found.extend(process for process in place.processes() if _title(process).startswith(f"ray::{role}"))
        return bool(found)

    wait_until(is_there, running)
    for process in found:
        process.kill()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
