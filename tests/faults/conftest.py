"""A seed for all that is left to chance here. It is shown with a failure: set it again and the same happens again."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.place import LIMIT_S, Place
from tests.faults.invariant import Witness
from tests.faults.waiting import wait_until

STUDY = """
study: unlucky
final: null
models: [tiny.onnx]
tuners: [none, random]
opt_levels: [1, 3]
axes: {batch: [1, 2]}
"""
CLUSTER = """
name: made-up
engine: simulated
mlflow: {enabled: false}
simulate: {devices: 1, slots: 2, speed: SPEED, stage_s: {import: 2, lower: 5, tune: 20, build: 8, measure: 3}}
"""
VARIABLE = "SWEEP_FAULTS_SEED"
SEED = int(os.environ.get(VARIABLE) or random.SystemRandom().randrange(10**6))


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of one's own for each test, whatever others draw."""
    return random.Random(f"{SEED}/{request.node.name}")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A small study of made-up work, for about half a second."""
    return Place(tmp_path / "place", STUDY, CLUSTER.replace("SPEED", "200"))


@pytest.fixture(scope="session")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A sweep whose driver was killed when about half of it was done; to be copied, not to be changed."""
    place = Place(tmp_path_factory.mktemp("killed") / "place", STUDY, CLUSTER.replace("SPEED", "20"))
    running = place.start()
    wait_until(lambda: place.done() > 0, running)
    half = place.stages() // 2
    wait_until(lambda: place.done() > half, running)
    running.kill()
    running.communicate(timeout=LIMIT_S)
    return place


@pytest.fixture
def halfway(killed: Place, place: Place) -> Witness:
    """A copy of that sweep, with what it held."""
    shutil.copytree(killed.out, place.out)
    witness = Witness(place)
    witness.look()
    return witness


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    if report.failed:
        report.sections.append(("seed", f"run it again with {VARIABLE}={SEED}"))
    return report
