"""One holder at a time, whatever becomes of it: ended, killed, stopped and continued."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from sweep.core_sharing import nobody_measures
from sweep.devices.leasing import board_health, lease, register
from sweep.devices.leasing.cores import core_lock
from sweep.devices.leasing.lease import Lease, myself, take
from sweep.devices.leasing.register import Register, boards_of, is_held, now_s, remove_idle
from sweep.errors import DeviceLost
from tests.devices.parts import until

BOARD = "127.0.0.1:9090"
SHORT_S = 0.4
"""For leases that run out within a test; the holder renews four times as often."""

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def boards(tmp_path: Path) -> Register:
    return boards_of(tmp_path, "tracker:1", "key")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_health, "LEASE_S", SHORT_S)
    monkeypatch.setattr(lease, "RENEW_S", SHORT_S / 4)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Another process that holds something; it says `held` first."""
    started = []

    def start_(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.devices.holder", str(tmp_path), name, str(SHORT_S)]
        process = subprocess.Popen(
            command, cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start_
    for process in started:
        process.kill()
        process.communicate()


def ask(process: subprocess.Popen[str]) -> str:
    return process.communicate("give it back\n", timeout=60)[0].strip()


def try_for(boards: Register, timeout_s: float = 0.0) -> Lease:
    return take(boards, [BOARD], myself(), timeout_s)


def test_one_holder_at_a_time(boards: Register) -> None:
    intervals: list[tuple[float, float]] = []

    def work(_: int) -> None:
        for _ in range(5):
            held = take(boards, [BOARD], myself(), 60.0)
            began = time.monotonic()
            time.sleep(0.002)
            intervals.append((began, time.monotonic()))
            held.release()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    intervals.sort()
    assert len(intervals) == 20
    assert all(end <= start for (_, end), (start, _) in pairwise(intervals))


def test_who_waits_in_vain_is_told_who_has_it(boards: Register) -> None:
    held = try_for(boards)
    with pytest.raises(DeviceLost, match=rf"127\.0\.0\.1:9090 was not free within 0 s: process {os.getpid()} holds it"):
        try_for(boards)
    held.release()
    try_for(boards).release()


def test_what_was_taken_is_given_back_when_the_rest_is_not_free(boards: Register) -> None:
    held = take(boards, ["b"], myself(), 0.0)
    with pytest.raises(DeviceLost, match="b was not free"):
        take(boards, ["a", "b"], myself(), 0.05)
    take(boards, ["a"], myself(), 0.0).release()
    held.release()


@pytest.mark.usefixtures("short")
def test_a_living_holder_keeps_it_beyond_the_lease(boards: Register) -> None:
    held = try_for(boards)
    until_s = boards.read()[BOARD].until_s
    until(lambda: now_s() > until_s + SHORT_S, "twice a lease")
    with pytest.raises(DeviceLost, match="was not free"):
        try_for(boards)
    held.release()


@pytest.mark.parametrize("name", [BOARD, "core 0"])
def test_a_holder_that_is_killed_holds_nothing(name: str, start: Start, boards: Register, tmp_path: Path) -> None:
    process = start(name)
    process.kill()
    process.wait()
    if name == BOARD:
        try_for(boards).release()
    else:
        with core_lock(tmp_path, [0], timeout_s=0.0):
            pass


def test_a_holder_that_was_stopped_cannot_use_what_it_measured(start: Start, boards: Register) -> None:
    process = start(BOARD)
    before = boards.read()[BOARD]
    os.kill(process.pid, signal.SIGSTOP)
    mine = try_for(boards, 30.0)
    assert now_s() > before.until_s, "not before its lease has run out"
    assert mine.tokens[BOARD] > before.token
    os.kill(process.pid, signal.SIGCONT)
    assert "DeviceLost: the lease of 127.0.0.1:9090 ran out" in ask(process)
    assert mine.is_mine(), "what it says at the end touches nobody else's lease"
    mine.release()


def test_it_is_refused_too_where_nobody_has_taken_the_board(start: Start, boards: Register) -> None:
    process = start(BOARD)
    os.kill(process.pid, signal.SIGSTOP)
    until_s = boards.read()[BOARD].until_s
    until(lambda: now_s() > until_s, "the lease has run out")
    os.kill(process.pid, signal.SIGCONT)
    assert "ran out" in ask(process)
    try_for(boards).release()


def test_the_cores_of_a_stopped_holder_come_free(start: Start, tmp_path: Path) -> None:
    process = start("core 0")
    os.kill(process.pid, signal.SIGSTOP)
    with core_lock(tmp_path, [0], timeout_s=30.0):
        with nobody_measures(tmp_path, 0) as is_free:
            assert not is_free, "those who compile see the new holder"
        os.kill(process.pid, signal.SIGCONT)
        assert "DeviceLost: the lease of core 0 ran out" in ask(process)
        with nobody_measures(tmp_path, 0) as is_free:
            assert not is_free, "and still do when the old one is gone"
    with nobody_measures(tmp_path, 0) as is_free:
        assert is_free


def test_a_holder_that_gives_back_in_time_is_well(start: Start, boards: Register) -> None:
    process = start(BOARD)
    assert ask(process) == "given back"
    found = boards.read()[BOARD]
    assert (found.holder, found.failures) == (None, 0)
    assert found.last_seen == pytest.approx(time.time(), abs=60)


def test_a_failure_is_noted_with_its_reason(boards: Register) -> None:
    try_for(boards).give_up("no power")
    found = boards.read()[BOARD]
    assert (found.failures, found.reason, found.holder) == (1, "no power", None)
    try_for(boards).release()
    assert boards.read()[BOARD].failures == 0


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b'{"entries": [{"name": 1}]}\n', b"[]\n", b'{"entries": 3}\n'])
def test_a_damaged_register_counts_as_empty_and_its_holders_are_told(boards: Register, damage: bytes) -> None:
    held = try_for(boards)
    boards.path.write_bytes(damage)
    assert boards.read() == {}
    with pytest.raises(DeviceLost, match="ran out"):
        held.release()
    again = try_for(boards)
    assert again.tokens[BOARD] > held.tokens[BOARD]
    again.release()


def test_a_register_that_stays_locked_is_told(boards: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "LOCK_TIMEOUT_S", 0.05)
    with (
        boards.changing(),
        ThreadPoolExecutor(1) as other,
        pytest.raises(DeviceLost, match=r"was locked for more than 0\.05 s"),
    ):
        other.submit(boards.read).result()


def test_changes_of_many_are_all_kept(boards: Register) -> None:
    def work(number: int) -> None:
        for _ in range(20):
            take(boards, [f"board {number}"], myself(), 60.0).give_up("tried")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert {found.failures for found in boards.read().values()} == {20}


def test_keys_and_trackers_have_registers_of_their_own_and_idle_ones_go(boards: Register, tmp_path: Path) -> None:
    try_for(boards).release()
    others = [boards_of(tmp_path, "tracker:2", "key"), boards_of(tmp_path, "tracker:1", "a/b c")]
    for other in others:
        take(other, [BOARD], myself(), 0.0).release()
    assert len({boards.path, *(other.path for other in others)}) == 3
    os.utime(others[0].path, (0, 0))
    remove_idle(tmp_path)
    assert [register.path.exists() for register in (boards, *others)] == [True, False, True]


def test_a_register_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeviceLost, match="in which leases are noted, cannot be used: Not a directory"):
        try_for(boards_of(tmp_path / "file", "tracker:1", "key"))


@pytest.mark.slow
@pytest.mark.benchmark
def test_a_lease_costs_less_than_two_milliseconds(boards: Register) -> None:
    costs = []
    for _ in range(30):
        began = time.perf_counter()
        try_for(boards).release()
        costs.append(time.perf_counter() - began)
    assert min(costs) < 2e-3


def test_no_thread_is_left_of_many_leases(boards: Register) -> None:
    before = threading.active_count()
    for _ in range(20):
        try_for(boards).release()
    until(lambda: threading.active_count() <= before, "the threads that would have renewed are gone")
    assert not is_held(boards.read()[BOARD], now_s())
