"""The compile server: loads TVM once, then forks one child for every job. `CompilePool` alone starts it.

It is single-threaded, because a fork copies only the thread that called it and a lock held by another would stay
locked for ever. It reads jobs as JSON lines from a socket, forks (`job_process`) where there is a slot, and answers on
the socket. It ends at the end of file there or when its parent is another one, and takes all children along.
(PR_SET_PDEATHSIG would not do for the server itself: it fires when the *thread* that started the server ends.)
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from sweep.errors import CompilerLost, disk_refusal, in_one_line
from sweep.toolchain import crash_notes
from sweep.toolchain.compile_workers.job_errors import error_answer, how_it_died, log_tail
from sweep.toolchain.compile_workers.job_process import CoreLender, JobProcess, fork
from sweep.toolchain.compile_workers.waiting_jobs import UnderWay, WaitingJobs
from sweep.toolchain.compiled_functions import OBJECTS
from sweep.toolchain.host_memory import job_memory_bytes

__all__ = ["main"]

_POLL_S = 1.0
_FROZEN_POLL_S = 0.25
"""How often a frozen child is looked at: the measurer that froze it may have been killed."""


class _Slot(NamedTuple):
    lent_core: int | None
    """None: on the server's own cores."""


class CompileServer:
    """The loop: read requests, fork, watch, answer."""

    def __init__(self, control: socket.socket, options: dict[str, Any], folder: Path) -> None:
        self._control, self._folder = control, folder
        self._slots = int(options["slots"])
        self._own_cores: list[int] = options["cores"]
        self._lent_cores: list[int] = options["lent_cores"]
        self._lock_dir = Path(options["lock_dir"] or folder)
        self._memory_limit_bytes: int = options["memory_limit_bytes"] or job_memory_bytes()
        self._parent = os.getppid()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._woken = _wake_up_on_signals()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._waiting = WaitingJobs()
        self._children: dict[int, JobProcess] = {}
        self._incoming = bytearray()
        self.ending = False

    def serve(self) -> None:
        """Run until the owner is gone."""
        while not self.ending and os.getppid() == self._parent:
            for key, _ in self._selector.select(self._patience_s()):
                if key.fileobj is self._control:
                    self._receive()
                elif key.fileobj is self._woken:
                    self._woken.recv(4096)
                else:
                    self._collect(key.data)
            now = time.monotonic()
            for child in list(self._children.values()):
                if child.is_late(now):
                    self._end(child, f"timed out after {child.timeout_s:g} s")
            self._fill_slots()

    def stop(self) -> None:
        """Kill every child; none is left when this returns."""
        for child in list(self._children.values()):
            self._reap(child)

    def _patience_s(self) -> float:
        now = time.monotonic()
        children = self._children.values()
        times_s = [_FROZEN_POLL_S if child.is_frozen else child.deadline - now for child in children]
        return max(0.0, min([_POLL_S, *times_s]))

    def _receive(self) -> None:
        try:
            chunk = self._control.recv(1 << 20)
        except InterruptedError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.ending = True
            return
        self._incoming += chunk
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = bytearray(rest)
        for line in lines:
            request = json.loads(line)
            if request.get("cancel"):
                self._cancel(request["id"])
            else:
                self._waiting.add(request, self._under_way())

    def _cancel(self, job_id: int) -> None:
        self._waiting.drop(job_id)
        if job_id in self._children:
            self._reap(self._children[job_id])

    def _fill_slots(self) -> None:
        """Start what waits, on our own cores first; a frozen child comes before it there, since it is older."""
        for child in list(self._children.values()):
            if child.is_frozen and self._own_slots_left():
                child.move()
        while (place := self._free_slot()) is not None:
            request = self._waiting.next(self._under_way())
            if request is None:
                return
            self._fork(request, place.lent_core)

    def _free_slot(self) -> _Slot | None:
        if self._own_slots_left():
            return _Slot(None)
        taken = {child.lent_core for child in self._children.values()}
        left = [core for core in self._lent_cores if core not in taken]
        return _Slot(left[0]) if left else None

    def _under_way(self) -> list[UnderWay]:
        now = time.monotonic()
        return [child.under_way(now) for child in self._children.values()]

    def _own_slots_left(self) -> int:
        return self._slots - sum(child.lent_core is None for child in self._children.values())

    def _fork(self, request: dict[str, Any], lent_core: int | None) -> None:
        lender = None if lent_core is None else CoreLender(self._lock_dir, lent_core, self._own_cores)
        limited = {"memory_limit_bytes": self._memory_limit_bytes, **request}
        try:
            child = fork(limited, self._folder, self._control, lender)
        except OSError as error:  # the disk is full, or there is no memory for another process: the next may do better
            message = f"could not be started: {in_one_line(error)}"
            answer = error_answer(CompilerLost.__name__, message, "", disk_refusal(error))
            self._answer({"id": request["id"], **answer})
            return
        self._children[child.job_id] = child
        self._selector.register(child.pipe, selectors.EVENT_READ, child)

    def _collect(self, child: JobProcess) -> None:
        if self._children.get(child.job_id) is child and not child.read():
            self._end(child, None)

    def _end(self, child: JobProcess, verdict: str | None) -> None:
        log = log_tail(child.folder / "log")
        doing = crash_notes.read(child.folder)
        status = self._reap(child)
        again = None
        if verdict is None:
            again = crash_notes.request_after_crash(child.request, status, how_it_died(status, log)[1], doing)
        if again is None:
            self._answer({"id": child.job_id, **child.outcome(status, log, verdict)})
        else:
            self._waiting.put_back(again)

    def _reap(self, child: JobProcess) -> int:
        del self._children[child.job_id]
        self._waiting.ended(child.under_way(time.monotonic()))
        self._selector.unregister(child.pipe)
        return child.reap()

    def _answer(self, message: dict[str, Any]) -> None:
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.ending = True


def main(arguments: list[str]) -> int:
    """Serve on the inherited socket `arguments[0]` with the options in `arguments[1]` (JSON)."""
    control = socket.socket(fileno=int(arguments[0]))
    control.set_inheritable(False)
    options = json.loads(arguments[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cores = set(options["cores"] or os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores - set(options["lent_cores"]) or cores)
    options["cores"] = sorted(os.sched_getaffinity(0))
    folder = Path(tempfile.mkdtemp(prefix="sweep-compile-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    os.environ[OBJECTS] = str(folder / "objects")
    server = CompileServer(control, options, folder)

    def end(_signal: int, _frame: object) -> None:
        server.ending = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    try:
        if options["preload"]:
            _preload()
        gc.collect()
        gc.freeze()  # a collection in a child would touch, and so copy, every page it shares with the server
        server.serve()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _preload() -> None:
    from sweep.toolchain import jobs

    jobs.preload()


def _wake_up_on_signals() -> socket.socket:
    """A socket that can be read after a signal: a child that is stopped or let go on is one to look at."""
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    signal.set_wakeup_fd(writing.detach(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    return reading


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
