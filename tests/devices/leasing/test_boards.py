"""Two boards that share a key: used at once, told apart, and one of them stands in when the other fails."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweep.devices.device_session import DeviceSession
from sweep.devices.farm.farm import Farm
from sweep.devices.farm.farm_status import KeyStatus
from sweep.devices.leasing import board_health, boards, lease
from sweep.devices.leasing.board_health import BoardHealth, failed
from sweep.devices.leasing.boards import Boards
from sweep.devices.leasing.register import Register, boards_of, is_held, now_s
from sweep.devices.rpc.tracker_client import TrackerClient
from sweep.engine.device_worker import DeviceWorker
from sweep.engine.site import Site
from sweep.errors import DeviceLost, MeasureFailed, MeasureTimeout
from sweep.study.cluster.cluster import Tracker
from tests.devices.parts import LAST_CORE, RAISE, make_cluster, make_device, until, waits_for

pytestmark = [pytest.mark.integration, pytest.mark.tvm]

Build = Callable[[str], Path]
OPTIONS = {"number": 1, "repeat": 1, "min_repeat_ms": 0}


def sleep_ms(ms: int) -> str:
    """The body of a candidate that takes so long."""
    return f"extern int usleep(unsigned); usleep({ms * 1000});"


@pytest.fixture(scope="module")
def pair_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Two servers of one key."""
    with Farm(make_cluster(make_device("pair", (LAST_CORE,), count=2)), tmp_path_factory.mktemp("pair")) as farm:
        yield farm


@pytest.fixture
def session(pair_farm: Farm, tmp_path: Path) -> Iterator[DeviceSession]:
    """As boards elsewhere are measured: no core of this host is theirs. With a register of its own."""
    address = pair_farm.status().address
    assert address is not None
    device = replace(make_device("pair", (), threads=1, count=2), managed=False)
    with DeviceSession(
        device, address.tracker_host, address.tracker_port, tmp_path, free_timeout_s=20.0, sweep=Path("sweeps/mine")
    ) as session:
        yield session


@pytest.fixture
def register(session: DeviceSession, tmp_path: Path) -> Register:
    return boards_of(tmp_path, f"{session.tracker.host}:{session.tracker.port}", "pair")


@contextmanager
def stopped(farm: Farm, *indices: int) -> Iterator[list[str]]:
    """Servers that are stopped for the time of the block; gives their addresses."""
    key = farm.status().keys["pair"]
    until(lambda: farm.status().keys["pair"].free == 2, "both are free")
    for index in indices:
        os.kill(key.pids[index], signal.SIGSTOP)
    try:
        yield [f"127.0.0.1:{key.ports[index]}" for index in indices]
    finally:
        for index in indices:
            os.kill(key.pids[index], signal.SIGCONT)


def rested(register: Register) -> None:
    """As if the time that failed boards rest were over."""
    with register.changing() as entries:
        entries.update({name: replace(found, rests_until_s=0.0) for name, found in entries.items()})


def test_boards_of_one_key_work_at_the_same_time(session: DeviceSession, c_candidate: Build, tmp_path: Path) -> None:
    """Each of two candidates waits until the other one runs."""
    one, other = tmp_path / "one", tmp_path / "other"
    both = c_candidate(waits_for(one, other)), c_candidate(waits_for(other, one))

    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda lib: session.measure_candidate(lib, [], timeout_s=60.0, **OPTIONS), both)
        assert all(result["run_secs"] for result in results)


def test_a_process_opens_no_more_sessions_than_its_client_has_room_for(
    session: DeviceSession, register: Register, c_candidate: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "_ROOM", threading.BoundedSemaphore(1))
    slow = c_candidate(sleep_ms(200))
    used: list[int] = []

    def work(_: int) -> None:
        session.measure_candidate(slow, [], **OPTIONS)
        session.measure_candidate(c_candidate(RAISE), [], **OPTIONS)

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(work, number) for number in range(2)]
        while not all(one.done() for one in both):
            used.append(sum(is_held(found, now_s()) for found in register.read().values()))
        for one in both:
            with pytest.raises(MeasureFailed):
                one.result()
    assert max(used) == 1


def test_a_bench_has_a_lane_for_each_board(
    session: DeviceSession, tmp_path: Path, c_candidate: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, tmp_path, session.tracker.host, session.tracker.port, {}, (), False)
    bench = DeviceWorker(session.device, site, lambda *_: Future())
    meeting, at_once, most = threading.Barrier(2), 0, 0
    counting = threading.Lock()
    measure = DeviceSession.measure_candidate

    def counted(session: DeviceSession, *arguments: Any, **options: Any) -> Any:
        nonlocal at_once, most
        with counting:
            at_once += 1
            most = max(most, at_once)
        meeting.wait(30.0)
        result = measure(session, *arguments, **options)
        with counting:
            at_once -= 1
        return result

    monkeypatch.setattr(DeviceSession, "measure_candidate", counted)
    quick = c_candidate(sleep_ms(1))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: bench.candidate(quick, [], dict(OPTIONS)), range(4)))
    bench.close()
    assert most == 2, "two at a time, and no more"


def test_a_thread_keeps_to_its_board(session: DeviceSession, register: Register) -> None:
    seen: dict[int, list[str]] = {}
    boards = Boards(session.device, session.tracker, register, None, 20.0)
    both_have_one = threading.Barrier(2)

    def work(number: int) -> None:
        for visit in range(4):
            with boards.session(20.0) as remote:
                seen.setdefault(number, []).append(remote.board)
                if visit == 0:
                    both_have_one.wait(20)
            if number == 0:  # out of step, so that the other one's board is often free
                time.sleep(0.05)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    assert [len(set(boards)) for boards in seen.values()] == [1, 1]
    assert set(seen[0]) != set(seen[1])


def test_status_tells_who_has_leased_a_board(
    session: DeviceSession, pair_farm: Farm, tmp_path: Path, c_candidate: Build
) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(session.measure_candidate, c_candidate(waits_for(tmp_path / "go")), [], **OPTIONS)
        seen: list[KeyStatus] = []

        def is_leased() -> bool:
            seen[:] = [pair_farm.status(tmp_path).keys["pair"]]
            return seen[0].free == 1 and any(board.state == "leased" for board in seen[0].boards)

        until(is_leased, "one board is leased")
        (status,) = seen
        (tmp_path / "go").touch()
        running.result()
    assert (status.total, status.free, status.leased, status.broken) == (2, 1, 1, 0)
    (leased,) = [board for board in status.boards if board.state == "leased"]
    assert (leased.holder_pid, leased.sweep) == (os.getpid(), "sweeps/mine")
    assert leased.since == pytest.approx(time.time(), abs=60)
    until(lambda: pair_farm.status(tmp_path).keys["pair"].free == 2, "it was given back")


def test_a_board_that_hangs_rests_and_its_sibling_takes_the_work(
    session: DeviceSession,
    register: Register,
    pair_farm: Farm,
    tmp_path: Path,
    c_candidate: Build,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with stopped(pair_farm, 0) as (bad,), monkeypatch.context() as short:
        short.setattr("sweep.devices.rpc.remote.HANDSHAKE_TIMEOUT_S", 2.0)
        for _ in range(4):
            session._boards._usual.forget_mine()  # else it keeps to the well one, and does not try
            assert session.measure_candidate(c_candidate(sleep_ms(1)), [], **OPTIONS)["run_secs"]
        seen = register.read()[bad]
        assert seen.failures >= 1
        assert "did not take the session" in str(seen.reason)
    rested(register)
    until(lambda: session.tracker.keys()["pair"].free == 2, "it is back")
    until(lambda: _measured_on(session, c_candidate, register, bad), "it is tried again, and well")
    assert pair_farm.status(tmp_path).keys["pair"].broken == 0


def _measured_on(session: DeviceSession, c_candidate: Build, register: Register, board: str) -> bool:
    session._boards._usual.forget_mine()
    session.measure_candidate(c_candidate(sleep_ms(1)), [], **OPTIONS)
    return register.read()[board].failures == 0


def test_a_board_that_fails_again_and_again_is_set_aside_and_tried_later(
    session: DeviceSession, register: Register, pair_farm: Farm, tmp_path: Path, c_candidate: Build
) -> None:
    """It takes sessions and breaks them: the tracker knows nothing of that, and goes on to offer it."""
    key = pair_farm.status().keys["pair"]
    bad, good = (f"127.0.0.1:{port}" for port in key.ports)
    with register.changing() as entries:
        for name in (bad, good):
            entries[name] = with_failures(name, 3 if name == bad else 0)
    for _ in range(3):
        session.measure_candidate(c_candidate(sleep_ms(1)), [], **OPTIONS)
    entries = register.read()
    assert entries[bad].last_seen is None
    assert entries[good].last_seen is not None
    status = pair_farm.status(tmp_path).keys["pair"]
    assert (status.total, status.broken) == (2, 1)
    assert [board.state for board in status.boards if board.board == bad] == ["set aside"]

    with register.changing() as entries:
        entries[good] = with_failures(good, 4)
    with pytest.raises(DeviceLost, match=r"all 2 boards of 'pair' set aside, tried again in \d+ s: .*no power"):
        session.measure_candidate(c_candidate(sleep_ms(1)), [], **OPTIONS)
    assert pair_farm.status(tmp_path).keys["pair"].broken == 2

    rested(register)
    session.measure_candidate(c_candidate(sleep_ms(1)), [], **OPTIONS)
    assert pair_farm.status(tmp_path).keys["pair"].broken == 1, "one try has shown one of them to be well"


def with_failures(name: str, count: int) -> BoardHealth:
    found = BoardHealth(name)
    for _ in range(count):
        found = failed(found, "no power", now_s())
    return found


@pytest.mark.slow
def test_a_late_answer_reaches_nobody(
    session: DeviceSession, pair_farm: Farm, c_candidate: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both boards are stopped in mid-measurement, and go on when their clients have given up."""
    monkeypatch.setattr("sweep.devices.rpc.remote.SERVER_GRACE_S", 0.3)
    pids = pair_farm.status().keys["pair"].pids
    until(lambda: pair_farm.status().keys["pair"].free == 2, "both are free")
    slow, quick = c_candidate(sleep_ms(1200)), c_candidate(sleep_ms(2))
    workers: list[psutil.Process] = []
    with ThreadPoolExecutor(2) as pool:
        late = [pool.submit(session.measure_candidate, slow, [], timeout_s=2.0, **OPTIONS) for _ in range(2)]
        until(lambda: sum(len(psutil.Process(pid).children()) for pid in pids) == 2, "both compute")
        workers = [child for pid in pids for child in psutil.Process(pid).children()]
        for process in (*map(psutil.Process, pids), *workers):
            process.suspend()
        for one in late:
            with pytest.raises(DeviceLost, match="said nothing"):
                one.result(30)
    for process in (*workers, *map(psutil.Process, pids)):
        process.resume()
    for _ in range(4):
        (value,) = session.measure_candidate(quick, [], timeout_s=20.0, **OPTIONS)["run_secs"]
        assert 0.002 <= value < 0.5, "the quick one's own time, not that of the one before"


def test_a_client_that_stops_in_mid_measurement_is_refused_its_result(
    session: DeviceSession, pair_farm: Farm, tmp_path: Path, c_candidate: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not stopped, which would stop this test, but unable to renew: the same to all others."""
    monkeypatch.setattr(board_health, "LEASE_S", 0.2)
    monkeypatch.setattr(lease.Lease, "_renew", lambda _: None)
    with pytest.raises(DeviceLost, match=r"the lease of .* ran out"):
        session.measure_candidate(c_candidate(sleep_ms(600)), [], **OPTIONS)
    with pytest.raises(DeviceLost, match=r"the lease of .* ran out"):  # nor is a candidate blamed
        session.measure_candidate(c_candidate(sleep_ms(5000)), [], timeout_s=1.0, **OPTIONS)
    monkeypatch.undo()
    with pytest.raises(MeasureTimeout):
        session.measure_candidate(c_candidate(sleep_ms(5000)), [], timeout_s=1.0, **OPTIONS)
    assert not [board for board in pair_farm.status(tmp_path).keys["pair"].boards if board.failures]


@pytest.mark.slow
def test_a_board_that_is_lost_for_good_leaves_its_work_to_its_sibling(tmp_path: Path, c_candidate: Build) -> None:
    device = make_device("pair", (LAST_CORE,))
    with Farm(make_cluster(device), tmp_path / "a") as farm:
        address = farm.status().address
        assert address is not None
        elsewhere = Tracker("127.0.0.1", address.tracker_port, False)
        guest = Farm(make_cluster(device, tracker=elsewhere), tmp_path / "b")
        guest.up()
        tracker = TrackerClient(address.tracker_host, address.tracker_port)
        until(lambda: tracker.keys()["pair"].total == 2, "both are at the tracker")
        board = replace(device, managed=False, cores=(), count=2)
        session = DeviceSession(board, address.tracker_host, address.tracker_port, tmp_path / "locks")
        session.open()
        guest.down()
        for _ in range(3):
            session.measure_candidate(c_candidate(sleep_ms(1)), [], **OPTIONS)
        lab = make_cluster(board, tracker=elsewhere)
        status = Farm(lab, tmp_path / "c").status(tmp_path / "locks").keys["pair"]
        assert (status.total, status.free + status.leased, status.broken) == (2, 1, 1)
