"""One RPC session on the device's side: a forked worker serves it, its server watches.

TVM's own handler dies when a kernel crashes the worker, and the device then never registers again; and it leaves a
worker that computes for a vanished client to the session's time limit. This one survives both.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import select
import shutil
import signal
import socket
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from sweep.devices.processes import die_with_parent
from sweep.devices.rpc.wire import WORKER_CRASHED, WORKER_KILLED
from sweep.errors import killed_by

__all__ = ["serve_session"]

log = logging.getLogger(__name__)

HANG_UP_GRACE_S = 1.0
"""A worker ends by itself when its client says goodbye; one still busy after this long is computing for nobody."""
POLLRDHUP = 0x2000
_CAUSES = {signal.SIGFPE: ": an integer was divided by zero"}
"""What a signal can only mean."""


def serve_session(connection: socket.socket, timeout_s: float | None) -> None:
    """Serve until the client says goodbye, hangs up, `timeout_s` is over or the worker crashed; the client is told."""
    directory = Path(tempfile.mkdtemp(prefix="session-"))
    worker = multiprocessing.get_context("fork").Process(target=_work, args=(connection, directory, os.getpid()))
    worker.start()
    try:
        verdict = _watch(worker, connection, timeout_s)
        if verdict is not None:
            log.info("a session ended: %s", verdict)
            _tell(connection, verdict)
    finally:
        worker.kill()
        worker.join()
        connection.close()
        shutil.rmtree(directory, ignore_errors=True)


def _watch(worker: BaseProcess, connection: socket.socket, timeout_s: float | None) -> str | None:
    """Wait for the session's end; what to tell the client when it was not a good one."""
    poll = select.poll()
    poll.register(worker.sentinel, select.POLLIN)
    poll.register(connection, POLLRDHUP)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        remaining_s = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = dict(poll.poll(None if remaining_s is None else remaining_s * 1000))
        if worker.sentinel in ready:
            worker.join()
            code = worker.exitcode or 0
            if (outside := killed_by(code)) is not None:
                return f"{WORKER_CRASHED}: {WORKER_KILLED} with {outside}: from outside, or for want of memory"
            if code < 0:
                number = signal.Signals(-code)
                return f"{WORKER_CRASHED}: the code died of {number.name}{_CAUSES.get(number, '')}"
            return f"{WORKER_CRASHED}: the code ended its process with status {code}" if code else None
        if ready:
            poll.unregister(connection)
            hung_up = time.monotonic() + HANG_UP_GRACE_S
            deadline = hung_up if deadline is None else min(deadline, hung_up)
        elif deadline is not None and time.monotonic() >= deadline:
            return f"RPCSessionTimeoutError: the session's {timeout_s} s are over"


def _tell(connection: socket.socket, message: str) -> None:
    from tvm.rpc import _ffi_api

    try:
        _ffi_api.ReturnException(connection.fileno(), message)
    except Exception as error:  # noqa: BLE001  TVM raises whatever class it likes
        # The client is gone: nobody is left to be told.
        log.info("could not tell the client: %.200s", error)


def _work(connection: socket.socket, directory: Path, parent_pid: int) -> None:
    die_with_parent(parent_pid)
    from tvm.rpc import _ffi_api, server
    from tvm.support import utils

    os.chdir(directory)
    server._server_env(None, utils.TempDirectory(str(directory / "files")))
    _ffi_api.ServerLoop(connection.fileno())
