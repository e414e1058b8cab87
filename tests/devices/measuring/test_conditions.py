"""What a machine says of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sweep.devices.measuring import conditions


def test_observation_is_plain_data_about_this_process() -> None:
    seen = conditions.observe()
    assert json.loads(json.dumps(seen)) == seen
    assert seen["cores"] == sorted(os.sched_getaffinity(0))
    assert seen["architecture"] == os.uname().machine
    assert seen["load1"] >= 0


def test_another_runnable_process_on_the_core_is_seen() -> None:
    core = max(os.sched_getaffinity(0))
    busy = [
        sys.executable,
        "-c",
        f"import os; os.sched_setaffinity(0, {{{core}}}); print(flush=True)\nwhile True: pass",
    ]
    with subprocess.Popen(busy, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert any(conditions._competitors([core]) for _ in range(20))
        process.kill()


@pytest.mark.parametrize("spins", [False, True])
def test_a_thread_that_is_not_its_process_s_first_is_seen(spins: bool) -> None:
    core = max(os.sched_getaffinity(0))
    code = f"""
import os, threading, time
os.sched_setaffinity(0, {{{core}}})
def spin():
    while {spins}: pass
threading.Thread(target=spin, daemon=True).start()
print(flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        tasks = conditions._threads(Path(f"/proc/{process.pid}"))

        def is_runnable() -> bool:
            return any(conditions._is_runnable(task, [core]) for task in tasks)

        deadline = time.monotonic() + 30  # until both threads have got to where they stay, on a busy core
        while is_runnable() is not spins and time.monotonic() < deadline:
            time.sleep(0.01)
        assert is_runnable() is spins
        process.kill()


def test_work_of_this_process_is_its_own_and_the_cores() -> None:
    before = conditions.observe()
    began = time.process_time()
    while time.process_time() - began < 0.3:
        pass
    after = conditions.observe()
    assert after["own_s"] - before["own_s"] >= 0.3
    # The cores count in hundredths of a second, or coarser
    assert after["busy_s"] - before["busy_s"] > 0.2
    assert after["stolen_s"] >= before["stolen_s"]


def test_cores_of_all_threads_are_told() -> None:
    cores = sorted(os.sched_getaffinity(0))
    release, pinned = threading.Event(), threading.Event()

    def elsewhere() -> None:
        os.sched_setaffinity(0, cores[:1])
        pinned.set()
        release.wait()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    pinned.wait()
    try:
        assert conditions.observe()["thread_cores"] == cores
        assert os.sched_getaffinity(thread.native_id or 0) == {cores[0]}
    finally:
        release.set()
        thread.join()


def test_the_largest_cache_is_found() -> None:
    cache_bytes = conditions.observe()["cache_bytes"]
    assert cache_bytes is None or 2**15 <= cache_bytes <= 2**31


def test_merge_keeps_what_stays_and_both_of_what_changes() -> None:
    observed = conditions.observe()
    before = observed | {name: float(place) for place, name in enumerate(conditions.CHANGING)}
    after = observed | {name: place + 100.0 for place, name in enumerate(conditions.CHANGING)}
    merged = conditions.merge(before, after, threads=2)
    stays = {name: value for name, value in observed.items() if name not in conditions.CHANGING}
    assert merged == (
        stays
        | {"threads": 2}
        | {f"{name}_before": float(place) for place, name in enumerate(conditions.CHANGING)}
        | {f"{name}_after": place + 100.0 for place, name in enumerate(conditions.CHANGING)}
    )


def test_merge_of_nothing_has_the_same_changing_fields() -> None:
    merged = conditions.merge({}, {}, threads=1)
    assert merged["load1_before"] is None
    assert merged["threads"] == 1


def test_processes_in_a_row_are_one_table() -> None:
    """Of the machine from the first beginning to the last end; what the processes did themselves is added up."""
    heats = [
        conditions.merge(
            {"host": "h", "cpu_mhz": 1000.0 + at, "own_s": 2.0, "at": 10.0 * at, "counters": {"a": [5.0, 0.0]}},
            {
                "host": "h",
                "cpu_mhz": 2000.0 + at,
                "own_s": 2.5,
                "at": 10.0 * at + 4,
                "counters": {"a": [8.0, 0.0]},
            },
            1,
        )
        for at in range(3)
    ]

    found = conditions.in_a_row(heats)

    assert (found["cpu_mhz_before"], found["cpu_mhz_after"]) == (1000.0, 2002.0)
    assert (found["at_before"], found["at_after"]) == (0.0, 24.0)
    assert found["own_s_after"] - found["own_s_before"] == pytest.approx(1.5)
    assert (found["counted"], found["host"], found["threads"]) == ({"a": 9.0}, "h", 1)
    assert conditions.in_a_row([conditions.merge({}, {}, 1)])["own_s_after"] is None, "of a stock server"


def test_peak_is_that_since_the_reset() -> None:
    held = bytearray(os.urandom(1)) * (64 << 20)
    del held
    idle = conditions.reset_peak()
    if idle is None:
        pytest.skip("the kernel does not let us reset the peak")
    assert conditions.peak_bytes() < idle + (8 << 20)  # type: ignore[operator]
    held = bytearray(os.urandom(1)) * (64 << 20)
    assert conditions.peak_bytes() >= idle + (60 << 20)  # type: ignore[operator]
    del held
