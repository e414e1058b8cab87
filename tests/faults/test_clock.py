"""A clock that is set back by hours while a sweep runs, and between its runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from tests.end_to_end.place import LIMIT_S, Place
from tests.faults.invariant import Witness
from tests.faults.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SHIM = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset_s(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("CLOCK_OFFSET_FILE"), "r");
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset_s();
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    now->tv_sec = fine.tv_sec; now->tv_usec = fine.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds) *seconds = now.tv_sec;
    return now.tv_sec;
}
"""
"""The wall clock of the processes that load it is the machine's and an offset; other clocks stay as they are."""

HOUR_S = 3600


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for a clock that can be set")
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "clock.so", folder / "clock.c"], check=True)
    return folder / "clock.so"


def test_set_back_in_mid_run_and_between_runs(place: Place, shim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offset = place.write("offset", "0")
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    monkeypatch.setenv("CLOCK_OFFSET_FILE", str(offset))
    witness = Witness(place)

    running = place.start()
    wait_until(lambda: place.done() >= 3, running)
    offset.write_text(str(-5 * HOUR_S))
    wait_until(lambda: place.done() >= 6, running)
    running.kill()
    running.communicate(timeout=LIMIT_S)
    witness.pids.append(running.pid)
    witness.look()
    offset.write_text(str(-9 * HOUR_S))
    first = place.call("status", "out", "--json")
    ended = place.run()

    assert ended.code == 0, ended.err
    witness.assert_whole()
    times = [event["t"] for event in place.events()]
    assert min(later - earlier for earlier, later in pairwise(times)) < -HOUR_S, "it was set back"
    assert json.loads(first.out)["since_last_event_s"] >= 0
    summary = json.loads(place.call("report", "out", "--json").out)["summary"]
    assert summary["ended_t"] >= summary["started_t"]
    assert (pd.read_parquet(place.out / "results.parquet").status == "done").all()
    again = place.run()
    assert "nothing was missing" in again.out
