"""A farm's life: up, seen from elsewhere, down, and nothing left behind whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweep.devices.device_session import DeviceSession
from sweep.devices.farm import farm as farm_module
from sweep.devices.farm.farm import STARTS, Farm, FarmAddress
from sweep.devices.measuring.candidate import time_candidate
from sweep.devices.processes import identify
from sweep.devices.rpc.remote import Connection
from sweep.devices.rpc.tracker_client import TrackerClient
from sweep.errors import DeviceError, DeviceLost, MeasureTimeout
from sweep.study.cluster.cluster import Server, Tracker
from tests.devices.parts import HANG, LAST_CORE, make_cluster, make_device, until
from tests.processes import command_of, is_gone, listening_at

pytestmark = [pytest.mark.integration, pytest.mark.tvm]

ROOT = Path(__file__).parents[3]


def family(farm: Farm) -> list[psutil.Process]:
    """The supervisor and all below it."""
    supervisor = psutil.Process(json.loads((farm.state_dir / "farm.json").read_text())["warden"]["pid"])
    return [supervisor, *supervisor.children(recursive=True)]


def assert_gone(processes: list[psutil.Process], ports: set[tuple[str, int]]) -> None:
    for process in processes:
        until(lambda process=process: is_gone(process), f"{process} ended")
    for address in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(address) != 0, f"something listens on {address}"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Farm]:
    farm = Farm(make_cluster(make_device("one")), tmp_path / "farm")
    yield farm
    farm.down()


@pytest.fixture
def owner(tmp_path: Path, c_candidate: Callable[[str], Path]) -> Iterator[tuple[subprocess.Popen[str], Farm]]:
    """Another process that owns a farm and measures, and the farm as seen from here."""
    command = [sys.executable, "-m", "tests.devices.owner", str(tmp_path / "farm"), str(c_candidate(HANG))]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"TVM_USE_RUNTIME_LIB": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    farm = Farm(make_cluster(make_device("one")), tmp_path / "farm")
    # supervisor, tracker, server, and the worker that computes for ever
    until(lambda: len(family(farm)) == 4, "the owner measures")
    yield process, farm
    process.kill()
    process.wait()
    farm.down()


def test_status_shows_what_is_there(farm: Farm) -> None:
    status = farm.status()
    assert status.problem is None
    assert status.address == FarmAddress("127.0.0.1", status.address.tracker_port if status.address else 0)
    assert list(status.keys) == ["all", "one", "pair"]
    assert {key.total for key in status.keys.values()} == {1}
    assert {key.broken for key in status.keys.values()} == {0}
    assert all(psutil.pid_exists(pid) for key in status.keys.values() for pid in key.pids)


def test_tracker_and_servers_load_what_they_use(farm: Farm) -> None:
    """TVM takes half a second to load, torch behind it 1.4 s more: a farm comes up the sooner."""

    def loaded(module: str) -> str:
        found = [process for process in family(farm)[1:] if f"sweep.devices.farm.{module}" in command_of(process)]
        return "".join(Path(f"/proc/{process.pid}/maps").read_text() for process in found)

    assert loaded("tracker_server")
    assert "libtvm" not in loaded("tracker_server")
    assert "libtvm" in loaded("device_server")
    assert "libtorch" not in loaded("device_server")


def test_nothing_listens_beyond_loopback(farm: Farm) -> None:
    sockets = listening_at(family(farm))
    assert len(sockets) == 4
    assert {host for host, _ in sockets} == {"127.0.0.1"}


def test_no_process_is_in_the_terminals_group(farm: Farm) -> None:
    assert os.getsid(0) not in {os.getsid(process.pid) for process in family(farm)}


def test_something_else_may_come_up_between_its_start_and_the_wait_for_it(small: Farm) -> None:
    small.begin()
    assert small.why_gone() is None
    elsewhere = Farm(small.cluster, small.state_dir, up_timeout_s=0.1)
    with pytest.raises(DeviceError, match="another process is starting a farm"):
        elsewhere.up()
    address = small.up()
    assert small.status().address == address
    assert small.status().keys["one"].free == 1
    processes = family(small)
    small.down()
    assert_gone(processes, set())
    small.begin()
    small.down()
    small.up()
    assert small.status().keys["one"].free == 1


def test_many_boards_may_share_a_key(tmp_path: Path) -> None:
    with Farm(make_cluster(make_device("pair", count=2)), tmp_path) as farm:
        status = farm.status().keys["pair"]
        assert (status.total, status.free, status.broken) == (2, 2, 0)
        assert len(set(status.pids)) == len(set(status.ports)) == 2


def test_down_leaves_logs_alone(small: Farm) -> None:
    small.up()
    processes = family(small)
    ports = listening_at(processes)
    small.down()
    assert_gone(processes, ports)
    assert {path.name for path in small.state_dir.iterdir()} == {"logs", "farm.lock"}
    assert small.status().address is None
    small.down()


def test_up_again_after_down(small: Farm) -> None:
    small.up()
    small.down()
    small.up()
    assert small.status().keys["one"].free == 1


def test_up_twice_is_refused(small: Farm) -> None:
    small.up()
    with pytest.raises(DeviceError, match="up already"):
        small.up()
    with pytest.raises(DeviceError, match=f"owned by process {os.getpid()}"):
        Farm(small.cluster, small.state_dir).up()
    assert small.status().keys["one"].broken == 0


def test_farm_outlives_the_thread_that_started_it(small: Farm) -> None:
    thread = threading.Thread(target=small.up)
    thread.start()
    thread.join()
    time.sleep(0.5)
    assert small.status().keys["one"].free == 1


def test_a_farm_whose_state_cannot_be_written_stays_up(small: Farm) -> None:
    """A full disk takes no more of a file; here the kernel lets the supervisor's grow no further."""
    small.up()
    (first,) = small.status().keys["one"].pids
    supervisor = psutil.Process(psutil.Process(first).ppid())
    supervisor.rlimit(psutil.RLIMIT_FSIZE, (0, psutil.RLIM_INFINITY))
    before = small.state_dir.stat().st_mtime_ns
    os.kill(first, signal.SIGKILL)
    until(lambda: small.state_dir.stat().st_mtime_ns != before, "it was tried, in a file beside it")
    assert small.status().keys["one"].pids == (first,)
    supervisor.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    for process in supervisor.children():
        if "sweep.devices.farm.device_server" in command_of(process):
            process.kill()
    until(lambda: first not in small.status().keys["one"].pids, "another one is told of")
    until(lambda: small.status().keys["one"].free == 1, "it is at the tracker")


def test_down_from_another_process(owner: tuple[subprocess.Popen[str], Farm]) -> None:
    _, farm = owner
    processes = family(farm)
    ports = listening_at(processes)
    farm.down()
    assert_gone(processes, ports)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGTERM, signal.SIGINT))]
)
def test_nothing_is_left_of_a_killed_owner(number: int, owner: tuple[subprocess.Popen[str], Farm]) -> None:
    process, farm = owner
    processes = family(farm)
    ports = listening_at(processes)
    process.send_signal(number)
    assert_gone(processes, ports)
    until(lambda: not (farm.state_dir / "tmp").exists(), "temporary files are gone")
    assert not (farm.state_dir / "farm.json").exists()


def test_nothing_is_left_of_a_killed_supervisor(owner: tuple[subprocess.Popen[str], Farm]) -> None:
    _, farm = owner
    processes = family(farm)
    ports = listening_at(processes)
    processes[0].kill()
    assert_gone(processes, ports)
    assert farm.status().problem is not None
    farm.down()
    assert not (farm.state_dir / "tmp").exists()


def test_a_killed_supervisor_is_replaced_and_all_is_where_it_was(small: Farm) -> None:
    address = small.up()
    assert small.why_gone() is None
    state = json.loads((small.state_dir / "farm.json").read_text())
    before = family(small)
    before[0].kill()
    until(lambda: small.why_gone() is not None, "the end of the supervisor")
    assert small.why_gone() == "the farm's supervisor ended (signal 9)"

    small.restore()

    assert small.why_gone() is None
    assert small.status().address == address
    now = json.loads((small.state_dir / "farm.json").read_text())
    assert [one["port"] for one in now["processes"]] == [one["port"] for one in state["processes"]]
    assert small.status().keys["one"].free == 1
    assert_gone(before, set())
    small.down()
    assert small.why_gone() is None


def test_the_port_of_a_killed_tracker_is_given_to_nobody_else(small: Farm) -> None:
    """It had happened to be the next that the kernel gave to a connection of a Ray that started: the run ended."""
    address = small.up()
    before = family(small)
    before[0].kill()
    assert_gone(before, {(address.tracker_host, address.tracker_port)})
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((address.tracker_host, address.tracker_port))
    small.restore()
    assert small.status().address == address
    small.down()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # of connections that linger
        other.bind((address.tracker_host, address.tracker_port))


def test_a_supervisor_that_is_killed_while_it_starts_is_started_again(
    small: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = _killed_at_its_start(small, monkeypatch, times=2)
    small.up()
    assert kills == [-9, -9]
    assert small.status().keys["one"].free == 1


def test_a_supervisor_that_is_killed_at_every_start_is_told_with_its_own_log(
    small: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    (small.state_dir / "logs").mkdir(parents=True)
    (small.state_dir / "logs" / "supervisor.log").write_text("of another day\n")
    kills = _killed_at_its_start(small, monkeypatch, times=100)
    with pytest.raises(DeviceLost, match=r"^the farm did not start, its supervisor ended \(signal 9\): ") as refused:
        small.up()
    assert kills == [-9] * STARTS
    assert "of another day" not in str(refused.value)


def test_the_time_in_which_a_process_of_the_farm_is_stopped_is_not_held_against_it(
    small: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = small._start_supervisor

    def stopped(servers: list[dict[str, Any]]) -> None:
        start(servers)
        assert small._supervisor is not None
        small._supervisor.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(farm_module, "time", _JumpingTime(small._supervisor, looks=20, seconds=5.0))

    monkeypatch.setattr(small, "_start_supervisor", stopped)
    small.up()
    assert small.status().keys["one"].free == 1


class _JumpingTime:
    """Time of which a hundred seconds go by while a process is stopped, which then is let go on."""

    def __init__(self, stopped: subprocess.Popen[bytes], looks: int, seconds: float) -> None:
        self._stopped, self._looks, self._seconds, self._looked = stopped, looks, seconds, 0

    def monotonic(self) -> float:
        if self._looked == self._looks:
            self._stopped.send_signal(signal.SIGCONT)
        self._looked += 1
        return time.monotonic() + self._seconds * min(self._looked, self._looks)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _killed_at_its_start(small: Farm, monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """The supervisor's first starts end by SIGKILL, before its servers are there."""
    start, codes = small._start_supervisor, list[int]()

    def killed(servers: list[dict[str, Any]]) -> None:
        start(servers)
        if len(codes) < times:
            assert small._supervisor is not None
            small._supervisor.kill()
            codes.append(small._supervisor.wait())

    monkeypatch.setattr(small, "_start_supervisor", killed)
    return codes


@pytest.mark.slow
def test_killed_supervisor_and_owner_are_cleaned_up_by_the_next(owner: tuple[subprocess.Popen[str], Farm]) -> None:
    process, farm = owner
    processes = family(farm)
    processes[0].kill()
    process.kill()
    process.wait()
    assert_gone(processes, set())
    farm.up()
    assert farm.status().keys["one"].free == 1


def test_a_recycled_pid_is_not_killed(small: Farm) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as bystander:
        found = identify(bystander.pid)
        assert found is not None
        other = {"pid": found.pid, "start_ticks": found.start_ticks - 1, "boot_id": found.boot_id}
        rebooted = {"pid": found.pid, "start_ticks": found.start_ticks, "boot_id": "another boot"}
        small.state_dir.mkdir(parents=True)
        state = {
            "owner": other,
            "warden": other,
            "tracker": {"host": "127.0.0.1", "port": 1},
            "processes": [{"process": rebooted}, {"process": None}],
        }
        (small.state_dir / "farm.json").write_text(json.dumps(state))
        small.up()
        assert bystander.poll() is None
        bystander.kill()


def test_server_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    farm = Farm(make_cluster(make_device("one", (4095,))), tmp_path, up_timeout_s=5.0)
    with pytest.raises(DeviceLost, match=r"not at the tracker after 5 s: one; its log ends: .*Invalid argument"):
        farm.up()
    assert not (tmp_path / "farm.json").exists()


def test_tracker_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cluster = make_cluster(make_device("one"), tracker=Tracker("127.0.0.1", taken.getsockname()[1], True))
        with pytest.raises(DeviceLost, match=r"the farm did not start: .*Address already in use"):
            Farm(cluster, tmp_path).up()


def test_unmanaged_tracker_that_is_away_is_named(tmp_path: Path) -> None:
    cluster = make_cluster(make_device("one"), tracker=Tracker("127.0.0.1", 1, False))
    with pytest.raises(DeviceLost, match=r"no tracker answers at 127\.0\.0\.1:1"):
        Farm(cluster, tmp_path, up_timeout_s=3600.0).up()


def test_what_answers_but_is_no_tracker_is_named(tmp_path: Path, farm: Farm) -> None:
    port = farm.status().keys["one"].ports[0]
    cluster = make_cluster(tracker=Tracker("127.0.0.1", port, False))
    with pytest.raises(DeviceLost, match=f"127.0.0.1:{port}"):
        Farm(cluster, tmp_path).up()
    until(lambda: farm.status().keys["one"].free == 1, "the server survived a caller that is no client")


def test_devices_of_a_foreign_tracker_are_used_as_they_are(
    tmp_path: Path,
    farm: Farm,
    c_candidate: Callable[[str], Path],
    matmul: tuple[Path, list[dict[str, Any]]],
    network: tuple[Path, Path],
) -> None:
    """Another host is pretended: libraries are uploaded, no core of this host is locked."""
    address = farm.status().address
    assert address is not None
    board = replace(make_device("one", ()), managed=False)
    lab = Farm(make_cluster(board, tracker=Tracker("127.0.0.1", address.tracker_port, False)), tmp_path)
    with lab:
        assert lab.status().keys["one"].total == 1
        session = DeviceSession(board, address.tracker_host, address.tracker_port, tmp_path / "locks")
        session.open()
        with pytest.raises(MeasureTimeout):
            session.measure_candidate(c_candidate(HANG), [], timeout_s=0.5)
        assert session.measure_candidate(*matmul, number=1, repeat=2, min_repeat_ms=0)["run_secs"]
        measure = {"repeat": 2, "min_repeat_ms": 1.0, "warmup": 1, "number": None, "timeout_s": 20.0}
        assert session.measure_artifact(*network, measure, 1e-3)["output_max_abs_diff"] < 1e-3
    assert not list((tmp_path / "locks").glob("*.lock"))
    assert farm.status().keys["one"].broken == 0


def test_our_server_may_join_a_foreign_tracker(tmp_path: Path, farm: Farm) -> None:
    address = farm.status().address
    assert address is not None
    tracker = Tracker("127.0.0.1", address.tracker_port, False)
    client = TrackerClient(address.tracker_host, address.tracker_port)
    with Farm(make_cluster(make_device("guest"), tracker=tracker), tmp_path) as guest:
        assert list(guest.status().keys) == ["all", "guest", "one", "pair"]
    until(lambda: list(client.keys()) == ["all", "one", "pair"], "the guest is gone")


def test_a_caller_that_says_nothing_does_not_hold_the_device(farm: Farm) -> None:
    state = farm.status()
    assert state.address is not None
    with socket.create_connection(("127.0.0.1", state.keys["one"].ports[0])):
        session = DeviceSession(
            make_device("one"), state.address.tracker_host, state.address.tracker_port, farm.state_dir / "locks"
        )
        session.open()


def test_a_server_runs_under_the_interpreter_and_variables_of_its_device(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nenv >"{seen}"\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    device = make_device("own", server=Server(str(python), {"SMALL": "yes"}))
    with Farm(make_cluster(device), tmp_path / "farm") as farm:
        variables = dict(line.partition("=")[::2] for line in seen.read_text().splitlines())
        assert (variables["SMALL"], variables["TVM_NUM_THREADS"]) == ("yes", "1")
        assert [path.name for path in Path(variables["PYTHONPATH"]).iterdir()] == ["sweep"], "nothing made for another"
        until(lambda: farm.status().keys["own"].free == 1, "a server that waits for a session")
    assert not Path(variables["PYTHONPATH"]).exists()
    assert (ROOT / "sweep" / "devices" / "farm" / "device_server.py").exists(), "what was a link has not been followed"


def test_threads_of_the_runtime_stay_on_the_cores(
    tmp_path: Path, parallel_add: tuple[Path, list[dict[str, Any]]]
) -> None:
    device = make_device("narrow", (LAST_CORE,), threads=2)
    with Farm(make_cluster(device), tmp_path) as farm:
        address = farm.status().address
        assert address is not None
        tracker = TrackerClient(address.tracker_host, address.tracker_port)
        board = tracker.request("narrow", 10.0)
        assert board is not None
        with Connection(board, device, 10.0).serving() as remote:
            time_candidate(remote, *parallel_add, 1, 1, 0)
            assert json.loads(remote.function("sweep.observe")())["cores"] == [LAST_CORE]


def test_server_is_pinned(farm: Farm) -> None:
    (pid,) = farm.status().keys["one"].pids
    assert psutil.Process(pid).cpu_affinity() == [LAST_CORE]
