"""A board that loses its power or its network in mid-session says nothing any more, not even goodbye.

The kernel drops what arrives for the session's worker (a socket filter), so nothing is acknowledged: as if the cable
were cut, on loopback, without root.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sweep.devices.device_session import DeviceSession
from sweep.devices.farm.farm import Farm
from sweep.devices.measuring.candidate import timed
from sweep.devices.rpc import remote as remote_module
from sweep.devices.rpc.remote import Connection, Remote
from sweep.errors import DeviceLost
from tests.devices.parts import HANG, until

pytestmark = [pytest.mark.integration, pytest.mark.tvm]

LIMIT_S = 60.0
PIDFD_GETFD, SO_ATTACH_FILTER = 438, 26
DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # one instruction: return 0 bytes of the packet


def cut_off(process: psutil.Process) -> None:
    """Nothing that is sent to a process's connections arrives any more."""
    libc = ctypes.CDLL(None, use_errno=True)
    program = ctypes.create_string_buffer(DROP_ALL)
    pidfd = os.pidfd_open(process.pid)
    for found in process.net_connections("tcp4"):
        if found.status == psutil.CONN_ESTABLISHED:
            number = libc.syscall(PIDFD_GETFD, pidfd, found.fd, 0)
            assert number >= 0, os.strerror(ctypes.get_errno())
            with socket.socket(fileno=number) as connection:
                filter_ = struct.pack("HxxxxxxP", 1, ctypes.addressof(program))
                connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_)
    os.close(pidfd)


def with_board_that_goes(
    session: DeviceSession, farm: Farm, is_time: Callable[[psutil.Process], bool], work: Callable[[Remote], object]
) -> None:
    """Work in a session whose board goes once it is time."""
    (server,) = farm.status().keys["one"].pids
    board = session.tracker.request("one", 10.0)
    assert board is not None
    try:
        with Connection(board, session.device, LIMIT_S).serving() as remote:
            until(lambda: len(psutil.Process(server).children()) == 1, "a worker serves the session")
            (worker,) = psutil.Process(server).children()

            def go() -> None:
                until(lambda: is_time(worker), "it is time")
                cut_off(worker)

            going = threading.Thread(target=go)
            going.start()
            if is_time(worker):
                going.join()
            work(remote)
    finally:
        os.kill(server, signal.SIGKILL)  # it knows nothing, and would keep the session to its limit


@pytest.fixture
def gone_after_s(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """After how many seconds of silence a board is gone, here."""
    if request.param is not None:
        for name, value in zip(("ALIVE_IDLE_S", "ALIVE_INTERVAL_S", "ALIVE_PROBES"), request.param, strict=True):
            monkeypatch.setattr(remote_module, name, value)
    return float(remote_module.ALIVE_IDLE_S + remote_module.ALIVE_INTERVAL_S * remote_module.ALIVE_PROBES)


SHORT = pytest.param((1, 1, 1), id="short")
AS_SHIPPED = pytest.param(None, id="as shipped", marks=pytest.mark.slow)


@pytest.mark.parametrize("gone_after_s", [SHORT, AS_SHIPPED], indirect=True)
def test_a_board_that_is_gone_while_it_computes_is_lost_before_the_limit(
    gone_after_s: float, session: DeviceSession, farm: Farm, c_candidate: Callable[[str], Path]
) -> None:
    library = c_candidate(HANG)
    with pytest.raises(DeviceLost, match=r"the connection to one at 127\.0\.0\.1:\d+ broke"):
        with_board_that_goes(
            session,
            farm,
            lambda worker: worker.cpu_times().user > 0.2,
            lambda remote: timed(remote, remote.load(library), [], 1, 1, 0),
        )


@pytest.mark.parametrize("gone_after_s", [SHORT, AS_SHIPPED], indirect=True)
def test_a_board_that_is_gone_while_it_is_sent_to_is_lost_before_the_limit(
    gone_after_s: float, session: DeviceSession, farm: Farm
) -> None:
    with pytest.raises(DeviceLost, match=r"the connection to one at 127\.0\.0\.1:\d+ broke"):
        with_board_that_goes(
            session, farm, lambda worker: True, lambda remote: remote.rpc.upload(bytearray(1 << 20), "library")
        )
