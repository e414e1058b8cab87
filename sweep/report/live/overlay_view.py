"""Shows how far the measuring of an overlay is: bars in a terminal, a line now and then anywhere else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from sweep.analysis.formatting import as_duration, plural
from sweep.report.live.pool_progress import LEAST_TOLD_S

__all__ = ["OverlayView"]

_LINE_EVERY_S = 10.0
_REASONS_SHOWN = 8


class OverlayView:
    """Shows the progress that the overlay reports. A context manager: leaving it puts the terminal right."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._bars: Progress | None = None
        self._bar_of: dict[str, TaskID] = {}
        self._what, self._begun, self._told = "", 0.0, 0.0
        self._total: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._say("interrupted, everything kept; the same command goes on from there")

    def begin(self, what: str, total: Mapping[str, int]) -> None:
        """So much is to do on each device."""
        self._close()
        self._what, self._total = what, Counter(total)
        self._ended, self._failures = Counter(), Counter()
        self._begun = self._told = self._clock()
        if not self._total.total():
            return
        self._say(f"{what}: {', '.join(f'{count:,} on {key}' for key, count in self._total.items() if count)}")
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Progress(*columns, console=self._console, transient=True, auto_refresh=False)
            self._bar_of = {key: self._bars.add_task(key, total=count) for key, count in self._total.items() if count}
            self._bars.start()

    def done(self, device: str, failed: str | None = None) -> None:
        """One of these has ended."""
        self._ended[device] += 1
        if failed is not None:
            why = f"{device}: {' '.join(failed.split())[:200]}"
            self._failures[why] += 1
            if self._failures[why] == 1 and len(self._failures) <= _REASONS_SHOWN:
                self._say(f"failed on {why}")
        if self._bars is not None and device in self._bar_of:
            self._bars.advance(self._bar_of[device])

    def tick(self) -> None:
        """Time has passed."""
        if self._bars is not None:
            self._bars.refresh()
        elif self._total.total() and self._clock() - self._told >= _LINE_EVERY_S:
            self._told = self._clock()
            self._say(f"so far  {self._summary()}")

    def _summary(self) -> str:
        took_s, ended, total = self._clock() - self._begun, self._ended.total(), self._total.total()
        told = f"{ended:,}/{total:,} {self._what}"
        told += f", {self._failures.total()} failed" if self._failures else ""
        left_s = took_s / ended * (total - ended) if ended > 0 else 0.0
        left = f", about {as_duration(left_s)} left" if left_s >= LEAST_TOLD_S else ""
        return f"{told}, {as_duration(took_s)} so far{left}"

    def _close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
        if self._total.total():
            failed = f", {plural(self._failures.total(), 'failure')}" if self._failures else ""
            took = as_duration(self._clock() - self._begun)
            self._say(f"{self._ended.total():,}/{self._total.total():,} {self._what}{failed}, {took}")
        self._total = Counter()

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)
