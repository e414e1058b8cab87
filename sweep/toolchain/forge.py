"""The forge: a subprocess with TVM loaded once, which forks a killable child for every job. This is its client side.

A compiler crashes, hangs and eats memory; here each job dies alone. Loading TVM takes seconds and a fork takes
milliseconds, so a candidate costs what its compilation costs. Nothing of TVM is imported on this side: it serves in a
driver and in a Ray actor alike.

    with Forge(slots=1, cores=[0]) as forge:
        result = forge.submit("build_candidate", {...}, timeout_s=30).result()

A job is a function `sweep.toolchain.jobs.<name>`, or any `package.module:function`, of JSON-able keyword arguments,
with a JSON-able dict as its result.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

from sweep import errors
from sweep.errors import SweepError, ToolchainError

__all__ = ["Forge", "traceback_of"]

_Result = dict[str, Any]

_SINGLE_THREADED = ("TVM_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Forge:
    """A pool of killable children, forked from one process that has TVM loaded. Thread-safe.

    Jobs wait in the order in which they came, but tuning candidates (`build_candidate`) behind all others. The server
    starts with the object and loads TVM while the first jobs arrive. It ends with its owner, however that ends.
    """

    def __init__(
        self,
        slots: int = 1,
        cores: Sequence[int] | None = None,
        preload: bool = True,
        memory_limit_bytes: int | None = None,
        lent_cores: Sequence[int] = (),
        lock_dir: Path | None = None,
    ) -> None:
        """Start the server.

        slots: children at a time on `cores`; further jobs wait in the server. 0 where all children are on lent cores.
        cores: the CPUs that server and children may use; None for the owner's.
        preload: load TVM, its ONNX importer and the x86 intrinsics before the first fork.
        memory_limit_bytes: what a child may map above the server's own size.
        lent_cores: CPUs that devices lend between their measurements. Each takes one more child, which is used when
            all slots are, and frozen while anybody holds the core's lock in `lock_dir` (see `sweep.lending`).
        """
        if slots < (0 if lent_cores else 1):
            raise ValueError(f"slots must be at least 1 (0 with lent cores), not {slots}")
        if lent_cores and lock_dir is None:
            raise ValueError("lent cores need a lock_dir")
        self._options = {
            "slots": slots,
            "cores": None if cores is None else sorted(set(cores)),
            "preload": preload,
            "memory_limit_bytes": memory_limit_bytes,
            "lent_cores": sorted(set(lent_cores)),
            "lock_dir": None if lock_dir is None else str(lock_dir.absolute()),
        }
        self._lock = threading.RLock()
        self._server: _Server | None = None
        self._closed = False
        with self._lock:
            self._running_server()

    def submit(
        self,
        job_name: str,
        kwargs: Mapping[str, Any],
        timeout_s: float | None = None,
        memory_limit_bytes: int | None = None,
    ) -> Future[_Result]:
        """Queue a job; the time limit counts from its start, without the time it is frozen.

        `memory_limit_bytes` is this job's own, in place of the forge's.

        Cancelling the future kills a job that runs already.

        The future raises the error class of the tree that the job raised, with `.traceback_text`; a job that is
        killed by its limit or by a crash raises the class of its kind (BuildFailed for `build_*`, ImportFailed,
        LowerFailed, TuneFailed, else ToolchainError).
        """
        request = {"job": job_name, "kwargs": dict(kwargs), "timeout_s": timeout_s}
        if memory_limit_bytes is not None:
            request["memory_limit_bytes"] = memory_limit_bytes
        with self._lock:
            if self._closed:
                raise ToolchainError("the forge is closed")
            return self._running_server().send(request)

    @property
    def server_pid(self) -> int | None:
        """Process id of the server, for a look from outside; None when there is none."""
        server = self._server
        return server.process.pid if server is not None and server.alive else None

    def close(self) -> None:
        """End the server and its children; futures that still wait fail with ToolchainError."""
        with self._lock:
            self._closed = True
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def __enter__(self) -> Forge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _running_server(self) -> _Server:
        if self._server is None or not self._server.alive:
            if self._server is not None:
                self._server.close()
            self._server = _Server(self._options)
        return self._server


def traceback_of(error: BaseException) -> str | None:
    """The traceback that an error of a job had in its child, or None."""
    text = getattr(error, "traceback_text", None)
    return text if isinstance(text, str) else None


class _Server:
    """One server process, the socket to it, and the futures it owes."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "sweep.toolchain.forge_server", str(theirs.fileno()), json.dumps(options)]
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C goes to the terminal's process group, and is the driver's to handle
            )
        self.alive = True
        self._socket = ours
        self._futures: dict[int, Future[_Result]] = {}
        self._next_id = 0
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="forge-reader", daemon=True)
        self._reader.start()

    def send(self, request: Mapping[str, Any]) -> Future[_Result]:
        future: Future[_Result] = Future()
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
            code = self.process.wait(timeout=2)
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
        except subprocess.TimeoutExpired:
            how = "its connection closed"
        for future in owed.values():
            if future.set_running_or_notify_cancel():
                future.set_exception(ToolchainError(f"the forge ended ({how}) before this job did"))


def _rebuilt(error: Mapping[str, Any]) -> SweepError:
    found = getattr(errors, str(error["class"]), None)
    kind = found if isinstance(found, type) and issubclass(found, SweepError) else ToolchainError
    rebuilt = kind(str(error["message"]))
    rebuilt.traceback_text = error.get("traceback", "")  # type: ignore[attr-defined]
    return rebuilt


def _environment() -> dict[str, str]:
    """The owner's, with its import path (a Ray worker's is not in PYTHONPATH), one thread in every numeric library, and
    an ONNX Runtime that calls nobody.
    """
    path = [entry or str(Path.cwd()) for entry in sys.path]
    root = str(Path(__file__).resolve().parents[2])
    if root not in path:
        path.insert(0, root)
    ours = {"PYTHONPATH": os.pathsep.join(path), "ORT_DISABLE_TELEMETRY": "1"}
    return {**os.environ, **ours, **dict.fromkeys(_SINGLE_THREADED, "1")}
