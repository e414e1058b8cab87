"""A board that TVM's own RPC server serves: it observes nothing, and all that TVM alone can do works there too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.devices.device_session import DeviceSession
from sweep.devices.farm.farm import Farm
from sweep.devices.measuring.sentinel_kernel import SentinelKernel
from tests.devices.parts import make_device, until

pytestmark = [pytest.mark.integration, pytest.mark.tvm]

MEASURE = {"repeat": 4, "min_repeat_ms": 1.0, "warmup": 1, "number": None, "timeout_s": 60.0}


@pytest.fixture
def stock(farm: Farm, tmp_path: Path) -> Iterator[DeviceSession]:
    address = farm.status().address
    assert address is not None
    command = [
        sys.executable,
        "-m",
        "tvm.exec.rpc_server",
        "--host",
        "127.0.0.1",
        "--port",
        "9390",
        "--port-end",
        "9490",
    ]
    command += ["--tracker", f"127.0.0.1:{address.tracker_port}", "--key", "stock", "--silent"]
    environment = os.environ | {"TVM_NUM_THREADS": "1", "TVM_USE_RUNTIME_LIB": "1", "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, start_new_session=True) as server:
        board = make_device("stock", (), threads=1, managed=False)
        session = DeviceSession(board, address.tracker_host, address.tracker_port, tmp_path / "locks")
        try:
            until(lambda: session.tracker.keys().get("stock"), "the server registered", 60.0)
            session.open()
            yield session
        finally:
            session.close()
            os.killpg(server.pid, 9)


@pytest.mark.slow
def test_the_sentinel_kernel_runs_and_caches_are_flushed(
    stock: DeviceSession, network: tuple[Path, Path], kernel: SentinelKernel
) -> None:
    result = stock.measure_artifact(*network, MEASURE | {"cache_flush": True}, 1e-3, kernel)
    assert len(result["run_secs"]) == 4
    assert result["number"] == 1
    assert len(result["reference_before_s"]) == len(result["reference_after_s"]) == 7
    board = result["conditions"]["board"]
    assert stock.tracker.keys()["stock"].boards == (board,)
    assert stock.best_kernel_s == {board: result["reference_best_s"]}
    told = result["conditions"]
    assert (told["runtime_threads"], told["cache_flush_bytes"]) == (1, 64 << 20)
    assert told["competitors_before"] is None
