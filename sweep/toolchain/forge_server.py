"""The forge's server: loads TVM once, then forks one child for every job. Run as `python -m`, by `forge.Forge` alone.

It is single-threaded, because a fork copies only the thread that called it and a lock held by another would stay
locked for ever. It reads jobs as JSON lines from a socket and answers on it. A child leads a process group of its own
and has its own TMPDIR; both end with it. The server ends at the end of file on its socket or when its parent is
another one, and takes all children along. (PR_SET_PDEATHSIG would not do for the server itself: it fires when the
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep import errors
from sweep.errors import SweepError

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
_POLL_S = 1.0
_LOG_TAIL_BYTES = 4000

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
    answer: bytearray = field(default_factory=bytearray)


class ForgeServer:
    """The loop: read requests, fork, watch, answer."""

    def __init__(self, control: socket.socket, options: dict[str, Any], folder: Path) -> None:
        self._control, self._folder = control, folder
        self._slots = int(options["slots"])
        self._memory_limit_bytes: int | None = options["memory_limit_bytes"]
        self._parent = os.getppid()
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._waiting: deque[dict[str, Any]] = deque()
        self._children: dict[int, _Child] = {}
        self._incoming = bytearray()
        self.ending = False

    def serve(self) -> None:
        """Run until the owner is gone."""
        while not self.ending and os.getppid() == self._parent:
            for key, _ in self._selector.select(self._patience_s()):
                if key.fileobj is self._control:
                    self._receive()
                else:
                    self._collect(key.data)
            now = time.monotonic()
            for child in [child for child in self._children.values() if child.deadline <= now]:
                self._end(child, f"timed out after {child.timeout_s:g} s")
            while self._waiting and len(self._children) < self._slots:
                self._fork(self._waiting.popleft())

    def stop(self) -> None:
        """Kill every child; none is left when this returns."""
        for child in list(self._children.values()):
            self._reap(child)

    def _patience_s(self) -> float:
        now = time.monotonic()
        return max(0.0, min([_POLL_S, *(child.deadline - now for child in self._children.values())]))

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
                self._waiting.append(request)

    def _cancel(self, job_id: int) -> None:
        self._waiting = deque(request for request in self._waiting if request["id"] != job_id)
        if job_id in self._children:
            self._reap(self._children[job_id])

    def _fork(self, request: dict[str, Any]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="job-", dir=self._folder))
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _be_child(request, writing, folder, self._control, self._memory_limit_bytes)
        os.close(writing)
        timeout_s = request["timeout_s"]
        deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        child = _Child(request["id"], request["job"], pid, reading, folder, timeout_s, deadline)
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
    if options["cores"] is not None:
        os.sched_setaffinity(0, options["cores"])
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


def _be_child(
    request: dict[str, Any], pipe: int, folder: Path, control: socket.socket, memory_limit_bytes: int | None
) -> None:
    """The life of a child; never returns."""
    code = 1
    try:
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
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
        answer = _run(request["job"], request["kwargs"], memory_limit_bytes)
        sys.stdout.flush()
        sys.stderr.flush()
        unsent = memoryview(answer)
        while unsent:
            unsent = unsent[os.write(pipe, unsent) :]
        code = 0
    finally:
        os._exit(code)  # no atexit handlers, no destructors: they belong to the server


def _run(job: str, kwargs: dict[str, Any], memory_limit_bytes: int | None) -> bytes:
    try:
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


def _error_class(job: str) -> str:
    name = job.rpartition(":")[2]
    kind = _ERROR_OF_JOB.get(name.split("_")[0], "ToolchainError")
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
