"""Runs a command that is over when its owner says so or is gone, however that went: `python guard.py ORDERS.json`.

The guard sits between a benchmark and the process it times, in a session of its own. It watches its standard input,
whose other end the benchmark holds: at its end (also that of a benchmark killed by SIGKILL) the command gets a signal,
some time to comply, then its process group is killed and its folder for temporary files removed. Standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Guarded"]

_POLL_S = 0.2
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Manner:
    """How a command is ended."""

    signal: int = signal.SIGKILL
    grace_s: float = 0.0


class Guarded:
    """A command under a guard, as a context: at its end the command has ended too."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        environment: Mapping[str, str],
        manner: Manner | None = None,
        own_tmpdir: bool = True,
    ) -> None:
        """`folder`: working directory, with its output (`output.txt`); with `own_tmpdir` also its temporary files."""
        manner = manner or Manner()
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder / "output.txt"
        orders = {
            "command": list(command),
            "folder": str(folder.absolute()),
            "signal": int(manner.signal),
            "grace_s": manner.grace_s,
            "environment": dict(environment),
            "own_tmpdir": own_tmpdir,
        }
        path = folder / "guard.json"
        path.write_text(json.dumps(orders), encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(path)], stdin=subprocess.PIPE, start_new_session=True
        )

    def wait(self, timeout_s: float) -> int | None:
        """The command's exit code, or None when it still runs after `timeout_s`."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def end(self) -> int:
        """End the command now; its exit code. A second Ctrl-C does not cut this short."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        while True:
            with suppress(KeyboardInterrupt):
                return self._process.wait()

    def __enter__(self) -> Guarded:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def main(orders: Mapping[str, Any]) -> int:
    """Run the command until it ends or standard input does; its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the owner decides, by closing the pipe
    folder = Path(orders["folder"])
    temporary = folder / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    environment = dict(orders["environment"])
    if orders["own_tmpdir"]:
        temporary.mkdir()
        environment["TMPDIR"] = str(temporary)
    try:
        with (folder / "output.txt").open("ab") as output:
            child = subprocess.Popen(
                orders["command"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=folder,
                start_new_session=True,
                preexec_fn=_prepare_child,  # noqa: PLW1509 - one thread alone runs here
            )
        while child.poll() is None and not _is_over():
            pass
        if child.poll() is None:
            child.send_signal(orders["signal"])
            with suppress(subprocess.TimeoutExpired):
                child.wait(orders["grace_s"] or None)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # whatever of the group outlived its leader
        return child.wait()
    finally:
        _remove(temporary)


def _prepare_child() -> None:
    """Signals as usual, and death with a guard that is killed itself."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _is_over() -> bool:
    """Whether standard input has ended; waits a moment for it."""
    ready, _, _ = select.select([0], [], [], _POLL_S)
    return bool(ready) and not os.read(0, 4096)


def _remove(folder: Path) -> None:
    """Workers that are just being killed may still write into it."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
