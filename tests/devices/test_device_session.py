"""Candidates on a real device: what is measured, what fails, and that the device is well for the next one."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweep.devices import device_session as session_module
from sweep.devices.device_session import DeviceSession
from sweep.devices.farm.farm import Farm
from sweep.devices.measuring.candidate import time_candidate
from sweep.errors import DeviceLost, MeasureFailed, MeasureTimeout, WorkerKilled
from tests.devices.parts import CRASH, HANG, LAST_CORE, RAISE, make_device, until, waits_for
from tests.processes import command_of, is_gone

pytestmark = [pytest.mark.integration, pytest.mark.tvm]

Candidate = tuple[Path, list[dict[str, Any]]]
Build = Callable[[str], Path]


def measure(session: DeviceSession, candidate: Candidate, **changed: Any) -> list[float]:
    options = {"number": 1, "repeat": 3, "min_repeat_ms": 0, "timeout_s": 10.0} | changed
    result = session.measure_candidate(*candidate, **options)
    assert set(result) == {"run_secs", "seconds"}
    assert all(0 < value < 1 for value in result["run_secs"])
    return list(result["run_secs"])


def test_candidate_gives_a_value_a_repeat(session: DeviceSession, matmul: Candidate) -> None:
    assert len(measure(session, matmul, repeat=5)) == 5


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_what_looks_up_by_its_arguments_stays_within_what_it_has(
    session: DeviceSession, tmp_path: Path, dtype: str
) -> None:
    """Arbitrary bits would lead a gigabyte away, where there is no memory."""
    import tvm
    from tvm import te

    data, rows = te.placeholder((8, 4), name="data"), te.placeholder((64,), dtype, name="rows")
    taken = te.compute((64, 4), lambda i, j: data[rows[i], j], name="taken")
    library = tmp_path / "taken.so"
    module = tvm.IRModule({"main": te.create_prim_func([data, rows, taken])})
    tvm.compile(module, tvm.target.Target({"kind": "llvm"})).export_library(str(library))
    shapes = [([8, 4], "float32"), ([64], dtype), ([64, 4], "float32")]
    assert len(measure(session, (library, [{"shape": shape, "dtype": kind} for shape, kind in shapes]))) == 3


def test_min_repeat_ms_is_kept(session: DeviceSession, matmul: Candidate) -> None:
    began = time.monotonic()
    measure(session, matmul, repeat=2, min_repeat_ms=100)
    assert time.monotonic() - began > 0.2


@pytest.mark.slow
@pytest.mark.benchmark
def test_a_candidate_costs_less_than_100_ms(session: DeviceSession, matmul: Candidate) -> None:
    costs = [session.measure_candidate(*matmul, number=1, repeat=1, min_repeat_ms=0)["seconds"] for _ in range(5)]
    assert min(costs) < 0.1


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (CRASH, MeasureFailed, "died of SIG"),
        ("*(volatile int *)0 = 0;", MeasureFailed, "died of SIGSEGV"),
        ("extern int raise(int); raise(8);", MeasureFailed, "died of SIGFPE: an integer was divided by zero"),
        ("extern int raise(int); raise(9);", WorkerKilled, "its worker was killed with SIGKILL"),
        ("extern void _exit(int); _exit(3);", MeasureFailed, "ended its process with status 3"),
        (RAISE, MeasureFailed, "one at 127.0.0.1:"),
        (HANG, MeasureTimeout, "did not finish within 1 s"),
        ("extern int sleep(int); sleep(100);", MeasureTimeout, "did not finish within 1 s"),
    ],
)
def test_a_bad_candidate_fails_alone(
    body: str,
    error: type[Exception],
    message: str,
    session: DeviceSession,
    c_candidate: Build,
    matmul: Candidate,
) -> None:
    with pytest.raises(error, match=message) as caught:
        measure(session, (c_candidate(body), []), timeout_s=1.0 if error is MeasureTimeout else 30.0)
    assert "\n" not in str(caught.value)
    measure(session, matmul)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([[64, 64], [64, 64]], "Expected 3 arguments"),
        ([[64, 64], [64, 64], [64, 63]], r"Invalid product\.shape\[1\] on argument #2 .* expected 64"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(
    arguments: list[list[int]], message: str, session: DeviceSession, matmul: Candidate
) -> None:
    with pytest.raises(MeasureFailed, match=message) as caught:
        measure(session, (matmul[0], [{"shape": shape, "dtype": "float32"} for shape in arguments]))
    assert "\n" not in str(caught.value)


def test_a_damaged_library_is_one_line(session: DeviceSession, tmp_path: Path) -> None:
    (tmp_path / "bad.so").write_bytes(b"not a library")
    with pytest.raises(MeasureFailed, match="Failed to load dynamic shared library") as caught:
        measure(session, (tmp_path / "bad.so", []))
    assert "\n" not in str(caught.value)


def test_a_bug_of_ours_is_not_called_a_device_error(session: DeviceSession, tmp_path: Path, matmul: Candidate) -> None:
    with pytest.raises(FileNotFoundError):
        measure(session, (tmp_path / "absent.so", []))
    measure(session, matmul)


def test_nothing_is_left_on_the_device(
    session: DeviceSession, farm: Farm, matmul: Candidate, c_candidate: Build
) -> None:
    measure(session, matmul)
    with pytest.raises(MeasureFailed):
        measure(session, (c_candidate(CRASH), []))
    measure(session, matmul)
    assert list((farm.state_dir / "tmp").glob("one-*"))
    until(lambda: not list((farm.state_dir / "tmp").glob("one-*/*")), "temporary files are gone")


def test_server_killed_in_mid_measurement(
    session: DeviceSession, farm: Farm, c_candidate: Build, matmul: Candidate, tmp_path: Path
) -> None:
    (pid,) = farm.status().keys["one"].pids
    worker: list[psutil.Process] = []
    runs = tmp_path / "runs"

    def kill() -> None:
        worker.extend(psutil.Process(pid).children())
        os.kill(pid, signal.SIGKILL)

    with _once(runs.exists, kill), pytest.raises(DeviceLost, match=r"the connection to one at 127\.0\.0\.1:\d+ broke"):
        measure(session, (c_candidate(waits_for(tmp_path / "never", runs)), []), timeout_s=60.0)
    assert worker
    until(lambda: is_gone(worker[0]), "the worker died with its server")
    measure(session, matmul)
    assert farm.status().keys["one"].pids != (pid,)
    assert farm.status().keys["one"].restarts >= 1


def test_server_that_is_stopped_costs_a_limit_and_no_more(
    session: DeviceSession,
    farm: Farm,
    c_candidate: Build,
    matmul: Candidate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sweep.devices.rpc.remote.SERVER_GRACE_S", 0.5)
    (pid,) = farm.status().keys["one"].pids
    runs = tmp_path / "runs"
    body = waits_for(tmp_path / "never", runs)
    try:
        with _once(runs.exists, lambda: os.kill(pid, signal.SIGSTOP)), pytest.raises(DeviceLost, match="said nothing"):
            measure(session, (c_candidate(body), []), timeout_s=2.0)
    finally:
        os.kill(pid, signal.SIGCONT)
    measure(session, matmul)


def test_server_that_takes_no_session_is_lost(
    session: DeviceSession, farm: Farm, matmul: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pid,) = farm.status().keys["one"].pids
    until(lambda: farm.status().keys["one"].free == 1, "the session of the opening is over")
    os.kill(pid, signal.SIGSTOP)
    try:
        with monkeypatch.context() as short:
            short.setattr("sweep.devices.rpc.remote.HANDSHAKE_TIMEOUT_S", 0.5)
            with pytest.raises(DeviceLost, match="did not take the session"):
                measure(session, matmul)
    finally:
        os.kill(pid, signal.SIGCONT)
    measure(session, matmul)


def time_kernels(session: DeviceSession, library: Path, count: int, timeout_s: float = 60.0) -> list[Any]:
    kernels = [{"name": "main", "args": []}] * count
    told = session.time_kernels(library, kernels, repeat=2, min_repeat_ms=0, timeout_s=timeout_s)
    return list(told["run_secs"])


def test_a_kernel_that_fails_is_told_beside_the_others(session: DeviceSession, matmul: Candidate) -> None:
    library, args = matmul
    kernels = [{"name": name, "args": given} for name, given in (("main", args[:2]), ("none", args), ("main", args))]
    first, second, third = session.time_kernels(library, kernels, repeat=2, min_repeat_ms=0, timeout_s=60.0)["run_secs"]
    assert "Expected 3 arguments" in first
    assert "none" in second
    assert len(third) == 2


def test_a_board_that_goes_is_no_answer_of_the_kernels_that_were_to_come(
    session: DeviceSession, farm: Farm, c_candidate: Build, tmp_path: Path
) -> None:
    (pid,) = farm.status().keys["one"].pids
    runs = tmp_path / "runs"
    waits = c_candidate(waits_for(tmp_path / "never", runs))
    with _once(runs.exists, lambda: os.kill(pid, signal.SIGKILL)), pytest.raises(DeviceLost, match="broke"):
        time_kernels(session, waits, 3)


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [(CRASH, MeasureFailed, "died of SIG"), (HANG, MeasureTimeout, "did not finish within 2 s")],
)
def test_a_kernel_that_ends_the_session_fails_all(
    body: str, error: type[Exception], message: str, session: DeviceSession, c_candidate: Build
) -> None:
    with pytest.raises(error, match=message):
        time_kernels(session, c_candidate(body), 3, timeout_s=2.0 if error is MeasureTimeout else 60.0)


def test_tracker_killed_and_back(session: DeviceSession, farm: Farm, matmul: Candidate) -> None:
    address = farm.status().address
    assert address is not None
    (tracker,) = (p for p in _processes(farm) if "sweep.devices.farm.tracker_server" in command_of(p))
    tracker.kill()
    measure(session, matmul)
    assert farm.status().address == address


def test_a_client_that_dies_frees_the_device_before_its_limit(
    farm: Farm, session: DeviceSession, c_candidate: Build, matmul: Candidate, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    body = c_candidate(waits_for(tmp_path / "never", runs))
    child = os.fork()
    if child == 0:
        try:
            measure(session, (body, []), timeout_s=3600.0)
        finally:
            os._exit(1)
    until(runs.exists, "the child measures")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    measure(session, matmul)


def test_unknown_key_names_those_there_are(farm: Farm, tmp_path: Path) -> None:
    address = farm.status().address
    assert address is not None
    absent = DeviceSession(make_device("absent"), address.tracker_host, address.tracker_port, tmp_path, 3600.0)
    with pytest.raises(DeviceLost, match="has no device 'absent'; keys there: all, one"):
        absent.open()


def test_tracker_away_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket() as deaf:  # takes its port, so that nobody else listens there, and does not listen
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        with pytest.raises(DeviceLost, match=f"no tracker answers at 127.0.0.1:{port}: .*Connection refused"):
            DeviceSession(make_device("one"), "127.0.0.1", port, tmp_path, 3600.0).open()


def test_busy_device_is_waited_for_within_limits(
    open_session: Callable[..., DeviceSession], tmp_path: Path, c_candidate: Build, devices: dict[str, Any]
) -> None:
    holder = open_session()
    impatient = DeviceSession(devices["one"], holder.tracker.host, holder.tracker.port, tmp_path, free_timeout_s=0.5)
    with ThreadPoolExecutor() as pool:
        body, options = c_candidate(waits_for(tmp_path / "go", tmp_path / "runs")), {"number": 1, "repeat": 1}
        held = pool.submit(holder.measure_candidate, body, [], timeout_s=60.0, min_repeat_ms=0, **options)
        until((tmp_path / "runs").exists, "it is measured on")
        with pytest.raises(DeviceLost, match=r"no device with key 'one' became free within 0\.5 s"):
            impatient.open()
        (tmp_path / "go").touch()
        assert held.result()["run_secs"]
    until(lambda: holder.tracker.keys()["one"].free == 1, "it is free")
    impatient.open()


def test_closed_session_measures_nothing(session: DeviceSession, matmul: Candidate) -> None:
    session.close()
    session.close()
    with pytest.raises(DeviceLost, match="not open"):
        measure(session, matmul)


def test_devices_that_share_a_core_take_turns(
    open_session: Callable[..., DeviceSession], matmul: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    intervals: list[tuple[float, float, str]] = []

    def recorded(remote: Any, *arguments: Any) -> list[float]:
        began = time.monotonic()
        try:
            return time_candidate(remote, *arguments)
        finally:
            intervals.append((began, time.monotonic(), threading.current_thread().name))

    monkeypatch.setattr(session_module, "time_candidate", recorded)
    sessions = [open_session("one"), open_session("all")]
    with ThreadPoolExecutor(len(sessions)) as pool:
        list(pool.map(lambda session: [measure(session, matmul, min_repeat_ms=10) for _ in range(8)], sessions))
    intervals.sort()
    assert len({name for *_, name in intervals}) == 2
    assert all(end <= start for (_, end, _), (start, _, _) in pairwise(intervals))


def test_code_runs_on_the_devices_cores_alone(
    open_session: Callable[..., DeviceSession], farm: Farm, c_candidate: Build, tmp_path: Path
) -> None:
    session = open_session("one")
    (pid,) = farm.status().keys["one"].pids
    with ThreadPoolExecutor() as pool:
        until(lambda: not psutil.Process(pid).children(), "the worker of the opening is gone")
        body, options = c_candidate(waits_for(tmp_path / "go")), {"number": 1, "repeat": 1, "min_repeat_ms": 0}
        held = pool.submit(session.measure_candidate, body, [], timeout_s=60.0, **options)
        until(lambda: len(psutil.Process(pid).children()) == 1, "a worker serves the session")
        (worker,) = psutil.Process(pid).children()
        try:
            for process in (psutil.Process(pid), worker):
                threads = {thread.id: os.sched_getaffinity(thread.id) for thread in process.threads()}
                assert set(map(frozenset, threads.values())) == {frozenset({LAST_CORE})}
                assert process.environ()["TVM_NUM_THREADS"] == process.environ()["OMP_NUM_THREADS"] == "1"
        finally:
            (tmp_path / "go").touch()
        assert held.result()["run_secs"]


def _processes(farm: Farm) -> list[psutil.Process]:
    (server, *_) = farm.status().keys["one"].pids
    return psutil.Process(psutil.Process(server).ppid()).children()


@contextmanager
def _once(condition: Callable[[], bool], action: Callable[[], None]) -> Iterator[None]:
    """Does something beside the block as soon as a condition holds."""

    def act() -> None:
        until(condition, "the time to act")
        action()

    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join()
