"""Sweeps whose boards and servers fail under them: no wrong value, no lease left, and every cell ends with a reason.

Each fault comes in the middle of a measurement, as the register of leases shows it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sweep.analysis.outcome import MEASURED
from sweep.devices.farm.farm import Farm
from sweep.devices.leasing.board_health import LEASE_S
from sweep.devices.leasing.register import is_held, now_s
from tests.devices.parts import until
from tests.end_to_end.faulty import Begin, resume, suspend
from tests.end_to_end.place import LIMIT_S, Place

pytestmark = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.tvm,
    pytest.mark.mlflow,
    pytest.mark.timeout(900),
]

STUDY = """
study: bad-boards
final: null
models: [tiny.onnx]
opt_levels: [1]
measure: {repeat: 10, max_repeat: 10, rounds: 1, min_repeat_ms: 1000, timeout_s: 40}
"""
HERE = "{name: faults, engine: %s, devices: [{key: here, cores: [-1]%s}]}"
LAB = """
name: lab
engine: inline
tracker: {managed: false}
devices: [{key: %s, managed: false, target: native, count: %d}]
"""
WELL_IN_S = 3.0
"""A lease that is so old is of a measurement, which takes ten seconds: the session that proves that a board is there
takes milliseconds."""


@pytest.fixture(params=["inline", pytest.param("ray", marks=pytest.mark.ray)])
def engine(request: pytest.FixtureRequest) -> str:
    """Whose process holds the board: the driver's, or an actor's."""
    return str(request.param)


def test_a_server_killed_in_mid_measurement(begin: Begin, engine: str) -> None:
    sweep = begin(STUDY, HERE % (engine, ""))
    board = sweep.used(WELL_IN_S)
    status = json.loads(sweep.place.call("farm", "status", "cluster.yaml", "--json").out)["devices"]["here"]
    shown = sweep.place.call("farm", "status", "cluster.yaml").out
    holder = sweep.holder(board).pid
    sweep.servers(board)[0].kill()
    ended = sweep.end()

    assert (status["total"], status["free"], status["leased"], status["broken"]) == (1, 0, 1, 0)
    (seen,) = status["boards"]
    assert (seen["board"], seen["leased_by"]["pid"]) == (board, holder)
    assert (holder == sweep.running.pid) == (engine == "inline")
    assert seen["leased_by"]["sweep"] == str(sweep.place.out)
    assert f"{board} leased by process {holder}, {sweep.place.out}, since " in shown
    assert ended.code == 0, ended.err
    assert [kind for kind, _ in sweep.failures()] == ["DeviceLost"]
    assert "broke" in sweep.failures()[0][1]
    assert sweep.row().status in MEASURED
    assert json.loads(sweep.row().conditions_json)["board"] == board
    assert "down" in sweep.place.call("farm", "status", "cluster.yaml").out


def test_a_board_that_hangs_is_lost_with_the_reason(begin: Begin, engine: str) -> None:
    sweep = begin(STUDY, HERE % (engine, ""))
    suspend(sweep.servers(sweep.used(WELL_IN_S)))
    ended = sweep.end()

    assert ended.code == 1
    (first, *others) = sweep.failures()
    assert first[0] == "DeviceLost"
    assert "said nothing for 3 s after" in first[1]
    assert {kind for kind, _ in others} == {"DeviceLost"}
    assert (sweep.row().status, sweep.row().error_class) == ("failed", "DeviceLost")
    assert "failed before" in sweep.row().error or "set aside" in sweep.row().error
    assert pd.isna(sweep.row().latency_ms_median)


def test_a_board_that_hangs_leaves_its_work_to_its_sibling(begin: Begin) -> None:
    sweep = begin(STUDY, HERE % ("inline", ", count: 2"))
    board = sweep.used(WELL_IN_S)
    suspend(sweep.servers(board))
    ended = sweep.end()

    assert ended.code == 0, ended.err
    assert [kind for kind, _ in sweep.failures()] == ["DeviceLost"]
    assert json.loads(sweep.row().conditions_json)["board"] != board
    assert sweep.boards()[board].failures >= 1


def test_an_answer_that_comes_late_is_nobodys(begin: Begin) -> None:
    sweep = begin(STUDY, HERE % ("inline", ""))
    stopped = sweep.servers(sweep.used(WELL_IN_S))
    suspend(stopped)
    until(lambda: bool(sweep.failures()), "the client gave up", LIMIT_S)
    resume(stopped)
    ended = sweep.end()

    assert ended.code == 0, ended.err
    assert {kind for kind, _ in sweep.failures()} == {"DeviceLost"}
    assert sweep.row().status in MEASURED


def test_a_tracker_that_is_restarted(begin: Begin, engine: str) -> None:
    sweep = begin(STUDY, HERE % (engine, ""))
    sweep.used(WELL_IN_S)
    sweep.tracker().kill()
    ended = sweep.end()

    assert ended.code == 0, ended.err
    assert sweep.row().status in MEASURED


def test_who_was_stopped_for_longer_than_the_lease_measures_again(begin: Begin, engine: str) -> None:
    sweep = begin(STUDY, HERE % (engine, ""))
    board = sweep.used(WELL_IN_S)
    holder = sweep.holder(board)
    holder.suspend()
    token = sweep.boards()[board].token
    until(lambda: not is_held(sweep.boards()[board], now_s()), "its lease has run out", 3 * LEASE_S)
    holder.resume()
    ended = sweep.end()

    assert ended.code == 0, ended.err
    assert [kind for kind, _ in sweep.failures()] == ["DeviceLost"]
    assert "ran out: its holder gave no sign of life" in sweep.failures()[0][1]
    assert sweep.boards()[board].token > token
    assert sweep.row().status in MEASURED


def test_a_sweep_that_is_killed_leaves_no_lease(begin: Begin, engine: str) -> None:
    sweep = begin(STUDY, HERE % (engine, ""))
    board = sweep.used(WELL_IN_S)
    assert is_held(sweep.boards()[board], now_s())
    sweep.running.kill()
    sweep.running.communicate()
    until(lambda: not sweep.place.processes(), "the end of all that it had started", LIMIT_S)

    assert not is_held(sweep.boards()[board], now_s())
    assert sweep.place.run().code == 0


def test_a_key_that_does_not_exist(begin: Begin, lab: Callable[[], Farm]) -> None:
    lab()
    sweep = begin(STUDY, LAB % ("absent", 1))
    ended = sweep.end()

    assert ended.code == 1
    assert (sweep.row().status, sweep.row().error_class) == ("failed", "DeviceLost")
    assert "has no device 'absent'; keys there: here" in sweep.row().error
    assert "has no device 'absent'" in ended.err


def test_a_board_lost_for_good(begin: Begin, lab: Callable[[], Farm]) -> None:
    board = lab()
    sweep = begin(STUDY, LAB % ("here", 1))
    sweep.used(WELL_IN_S)
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


def test_a_board_lost_for_good_has_a_sibling(begin: Begin, lab: Callable[[], Farm]) -> None:
    farms = [lab(), lab()]
    at = {_address(farm): farm for farm in farms}
    sweep = begin(STUDY, LAB % ("here", 2))
    board = sweep.used(WELL_IN_S)
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
