"""The file lock per core."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from sweep.devices.leasing.cores import core_lock, waited_s
from sweep.errors import DeviceLost
from tests.devices.parts import until

HOLD = """
import sys, time
from pathlib import Path
from sweep.devices.leasing.cores import core_lock
with core_lock(Path(sys.argv[1]), (0,)):
    print("held", flush=True)
    time.sleep(60)
"""


def test_holders_of_a_common_core_never_overlap(tmp_path: Path) -> None:
    intervals: list[tuple[float, float]] = []

    def work(cores: tuple[int, ...]) -> None:
        for _ in range(10):
            with core_lock(tmp_path, cores):
                began = time.monotonic()
                time.sleep(0.002)
                intervals.append((began, time.monotonic()))

    # In either order of naming: a circle of waiters would time the test out.
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, [(0, 1), (1, 0), (1,)]))
    intervals.sort()
    assert len(intervals) == 30
    assert all(end <= start for (_, end), (start, _) in pairwise(intervals))


def test_different_cores_do_not_wait(tmp_path: Path) -> None:
    with core_lock(tmp_path, (0,)), core_lock(tmp_path, (1,), timeout_s=0.0):
        pass


def test_a_thread_knows_how_long_it_has_waited(tmp_path: Path) -> None:
    waiting = threading.Event()
    told: list[float] = []

    def wait() -> None:
        told.append(waited_s())
        waiting.set()
        begun = time.monotonic()
        with core_lock(tmp_path, (0,)):
            told.append(time.monotonic() - begun)
        told.append(waited_s())

    thread = threading.Thread(target=wait)
    with core_lock(tmp_path, (0,)):
        thread.start()
        assert waiting.wait(timeout=60)
        before = waited_s()
    thread.join(timeout=60)
    first, in_all, last = told
    assert first == 0.0
    assert 0.0 < last <= in_all
    assert waited_s() == before, "it is each thread's own"


def test_no_cores_no_lock(tmp_path: Path) -> None:
    with core_lock(tmp_path, ()), core_lock(tmp_path, (), timeout_s=0.0):
        pass


def test_wait_is_limited_and_gives_back_what_it_had(tmp_path: Path) -> None:
    with (
        core_lock(tmp_path, (1,)),
        pytest.raises(DeviceLost, match=r"core 1 was not free within 0\.05 s"),
        core_lock(tmp_path, (0, 1), timeout_s=0.05),
    ):
        pass
    with core_lock(tmp_path, (0, 1), timeout_s=0.0):
        pass


def test_an_error_inside_frees_the_cores(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), core_lock(tmp_path, (0,)):
        _ = 1 / 0
    with core_lock(tmp_path, (0,), timeout_s=0.0):
        pass


def test_a_holder_that_is_killed_holds_no_more(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DeviceLost), core_lock(tmp_path, (0,), timeout_s=0.0):
            pass
        holder.kill()
        with core_lock(tmp_path, (0,), timeout_s=5.0):
            pass


def test_a_lock_taken_in_one_thread_may_be_freed_in_another(tmp_path: Path) -> None:
    lock = core_lock(tmp_path, (0,))
    lock.__enter__()
    thread = threading.Thread(target=lock.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    until(lambda: _is_free(tmp_path), "the lock is free")


def _is_free(lock_dir: Path) -> bool:
    try:
        with core_lock(lock_dir, (0,), timeout_s=0.0):
            return True
    except DeviceLost:
        return False
