"""A job that the compile server has forked: the child's process, pipe and folder, and the core it may have borrowed.

A child leads a process group of its own and has its own TMPDIR; both end with it. `worker` is the code that it runs.
Children on cores that a device has lent are frozen while the device measures; see `borrowed_core`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sweep.core_sharing import is_frozen
from sweep.errors import disk_refusal_in
from sweep.toolchain.compile_workers.borrowed_core import BorrowedCore, take
from sweep.toolchain.compile_workers.job_errors import error_answer, how_it_died
from sweep.toolchain.compile_workers.waiting_jobs import UnderWay
from sweep.toolchain.compile_workers.worker import live

__all__ = ["CoreLender", "JobProcess", "fork"]


@dataclass(frozen=True, slots=True)
class CoreLender:
    """The lent core that a child may use when none of the server's own cores has a slot free."""

    lock_dir: Path
    core: int
    own_cores: Sequence[int]
    """The compile server's own cores, where the child begins and to which it may come back."""


@dataclass(slots=True)
class JobProcess:
    """The server's record of one child: the job, its limits, its pipe and its borrowed core."""

    request: Mapping[str, Any]
    pid: int
    pipe: int
    """Read end of the child's answer; end of file means that the child is gone."""
    folder: Path
    """Its TMPDIR, with its output in `log`."""
    timeout_s: float | None
    deadline: float
    """Later by each freeze that is over."""
    loan: BorrowedCore | None
    begun: float
    """When it got its slot, on the monotonic clock."""
    answer: bytearray = field(default_factory=bytearray)
    stopped_since: float | None = None
    """Of a child on the server's own cores, that a person has stopped, or a debugger."""

    @property
    def job_id(self) -> int:
        """By which its answer is known."""
        return int(self.request["id"])

    @property
    def lent_core(self) -> int | None:
        """The core that the child has borrowed; None on the server's own cores."""
        return None if self.loan is None or self.loan.is_over else self.loan.core

    @property
    def is_frozen(self) -> bool:
        """Whether it stood still when it was last looked at."""
        return self.stopped_since is not None or (self.loan is not None and self.loan.is_frozen)

    def is_late(self, now: float) -> bool:
        """Look at it: whether its time is over."""
        if self.loan is not None:
            self.deadline += self.loan.look(now)
        elif is_frozen(self.pid):
            self.stopped_since = self.stopped_since or now
        elif self.stopped_since is not None:
            self.deadline += now - self.stopped_since
            self.stopped_since = None
        return self.deadline <= now and not self.is_frozen

    def under_way(self, now: float) -> UnderWay:
        """For whoever shares slots out."""
        return UnderWay(self.request["kind"], now - self.begun)

    def move(self) -> None:
        """Let a frozen child go on, on the server's own cores."""
        if self.loan is not None:
            self.loan.move()

    def read(self) -> bool:
        """Take what it has answered by now; False at the end of it."""
        chunk = os.read(self.pipe, 1 << 20)
        self.answer += chunk
        return bool(chunk)

    def outcome(self, status: int, log: str, verdict: str | None) -> dict[str, Any]:
        """What it answered; or an error with the verdict (why it was ended), or with how it died by itself.

        status: as `reap` gives it. log: the end of its output.
        """
        try:
            message: dict[str, Any] = json.loads(self.answer)
            if verdict is None or "result" in message:
                return message
        except ValueError:
            pass
        kind, how = (None, verdict) if verdict is not None else how_it_died(status, log)
        return error_answer(kind or self.request["error_class"], how, log, disk_refusal_in(log))

    def reap(self) -> int:
        """End it, with all that it has started and all that it has left; gives what `waitpid` says of it."""
        os.close(self.pipe)
        _kill_group(self.pid)
        _, status = os.waitpid(self.pid, 0)
        if self.loan is not None:
            self.loan.end()
        shutil.rmtree(self.folder, ignore_errors=True)
        return status


def fork(request: Mapping[str, Any], home: Path, control: socket.socket, lender: CoreLender | None) -> JobProcess:
    """Fork a child for a request: {id, job, kind, error_class, kwargs, timeout_s, memory_limit_bytes}.

    home: where its folder is made. control: the server's socket, which the child must not keep. lender: None for a
    child on the server's own cores. Raises OSError, and leaves nothing behind then.
    """
    with ExitStack() as undone:
        folder = Path(tempfile.mkdtemp(prefix="job-", dir=home))
        undone.callback(folder.rmdir)
        reading, writing = os.pipe()
        for end in (reading, writing):
            undone.callback(os.close, end)
        pid = os.fork()
        undone.pop_all()
    if pid == 0:
        enter_core = None if lender is None else partial(take, lender.lock_dir, lender.core, lender.own_cores)
        live(dict(request), writing, folder, control, request["memory_limit_bytes"], enter_core)
    os.close(writing)
    loan = None if lender is None else BorrowedCore(pid, lender.core, lender.lock_dir, lender.own_cores)
    timeout_s = request["timeout_s"]
    begun = time.monotonic()
    deadline = float("inf") if timeout_s is None else begun + timeout_s
    return JobProcess(request, pid, reading, folder, timeout_s, deadline, loan, begun)


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # the group too: a linker that a killed child had started lives on in it
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
