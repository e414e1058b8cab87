"""A disk that is full in the middle of a sweep, and has room again for the next run."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator

import pytest

from tests.end_to_end.place import Place
from tests.faults.invariant import Witness

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOM_KIB = 64 * 1024
REAL_STUDY = """
study: no-room
final: null
models: [tiny.onnx]
tuners: [none, {name: random, trials_per_task: 4, number: 1, repeat: 1, min_repeat_ms: 0}]
opt_levels: [1, 3]
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0}
"""
REAL_CLUSTER = "{name: one, engine: inline, devices: [{key: here, cores: [-1]}], mlflow: {enabled: false}}"


@pytest.fixture
def disk(place: Place) -> Iterator[Place]:
    """The sweep directory is a small file system of its own."""
    place.out.mkdir()
    mounted = _mount(place, "size=4k")
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place.out], check=True)


@pytest.mark.parametrize("_", range(3))
def test_a_sweep_goes_on_when_there_is_room_again(disk: Place, chance: random.Random, _: int) -> None:
    witness = Witness(disk)
    _resize(disk, round(4 * 2.0 ** chance.uniform(0, 9)))  # 4 kB to 2 MB

    for _ in range(2):  # the second run finds what the first has left, and no room either
        ended = disk.run()
        assert ended.code in (0, 1, 2), ended.err
        assert "Traceback" not in ended.err, ended.err
        assert ended.code == 0 or "No space left on device" in ended.err, ended.err
        witness.look()
    _resize(disk, ROOM_KIB)

    ended = disk.run()
    assert ended.code == 0, ended.err
    witness.assert_whole()


@pytest.mark.tvm
def test_a_real_sweep_goes_on_too(disk: Place, chance: random.Random) -> None:
    """Stages meet the full disk before the ledger does: what failed of it is tried again, and its cell is measured."""
    disk.write("study.yaml", REAL_STUDY)
    disk.write("cluster.yaml", REAL_CLUSTER)
    witness = Witness(disk)
    _resize(disk, round(16 * 2.0 ** chance.uniform(0, 7)))  # 16 kB to 2 MB

    ended = disk.run()
    assert ended.code in (0, 1), ended.err
    assert "Traceback" not in ended.err, ended.err
    witness.look()
    _resize(disk, ROOM_KIB)

    ended = disk.run()
    assert ended.code == 0, ended.err
    witness.assert_whole()


def _mount(place: Place, options: str) -> subprocess.CompletedProcess[str]:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place.out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _resize(place: Place, kib: int) -> None:
    mounted = _mount(place, f"remount,size={kib}k")
    assert mounted.returncode == 0, mounted.stderr
