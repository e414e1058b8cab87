"""The forge's server: loads TVM once, then forks one child for every job. Run as `python -m`, by `forge.Forge` alone.

It is single-threaded, because a fork copies only the thread that called it and a lock held by another would stay
locked for ever. It reads jobs as JSON lines from a socket and answers on it. A child leads a process group of its own
and has its own TMPDIR; both end with it. The server ends at the end of file on its socket or when its parent is
another one, and takes all children along. Children on cores that a device has lent are frozen while it measures; see
`loan`. (PR_SET_PDEATHSIG would not do for the server itself: it fires when the
*thread* that started the server ends.)
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sweep import errors
from sweep.errors import SweepError
from sweep.toolchain.loan import Loan, take

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
_POLL_S = 1.0
_FROZEN_POLL_S = 0.25
"""How often a frozen child is looked at: the measurer that froze it may have been killed."""
_LOG_TAIL_BYTES = 4000

_CANDIDATE_JOBS = "build_candidate"
"""Jobs of this name give way to all others: tuning has dozens of them waiting, and a stage would queue behind them."""

_ERROR_OF_JOB = {"import": "ImportFailed", "lower": "LowerFailed", "build": "BuildFailed", "tune": "TuneFailed"}


@dataclass(slots=True)
class _Child:
    """A forked job."""

    job_id: int
    job: str
    pid: int
    pipe: int
    """Read end of the child's answer; end of file means that the child is gone."""
    folder: Path
    """Its TMPDIR, with its output in `log`."""
    timeout_s: float | None
    deadline: float
    """Later by each freeze that is over."""
    loan: Loan | None
    answer: bytearray = field(default_factory=bytearray)


class ForgeServer:
    """The loop: read requests, fork, watch, answer."""

    def __init__(self, control: socket.socket, options: dict[str, Any], folder: Path) -> None:
        self._control, self._folder = control, folder
        self._slots = int(options["slots"])
        self._own_cores: list[int] = options["cores"]
        self._lent_cores: list[int] = options["lent_cores"]
        self._lock_dir = Path(options["lock_dir"] or folder)
        self._memory_limit_bytes: int | None = options["memory_limit_bytes"]
        self._parent = os.getppid()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._woken = _wake_up_on_signals()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._waiting: tuple[deque[dict[str, Any]], deque[dict[str, Any]]] = deque(), deque()
        """Stages, then candidates."""
        self._children: dict[int, _Child] = {}
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
                if child.loan is not None:
                    child.deadline += child.loan.look(now)
                if child.deadline <= now and not _is_frozen(child):
                    self._end(child, f"timed out after {child.timeout_s:g} s")
            self._fill_slots()

    def stop(self) -> None:
        """Kill every child; none is left when this returns."""
        for child in list(self._children.values()):
            self._reap(child)

    def _patience_s(self) -> float:
        now = time.monotonic()
        children = self._children.values()
        times_s = [_FROZEN_POLL_S if _is_frozen(child) else child.deadline - now for child in children]
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
                stages, candidates = self._waiting
                (candidates if _name(request["job"]).startswith(_CANDIDATE_JOBS) else stages).append(request)

    def _cancel(self, job_id: int) -> None:
        for queue in self._waiting:
            for request in [request for request in queue if request["id"] == job_id]:
                queue.remove(request)
        if job_id in self._children:
            self._reap(self._children[job_id])

    def _fill_slots(self) -> None:
        """Start what waits, on our own cores first. Of a frozen child and a new candidate these go to the older."""
        stages, candidates = self._waiting
        while stages and self._start(stages):
            pass
        for child in list(self._children.values()):
            if child.loan is not None and child.loan.is_frozen and self._own_slots_left():
                child.loan.move()
        while candidates and self._start(candidates):
            pass

    def _start(self, queue: deque[dict[str, Any]]) -> bool:
        """Start the first of the queue, unless there is no slot."""
        if self._own_slots_left():
            self._fork(queue.popleft(), None)
            return True
        taken = {child.loan.core for child in self._children.values() if _is_lent(child) and child.loan is not None}
        left = [core for core in self._lent_cores if core not in taken]
        if left:
            self._fork(queue.popleft(), left[0])
        return bool(left)

    def _own_slots_left(self) -> int:
        return self._slots - sum(not _is_lent(child) for child in self._children.values())

    def _fork(self, request: dict[str, Any], lent_core: int | None) -> None:
        folder = Path(tempfile.mkdtemp(prefix="job-", dir=self._folder))
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            enter_core = None if lent_core is None else partial(take, self._lock_dir, lent_core, self._own_cores)
            memory_limit_bytes = request.get("memory_limit_bytes", self._memory_limit_bytes)
            _be_child(request, writing, folder, self._control, memory_limit_bytes, enter_core)
        os.close(writing)
        loan = None if lent_core is None else Loan(pid, lent_core, self._lock_dir, self._own_cores)
        timeout_s = request["timeout_s"]
        deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        child = _Child(request["id"], request["job"], pid, reading, folder, timeout_s, deadline, loan)
        self._children[child.job_id] = child
        self._selector.register(reading, selectors.EVENT_READ, child)

    def _collect(self, child: _Child) -> None:
        if self._children.get(child.job_id) is not child:
            return
        chunk = os.read(child.pipe, 1 << 20)
        child.answer += chunk
        if not chunk:
            self._end(child, None)

    def _end(self, child: _Child, verdict: str | None) -> None:
        log = _tail(child.folder / "log")
        status = self._reap(child)
        message: dict[str, Any]
        try:
            message = json.loads(child.answer)
            if verdict is not None and "result" not in message:
                raise ValueError
        except ValueError:
            message = {
                "error": {
                    "class": _error_class(child.job),
                    "message": verdict or _how_it_died(status, log),
                    "traceback": log,
                }
            }
        self._answer({"id": child.job_id, **message})

    def _reap(self, child: _Child) -> int:
        del self._children[child.job_id]
        self._selector.unregister(child.pipe)
        os.close(child.pipe)
        _kill_group(child.pid)
        _, status = os.waitpid(child.pid, 0)
        if child.loan is not None:
            child.loan.end()
        shutil.rmtree(child.folder, ignore_errors=True)
        return status

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
    folder = Path(tempfile.mkdtemp(prefix="sweep-forge-"))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    server = ForgeServer(control, options, folder)

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


def _is_lent(child: _Child) -> bool:
    return child.loan is not None and not child.loan.is_over


def _is_frozen(child: _Child) -> bool:
    return child.loan is not None and child.loan.is_frozen


def _be_child(
    request: dict[str, Any],
    pipe: int,
    folder: Path,
    control: socket.socket,
    memory_limit_bytes: int | None,
    enter_core: Callable[[], None] | None,
) -> None:
    """The life of a child; never returns."""
    code = 1
    try:
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        control.close()
        log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        if memory_limit_bytes is not None:
            limit = _mapped_bytes() + memory_limit_bytes
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        answer = _run(request["job"], request["kwargs"], memory_limit_bytes, enter_core)
        sys.stdout.flush()
        sys.stderr.flush()
        unsent = memoryview(answer)
        while unsent:
            unsent = unsent[os.write(pipe, unsent) :]
        code = 0
    finally:
        os._exit(code)  # no atexit handlers, no destructors: they belong to the server


def _run(
    job: str, kwargs: dict[str, Any], memory_limit_bytes: int | None, enter_core: Callable[[], None] | None
) -> bytes:
    try:
        if enter_core is not None:
            enter_core()
        module, _, function = job.rpartition(":")
        result = getattr(importlib.import_module(module or "sweep.toolchain.jobs"), function)(**kwargs)
        return json.dumps({"result": result}).encode()
    except MemoryError:
        limit = "" if memory_limit_bytes is None else f" (limit {memory_limit_bytes / 1e6:.0f} MB)"
        return _error(_error_class(job), f"ran out of memory{limit}", traceback.format_exc())
    except SweepError as error:
        return _error(type(error).__name__, str(error), traceback.format_exc())
    except Exception as error:  # noqa: BLE001  (a job's bug is its owner's to see, not the server's end)
        message = f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:400]}"
        return _error(_error_class(job), message, traceback.format_exc())


def _error(kind: str, message: str, trace: str) -> bytes:
    return json.dumps({"error": {"class": kind, "message": message, "traceback": trace}}).encode()


def _name(job: str) -> str:
    return job.rpartition(":")[2]


def _error_class(job: str) -> str:
    kind = _ERROR_OF_JOB.get(_name(job).split("_")[0], "ToolchainError")
    return kind if hasattr(errors, kind) else "ToolchainError"


def _how_it_died(status: int, log: str) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        memory = " (out of memory)" if "bad_alloc" in log or "out of memory" in log.lower() else ""
        return f"crashed with {name}{memory}"
    return f"ended with exit code {os.WEXITSTATUS(status)} and no answer"


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # the group too: a linker that a killed child had started lives on in it
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _LOG_TAIL_BYTES))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
