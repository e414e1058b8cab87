"""The client's hold of one compile server: its process, the socket to it, and the futures of unanswered jobs."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from sweep import errors
from sweep.errors import CompilerLost, SweepError, ToolchainError, end_of_process
from sweep.installation import child_environment, python_command

__all__ = ["Result", "WorkerConnection"]

Result = dict[str, Any]
"""The result of a job, as JSON gives it."""

_SINGLE_THREADED = ("TVM_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerConnection:
    """Starts a compile server and lives as long as it does; jobs that are unanswered then fail. Thread-safe."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Start the server, with the options that `sweep.toolchain.compile_workers.server` takes."""
        ours, theirs = socket.socketpair()
        with theirs:
            command = [
                *python_command("sweep.toolchain.compile_workers.server"),
                str(theirs.fileno()),
                json.dumps(options),
            ]
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C goes to the terminal's process group, and is the driver's to handle
            )
        self.alive = True
        self._socket = ours
        self._futures: dict[int, Future[Result]] = {}
        self._next_id = 0
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="compile-server-reader", daemon=True)
        self._reader.start()

    def send(self, request: Mapping[str, Any]) -> Future[Result]:
        """Send a job; its result or error is the future's."""
        future: Future[Result] = Future()
        body = json.dumps(request)  # a TypeError here is the caller's bug: arguments must be JSON-able
        with self._lock:
            self._next_id += 1
            job_id = self._next_id
            self._futures[job_id] = future
        future.add_done_callback(lambda done: self._cancel(job_id) if done.cancelled() else None)
        self._write(f'{{"id": {job_id}, {body[1:]}')
        if not self.alive:
            self._fail_all()
        return future

    def close(self) -> None:
        """End the server and its children."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # end of file is the server's order to end
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if threading.current_thread() is not self._reader:
            self._reader.join(timeout=10)
        self._socket.close()

    def _cancel(self, job_id: int) -> None:
        with self._lock:
            self._futures.pop(job_id, None)
        self._write(json.dumps({"id": job_id, "cancel": True}))

    def _write(self, line: str) -> None:
        try:
            with self._sending:
                self._socket.sendall(line.encode() + b"\n")
        except OSError:
            self.alive = False  # the reader sees the same end and fails what is owed

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self._answer(json.loads(line))
        except (OSError, ValueError):
            pass
        self.alive = False
        self._fail_all()

    def _answer(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            future = self._futures.pop(int(message["id"]), None)
        if future is None or not future.set_running_or_notify_cancel():
            return
        if "result" in message:
            future.set_result(message["result"])
        else:
            future.set_exception(_rebuilt(message["error"]))

    def _fail_all(self) -> None:
        with self._lock:
            owed, self._futures = self._futures, {}
        if not owed:
            return
        try:
            how = end_of_process(self.process.wait(timeout=2))
        except subprocess.TimeoutExpired:
            how = "its connection closed"
        for future in owed.values():
            if future.set_running_or_notify_cancel():
                future.set_exception(CompilerLost(f"the compile server ended ({how}) before this job did"))


def _rebuilt(error: Mapping[str, Any]) -> SweepError:
    found = getattr(errors, str(error["class"]), None)
    kind = found if isinstance(found, type) and issubclass(found, SweepError) else ToolchainError
    rebuilt = kind(str(error["message"]))
    rebuilt.traceback_text, rebuilt.disk_errno = error["traceback"], error["disk_errno"]
    return rebuilt


def _environment() -> dict[str, str]:
    """The owner's, with its import path (a Ray worker's is not in PYTHONPATH), one thread in every numeric library, and
    an ONNX Runtime that calls nobody.
    """
    return child_environment(ORT_DISABLE_TELEMETRY="1", **dict.fromkeys(_SINGLE_THREADED, "1"))
