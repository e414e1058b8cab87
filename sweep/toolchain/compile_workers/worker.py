"""The life of a compile worker: a process of its own group, with limits and a TMPDIR of its own, that does one job."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweep.errors import SweepError, disk_refusal, in_one_line
from sweep.toolchain import crash_notes
from sweep.toolchain.compile_workers.job_errors import error_answer
from sweep.toolchain.host_memory import mapped_bytes

__all__ = ["live"]

_PR_SET_PDEATHSIG = 1


def live(
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
        crash_notes.begin(folder)
        if memory_limit_bytes is not None:
            limit = mapped_bytes() + memory_limit_bytes
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        answer = _run(request, memory_limit_bytes, enter_core)
        sys.stdout.flush()
        sys.stderr.flush()
        unsent = memoryview(answer)
        while unsent:
            unsent = unsent[os.write(pipe, unsent) :]
        code = 0
    finally:
        os._exit(code)  # no atexit handlers, no destructors: they belong to the server


def _run(request: dict[str, Any], memory_limit_bytes: int | None, enter_core: Callable[[], None] | None) -> bytes:
    error_class = request["error_class"]
    try:
        if enter_core is not None:
            enter_core()
        module, _, function = request["job"].rpartition(":")
        result = getattr(importlib.import_module(module), function)(**request["kwargs"])
        answer = {"result": result}
    except MemoryError:
        limit = "" if memory_limit_bytes is None else f" (limit {memory_limit_bytes / 1e6:.0f} MB)"
        answer = error_answer(error_class, f"ran out of memory{limit}", traceback.format_exc(), None)
    except SweepError as error:
        answer = error_answer(type(error).__name__, str(error), traceback.format_exc(), disk_refusal(error))
    except Exception as error:  # noqa: BLE001  (a job's bug is its owner's to see, not the server's end)
        message = f"unexpected {type(error).__name__}: {in_one_line(error)}"
        answer = error_answer(error_class, message, traceback.format_exc(), disk_refusal(error))
    return json.dumps(answer).encode()
