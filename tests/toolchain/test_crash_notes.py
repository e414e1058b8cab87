"""Which jobs the compile server begins again after a crash."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import BuildFailed
from sweep.toolchain import crash_notes
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from sweep.toolchain.crash_notes import Crash, crashes_of, request_after_crash
from tests.toolchain.conftest import JOBS

SEGV = int(signal.SIGSEGV)


def request(*crashes: dict[str, str]) -> dict[str, Any]:
    return {"id": 7, "kwargs": {"a": 1, **({"crashes": list(crashes)} if crashes else {})}}


def test_a_job_that_crashed_is_told_where() -> None:
    again = request_after_crash(request(), SEGV, "crashed with SIGSEGV", "3/ChannelsLast")
    assert again == request({"at": "3/ChannelsLast", "how": "crashed with SIGSEGV"})
    assert crashes_of(again["kwargs"]["crashes"]) == (Crash("3/ChannelsLast", "crashed with SIGSEGV"),)


@pytest.mark.parametrize(
    ("status", "at"),
    [
        (SEGV, None),  # it noted nothing
        (int(signal.SIGKILL), "x"),  # somebody killed it, or there is no memory
        (int(signal.SIGTERM), "x"),
        (3 << 8, "x"),  # it ended by itself
        (0, "x"),
    ],
)
def test_other_ends_are_its_end(status: int, at: str | None) -> None:
    assert os.WIFSIGNALED(SEGV)
    assert request_after_crash(request(), status, "", at) is None


def test_who_crashes_where_it_has_crashed_is_not_begun_again() -> None:
    assert request_after_crash(request({"at": "x", "how": ""}), SEGV, "", "x") is None


@given(st.lists(st.text(max_size=2), min_size=40, max_size=40))
def test_it_ends_however_it_crashes(places: list[str]) -> None:
    now: dict[str, Any] | None = request()
    tries = 0
    for at in places:
        now = request_after_crash(now, SEGV, "", at)
        if now is None:
            break
        tries += 1
    assert now is None
    assert tries <= 8


def test_a_note_is_read_where_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_notes, "_folder", None)
    crash_notes.note("nobody looks for it")
    assert crash_notes.read(tmp_path) is None
    crash_notes.begin(tmp_path)
    crash_notes.note("first")
    crash_notes.note("then")
    assert crash_notes.read(tmp_path) == "then"


def test_the_server_begins_a_noted_job_again_and_no_other() -> None:
    with CompilePool(slots=1, preload=False) as pool:
        found = pool.submit(CompileJob(f"{JOBS}:crash_at", limit_s=30), {"places": ["a", "b"]}).result()
        assert [crash["at"] for crash in found["crashes"]] == ["a", "b"]
        with pytest.raises(BuildFailed, match="crashed with SIGSEGV"):
            pool.submit(CompileJob(f"{JOBS}:crash_at", "BuildFailed", limit_s=30), {"places": ["a", "a"]}).result()
