"""What a machine says of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from sweep.devices import conditions


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


def test_merge_keeps_what_stays_and_both_of_what_changes() -> None:
    before, after = conditions.observe(), conditions.observe()
    merged = conditions.merge(before, after, threads=2)
    assert merged["host"] == before["host"]
    assert merged["threads"] == 2
    assert (merged["at_before"], merged["at_after"]) == (before["at"], after["at"])
    assert not {"at", "load1", "cpu_mhz", "competitors"} & set(merged)


def test_merge_of_nothing_has_the_same_changing_fields() -> None:
    merged = conditions.merge({}, {}, threads=1)
    assert merged["load1_before"] is None
    assert merged["threads"] == 1


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
