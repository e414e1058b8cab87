"""The client of the compile server: a process that has loaded TVM once and forks a killable worker for every job.

A compiler crashes, hangs and eats memory; here each job dies alone. Loading TVM takes seconds and a fork takes
milliseconds, so a candidate costs what its compilation costs. Nothing of TVM is imported on this side: it serves in a
driver and in a Ray actor alike.

    with CompilePool(slots=1, cores=[0]) as pool:
        result = pool.submit(BUILD_CANDIDATE.within(30), {...}).result()
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

from sweep.errors import ToolchainError
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.connection import Result, WorkerConnection
from sweep.toolchain.compile_workers.waiting_jobs import CANDIDATE, STAGE

__all__ = ["CompilePool"]


class CompilePool:
    """A pool of killable children, forked from one process that has TVM loaded. Thread-safe.

    Jobs wait in the order in which they came; stages and tuners' candidates share the slots (`waiting_jobs`). The
    server starts with the object and loads TVM while the first jobs arrive. It ends with its owner, however that ends.
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
        memory_limit_bytes: what a child may map above the server's own size; None: three quarters of the host's memory.
        lent_cores: CPUs that devices lend between their measurements. Each takes one more child, which is used when
            all slots are, and frozen while anybody holds the core's lock in `lock_dir` (see `sweep.core_sharing`).
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
        self._server: WorkerConnection | None = None
        self._closed = False
        with self._lock:
            self._running_server()

    def submit(self, job: CompileJob, kwargs: Mapping[str, Any]) -> Future[Result]:
        """Queue a job; its time limit counts from its start, without the time it is frozen.

        Cancelling the future kills a job that runs already.

        The future raises the error class of the tree that the job raised, with `.traceback_text`; a job that is
        killed by its limit or by a crash raises the job's own class, WorkerKilled when it is killed from outside, and
        CompilerLost when the server is.
        """
        request: dict[str, Any] = {
            "job": job.function,
            "error_class": job.error_class,
            "kind": CANDIDATE if job.is_candidate else STAGE,
            "comes_first": job.comes_first,
            "kwargs": dict(kwargs),
            "timeout_s": job.limit_s,
        }
        if job.memory_bytes is not None:
            request["memory_limit_bytes"] = job.memory_bytes
        with self._lock:
            if self._closed:
                raise ToolchainError("the compile server is closed")
            return self._running_server().send(request)

    @property
    def server_pid(self) -> int | None:
        """Process id of the server, for a look from outside; None when there is none."""
        server = self._server
        return server.process.pid if server is not None and server.alive else None

    def close(self) -> None:
        """End the server and its children; futures that still wait fail with CompilerLost."""
        with self._lock:
            self._closed = True
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def __enter__(self) -> CompilePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _running_server(self) -> WorkerConnection:
        if self._server is None or not self._server.alive:
            if self._server is not None:
                self._server.close()
            self._server = WorkerConnection(self._options)
        return self._server
