"""Sweeps whose boards and servers fail under them: no wrong value, no lease left, and every cell ends with a reason.

Each fault comes in the middle of a measurement, as the register of leases shows it.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from sweep.analysis.outcome import MEASURED
from sweep.devices.entry import LEASE_S, Entry
from sweep.devices.farm import Farm
from sweep.devices.register import Register, is_held, now_s
from sweep.study.cluster import Tracker
from tests.devices.parts import make_cluster, make_device, until
from tests.end_to_end.place import LIMIT_S, Ended, Place

pytestmark = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.tvm,
    pytest.mark.mlflow,
    pytest.mark.timeout(900),
]

STUDY = """
study: bad-boards
models: [tiny.onnx]
opt_levels: [1]
measure: {repeat: 10, max_repeat: 10, rounds: 1, min_repeat_ms: 1000, timeout_s: 40}
"""
HERE = "{name: faults, engine: inline, devices: [{key: here, cores: [-1]%s}]}"
LAB = """
name: lab
engine: inline
tracker: {managed: false}
devices: [{key: %s, managed: false, target: native, count: %d}]
"""
WELL_IN_S = 3.0
"""A lease that is so old is of a measurement, which takes ten seconds: the session that proves that a board is there
takes milliseconds."""


class Faulty:
    """A sweep under way, and its boards."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.running = place.start()

    def boards(self) -> dict[str, Entry]:
        """All boards of all keys that the sweep has worked with."""
        found: dict[str, Entry] = {}
        for path in (self.place.folder / "cache" / "tvm-sweep" / "locks").glob("*/boards/*.json"):
            found |= Register(path, {}).read()
        return found

    def measured_on(self) -> str:
        """Waits for a measurement; gives its board."""
        until(lambda: bool(self._measuring()), "a measurement", LIMIT_S)
        return self._measuring()[0]

    def _measuring(self) -> list[str]:
        assert self.running.poll() is None, f"ended too early: {self.running.communicate()}"
        at_s = now_s()
        held = [entry for entry in self.boards().values() if is_held(entry, at_s)]
        return [entry.name for entry in held if time.time() - entry.since > WELL_IN_S]

    def process_at(self, board: str) -> psutil.Process:
        """The server of a board that the sweep serves itself."""
        processes = json.loads((self.place.out / "farm" / "farm.json").read_text())["processes"]
        (pid,) = [one["process"]["pid"] for one in processes if f"127.0.0.1:{one['port']}" == board]
        return psutil.Process(pid)

    def tracker(self) -> psutil.Process:
        processes = json.loads((self.place.out / "farm" / "farm.json").read_text())["processes"]
        (pid,) = [one["process"]["pid"] for one in processes if one["key"] is None]
        return psutil.Process(pid)

    def end(self) -> Ended:
        """Waits for the end of the sweep; whatever happened, nobody holds a board then, and no value is a wrong one."""
        out, err = self.running.communicate(timeout=LIMIT_S)
        assert "Traceback" not in err
        assert not [entry for entry in self.boards().values() if is_held(entry, now_s())]
        if (self.place.out / "measurements.parquet").exists():
            values = pd.read_parquet(self.place.out / "measurements.parquet")
            for _, cell in values[values.kind == "repeat"].groupby("cell_id"):
                assert cell.seconds.max() < 8 * cell.seconds.median(), "a pause would show in a mean of a second"
        return Ended(self.running.returncode, out, err)

    def row(self) -> Any:
        """The compiled network's."""
        rows = pd.read_parquet(self.place.out / "results.parquet")
        (row,) = [row for _, row in rows.iterrows() if row.runtime == "tvm"]
        return row

    def failures(self) -> list[tuple[str, str]]:
        """Failed attempts at measuring the compiled network: class and text."""
        failed = self.place.events("attempt_failed")
        return [(event["error_class"], event["error"]) for event in failed if event["kind"] == "measure"]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[str], Faulty]]:
    started: list[Faulty] = []

    def begin_(cluster: str) -> Faulty:
        started.append(Faulty(Place(tmp_path / "place", STUDY, cluster)))
        return started[-1]

    yield begin_
    for faulty in started:
        if faulty.running.poll() is None:
            os.killpg(faulty.running.pid, signal.SIGCONT)
            os.killpg(faulty.running.pid, signal.SIGKILL)
            faulty.running.communicate()


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Farm]]:
    """A tracker that the sweep did not start, which it finds by the environment; each call adds a board `here`."""
    guests: list[Farm] = []
    with Farm(make_cluster(), tmp_path / "lab") as tracker:
        address = tracker.status().address
        assert address is not None
        monkeypatch.setenv("TVM_TRACKER_HOST", address.tracker_host)
        monkeypatch.setenv("TVM_TRACKER_PORT", str(address.tracker_port))

        def add() -> Farm:
            there = Tracker(address.tracker_host, address.tracker_port, False)
            guests.append(Farm(make_cluster(make_device("here"), tracker=there), tmp_path / f"guest-{len(guests)}"))
            guests[-1].up()
            return guests[-1]

        yield add
        for guest in guests:
            guest.down()


def test_a_server_killed_in_mid_measurement(begin: Callable[[str], Faulty]) -> None:
    sweep = begin(HERE % "")
    board = sweep.measured_on()
    status = json.loads(sweep.place.call("farm", "status", "cluster.yaml", "--json").out)["devices"]["here"]
    shown = sweep.place.call("farm", "status", "cluster.yaml").out
    sweep.process_at(board).kill()
    ended = sweep.end()

    assert (status["total"], status["free"], status["leased"], status["broken"]) == (1, 0, 1, 0)
    (seen,) = status["boards"]
    assert (seen["board"], seen["leased_by"]["pid"]) == (board, sweep.running.pid)
    assert seen["leased_by"]["sweep"] == str(sweep.place.out)
    assert f"{board} leased by process {sweep.running.pid}, {sweep.place.out}, since " in shown
    assert ended.code == 0, ended.err
    assert [kind for kind, _ in sweep.failures()] == ["DeviceLost"]
    assert "broke" in sweep.failures()[0][1]
    assert sweep.row().status in MEASURED
    assert json.loads(sweep.row().conditions_json)["board"] == board
    assert "down" in sweep.place.call("farm", "status", "cluster.yaml").out


def test_a_board_that_hangs_is_lost_with_the_reason(begin: Callable[[str], Faulty]) -> None:
    sweep = begin(HERE % "")
    server = sweep.process_at(sweep.measured_on())
    for process in (server, *server.children()):
        process.suspend()
    ended = sweep.end()

    assert ended.code == 1
    (first, *others) = sweep.failures()
    assert first[0] == "DeviceLost"
    assert "said nothing for 3 s after" in first[1]
    assert {kind for kind, _ in others} == {"DeviceLost"}
    assert (sweep.row().status, sweep.row().error_class) == ("failed", "DeviceLost")
    assert "failed before" in sweep.row().error or "set aside" in sweep.row().error
    assert pd.isna(sweep.row().latency_ms_median)


def test_a_board_that_hangs_leaves_its_work_to_its_sibling(begin: Callable[[str], Faulty]) -> None:
    sweep = begin(HERE % ", count: 2")
    board = sweep.measured_on()
    server = sweep.process_at(board)
    for process in (server, *server.children()):
        process.suspend()
    ended = sweep.end()

    assert ended.code == 0, ended.err
    assert [kind for kind, _ in sweep.failures()] == ["DeviceLost"]
    assert json.loads(sweep.row().conditions_json)["board"] != board
    assert sweep.boards()[board].failures >= 1


def test_an_answer_that_comes_late_is_nobodys(begin: Callable[[str], Faulty]) -> None:
    sweep = begin(HERE % "")
    server = sweep.process_at(sweep.measured_on())
    stopped = [server, *server.children()]
    for process in stopped:
        process.suspend()
    until(lambda: bool(sweep.failures()), "the client gave up", LIMIT_S)
    for process in reversed(stopped):
        process.resume()
    ended = sweep.end()

    assert ended.code == 0, ended.err
    assert {kind for kind, _ in sweep.failures()} == {"DeviceLost"}
    assert sweep.row().status in MEASURED


def test_a_tracker_that_is_restarted(begin: Callable[[str], Faulty]) -> None:
    sweep = begin(HERE % "")
    sweep.measured_on()
    sweep.tracker().kill()
    ended = sweep.end()

    assert ended.code == 0, ended.err
    assert sweep.row().status in MEASURED


def test_a_sweep_that_was_stopped_for_longer_than_its_lease_measures_again(begin: Callable[[str], Faulty]) -> None:
    sweep = begin(HERE % "")
    board = sweep.measured_on()
    os.kill(sweep.running.pid, signal.SIGSTOP)
    token = sweep.boards()[board].token
    until(lambda: not is_held(sweep.boards()[board], now_s()), "its lease has run out", 3 * LEASE_S)
    os.kill(sweep.running.pid, signal.SIGCONT)
    ended = sweep.end()

    assert ended.code == 0, ended.err
    assert [kind for kind, _ in sweep.failures()] == ["DeviceLost"]
    assert "ran out: its holder gave no sign of life" in sweep.failures()[0][1]
    assert sweep.boards()[board].token > token
    assert sweep.row().status in MEASURED


def test_a_sweep_that_is_killed_leaves_no_lease(begin: Callable[[str], Faulty]) -> None:
    sweep = begin(HERE % "")
    board = sweep.measured_on()
    assert is_held(sweep.boards()[board], now_s())
    sweep.running.kill()
    sweep.running.communicate()

    assert not is_held(sweep.boards()[board], now_s())
    assert sweep.place.run().code == 0


def test_a_key_that_does_not_exist(begin: Callable[[str], Faulty], lab: Callable[[], Farm]) -> None:
    lab()
    sweep = begin(LAB % ("absent", 1))
    ended = sweep.end()

    assert ended.code == 1
    assert (sweep.row().status, sweep.row().error_class) == ("failed", "DeviceLost")
    assert "has no device 'absent'; keys there: here" in sweep.row().error
    assert "has no device 'absent'" in ended.err


def test_a_board_lost_for_good(begin: Callable[[str], Faulty], lab: Callable[[], Farm]) -> None:
    board = lab()
    sweep = begin(LAB % ("here", 1))
    sweep.measured_on()
    board.down()
    ended = sweep.end()

    assert ended.code == 1
    assert {kind for kind, _ in sweep.failures()} == {"DeviceLost"}
    assert "broke" in sweep.failures()[0][1]
    assert "has no device 'here'; keys there: none" in sweep.row().error
    status = json.loads(sweep.place.call("farm", "status", "cluster.yaml", "--json").out)["devices"]["here"]
    assert (status["total"], status["free"], status["leased"], status["broken"]) == (1, 0, 0, 1)
    assert status["last_seen"] is not None


def _address(farm: Farm) -> str:
    (server,) = json.loads((farm.state_dir / "farm.json").read_text())["processes"]
    return f"127.0.0.1:{server['port']}"


def test_a_board_lost_for_good_has_a_sibling(begin: Callable[[str], Faulty], lab: Callable[[], Farm]) -> None:
    farms = [lab(), lab()]
    at = {_address(farm): farm for farm in farms}
    sweep = begin(LAB % ("here", 2))
    board = sweep.measured_on()
    at[board].down()
    ended = sweep.end()

    assert ended.code == 0, ended.err
    assert json.loads(sweep.row().conditions_json)["board"] in set(at) - {board}
    shown = sweep.place.call("farm", "status", "cluster.yaml").out
    assert "here: 2 in all, 1 free, 0 leased, 1 broken" in shown


def test_existing_trackers_are_looked_at_and_left_alone(
    tmp_path: Path, lab: Callable[[], Farm], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab()
    place = Place(tmp_path / "place", STUDY, LAB % ("here", 1))
    where = f"{os.environ['TVM_TRACKER_HOST']}:{os.environ['TVM_TRACKER_PORT']}"
    up, status, down = (place.call("farm", word, "cluster.yaml") for word in ("up", "status", "down"))
    assert (up.code, status.code, down.code) == (0, 0, 0)
    assert f"tracker at {where} answers, nothing to start; keys there: here" in up.out
    assert f"tracker at {where}" in status.out
    assert "here: 1 in all, 1 free, 0 leased, 0 broken, there now" in status.out
    assert "not ours" in down.out

    host, port = where.split(":")
    monkeypatch.delenv("TVM_TRACKER_HOST")
    monkeypatch.delenv("TVM_TRACKER_PORT")
    refused = place.call("farm", "status", "cluster.yaml")
    assert refused.code == 2
    assert "TVM_TRACKER_PORT" in refused.err
    place.write(
        "cluster.yaml",
        (LAB % ("here", 1)).replace("managed: false}", f"managed: false, host: {host}, port: {port}}}", 1),
    )
    assert "here: 1 in all, 1 free" in place.call("farm", "status", "cluster.yaml").out
    away = place.write("cluster.yaml", (LAB % ("here", 1)).replace("managed: false}", "managed: false, port: 1}", 1))
    gone = place.call("farm", "up", str(away))
    assert gone.code == 2
    assert "tracker: nobody answers there: Connection refused (got '127.0.0.1:1')" in gone.err
