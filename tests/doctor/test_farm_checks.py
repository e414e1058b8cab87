from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from sweep.devices.processes import identify
from sweep.doctor import farm_checks


def test_no_tracker_named_no_finding():
    assert farm_checks.check_tracker({}) == []


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", ""), ("", "9190"), ("127.0.0.1", "ninety")])
def test_half_a_tracker_is_wrong(host, port):
    (finding,) = farm_checks.check_tracker({"TVM_TRACKER_HOST": host, "TVM_TRACKER_PORT": port})
    assert finding.ok is False
    assert "both" in finding.mend


def test_a_tracker_that_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (finding,) = farm_checks.check_tracker({"TVM_TRACKER_HOST": "127.0.0.1", "TVM_TRACKER_PORT": str(port)})
    assert finding.ok is False
    assert f"127.0.0.1:{port}" in finding.detail


@pytest.mark.tvm
def test_a_real_tracker():
    tracker = subprocess.Popen(
        [sys.executable, "-c", TRACKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = tracker.stdout.readline().strip()
        (finding,) = farm_checks.check_tracker({"TVM_TRACKER_HOST": "127.0.0.1", "TVM_TRACKER_PORT": port})
    finally:
        tracker.communicate("", timeout=60)
    assert finding.ok is True
    assert "no devices" in finding.detail


TRACKER = """
import sys
from sweep.toolchain.tvm_loader import load_tvm
load_tvm(())  # without torch, which takes as long as all else
from tvm.rpc.tracker import Tracker
tracker = Tracker("127.0.0.1", port=9290, port_end=9990, silent=True)
print(tracker.port, flush=True)
sys.stdin.read()
tracker.terminate()
"""


def write_state(folder: Path, supervisor: dict[str, object]) -> None:
    folder.mkdir(parents=True)
    (folder / "farm.json").write_text(json.dumps({"warden": supervisor}))


def test_a_state_whose_supervisor_is_gone_is_stale_and_a_living_one_is_not(tmp_path):
    me = identify(os.getpid())
    assert me is not None
    write_state(tmp_path / "sweeps" / "living" / "farm", asdict(me))
    (finding,) = farm_checks.check_leftovers(tmp_path)
    assert finding.ok is True
    write_state(tmp_path / ".sweep" / "dead", asdict(me) | {"start_ticks": 1})
    (finding,) = farm_checks.check_leftovers(tmp_path)
    assert finding.ok is None
    assert "dead" in finding.detail
    assert "living" not in finding.detail


def test_a_torn_state_is_stale(tmp_path):
    (tmp_path / ".sweep").mkdir()
    (tmp_path / ".sweep" / "farm.json").write_text('{"ward')
    assert farm_checks.check_leftovers(tmp_path)[0].ok is None


def test_orphans_of_ours_are_listed_and_no_others(monkeypatch, tmp_path):
    def process(pid: int, ppid: int, *command: str) -> object:
        return type("Process", (), {"info": {"pid": pid, "ppid": ppid, "cmdline": list(command)}})

    processes = [
        process(11, 1, "python", "-m", "sweep.devices.farm.device_server", "--key", "local"),
        process(12, 11, "python", "-m", "sweep.devices.farm.device_server"),
        process(13, 1, "vim", "sweep/devices/farm/device_server.py"),
        type("Gone", (), {"info": {"pid": 14, "ppid": 1, "cmdline": None}}),
    ]
    monkeypatch.setattr(psutil, "process_iter", lambda attrs: processes)
    (finding,) = farm_checks.check_leftovers(tmp_path)
    assert finding.ok is None
    assert finding.mend == "kill 11"
