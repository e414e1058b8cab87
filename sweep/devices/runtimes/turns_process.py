"""A network in another runtime's process that takes its turns in a final: opened, asked for slots, ended."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sweep import errors
from sweep.devices.measuring.duel import Contestant
from sweep.devices.runtimes.child_process import START_S, environment_of
from sweep.errors import MeasureFailed, MeasureTimeout, WorkerKilled, killed_by
from sweep.installation import python_command
from sweep.study.runtimes import runtime_of

__all__ = ["TurnsProcess"]

_END_S = 5.0


class TurnsProcess:
    """The process of one runtime with one network. A context that ends it."""

    module = "sweep.devices.runtimes.turns_child"
    """What it runs."""

    def __init__(
        self,
        runtime: str,
        import_dir: Path,
        *,
        cores: tuple[int, ...],
        threads: int,
        threshold: float | None,
        cache_flush: bool,
        limit_s: float,
        loading_cores: Collection[int] = (),
    ) -> None:
        """limit_s: so many seconds after it is told something, those of its start apart, it is killed. loading_cores:
        on which it starts, and loads what needs no network; none: on any.
        """
        self._loading_cores = frozenset(loading_cores)
        self.about, self._was_late = runtime_of(runtime), False
        self._limit_s = limit_s + START_S + self.about.opening_s
        self.environment = environment_of(self.about, threads)
        self.orders = {
            "parent_pid": os.getpid(),
            "runtime": runtime,
            "import_dir": str(import_dir.resolve()),
            "cores": list(cores),
            "threads": threads,
            "threshold": threshold,
            "cache_flush": cache_flush,
        }

    def __enter__(self) -> Self:
        with _thread_on(self._loading_cores):  # it inherits this thread's
            self._process = subprocess.Popen(
                [*python_command(self.module), str(self.orders["runtime"])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=self.environment,
                start_new_session=True,
            )
        self._timer: threading.Timer | None = None
        self._said: list[str] = []
        # Else a runtime that warns without end would fill the pipe and stand still
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        process = self._process
        assert process.stdout is not None
        try:
            self.end()
            process.wait(_END_S)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        self._listener.join(_END_S)
        process.stdout.close()

    def open(self) -> Contestant:
        """Load the network. Raises OutputMismatch, MeasureFailed, MeasureTimeout, WorkerKilled."""
        return self.opened(self.ask(self.orders))

    def opened(self, answer: Mapping[str, Any]) -> Contestant:
        """What takes part, by the answer to the orders."""
        return Contestant(self._clock, bool(answer["is_flushed"]))

    def end(self) -> None:
        """Let the process end, which the exit of the context waits for."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def observe(self) -> Mapping[str, Any]:
        """The conditions of its process. Raises as `open` does."""
        return self.ask({"observe": True})

    def _clock(self, number: int, repeat: int) -> list[float]:
        return [float(value) for value in self.ask({"number": number, "repeat": repeat})["run_secs"]]

    def ask(self, what: Mapping[str, Any]) -> dict[str, Any]:
        """Tell it something and wait for the answer. Raises what it raised, and as `open` does where it has ended."""
        self.tell(what)
        return self.hear()

    def tell(self, what: Mapping[str, Any]) -> None:
        """Tell it something, and do not wait."""
        assert self._process.stdin is not None
        if self._timer is None:
            self._timer = threading.Timer(self._limit_s, self._kill_late)
            self._timer.daemon = True
            self._timer.start()
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._why_ended() from error

    def hear(self) -> dict[str, Any]:
        """Its next answer."""
        assert self._process.stdout is not None
        try:
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (OSError, json.JSONDecodeError) as error:
            raise self._why_ended() from error
        if "error_class" in answer:
            raise getattr(errors, answer["error_class"])(answer["error"])
        return answer

    def _why_ended(self) -> errors.SweepError:
        title, code = self.about.title, self._process.wait()
        self._listener.join(_END_S)
        if self._was_late:
            return MeasureTimeout(f"{title} did not finish within {self._limit_s:g} s")
        if (outside := killed_by(code)) is not None:
            return WorkerKilled(f"{title}'s process was killed with {outside}: from outside, or for want of memory")
        tail = (self._said or ["no message"])[-1]
        return MeasureFailed(f"{title}'s process ended with {code}: {tail[:300]}")

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.strip():
                self._said = [*self._said[-9:], line.strip()]
        self._process.stderr.close()

    def _kill_late(self) -> None:
        self._was_late = True
        self._process.kill()


@contextmanager
def _thread_on(cores: Collection[int]) -> Iterator[None]:
    """This thread alone on other cores; where there are none, or the host does not let it there, as it is."""
    before = os.sched_getaffinity(0)
    with suppress(OSError):
        os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
