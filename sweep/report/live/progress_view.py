"""Shows a running sweep to a person: a live panel in a terminal, plain lines anywhere else.

The driver's side calls the methods as things happen; none of them waits, none starts a thread, so Ctrl-C finds the
terminal in a state that `close` puts right.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from sweep.analysis.formatting import as_duration, as_ms, plural, significant
from sweep.analysis.rows.bounds import EXACT, Reading
from sweep.report.live.panel import panel
from sweep.report.live.pool_progress import LEAST_TOLD_S, busy_words, failure_words, reached_words, spent_words
from sweep.report.live.progress import SweepProgress

__all__ = ["LiveProgress", "PlainProgress", "ProgressView", "open_progress"]

_SUMMARY_EVERY_S = 10.0
_POOLS_EVERY_S = 30.0
_LINES_UP_TO_CELLS = 200
"""Larger sweeps tell of single stages and done cells in the summary alone; failures are always told."""
_SAME_REASON_SHOWN = 3
_STYLES = {"done": "green", "tainted": "magenta", "failed": "bold red", "skipped": "yellow"}


def open_progress(
    console: Console, title: str = "", clock: Callable[[], float] = time.monotonic
) -> LiveProgress | PlainProgress:
    """The view that fits the console: live where it is a terminal, else plain."""
    return (LiveProgress if console.is_terminal else PlainProgress)(console, title, clock)


class ProgressView:
    """The common part of both views: it keeps the progress, and prints the events that deserve a line of their own."""

    def __init__(self, console: Console, title: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.title, self.clock = console, title, clock
        self.state = SweepProgress(clock())
        self._reasons: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(interrupted=kind is not None and issubclass(kind, KeyboardInterrupt))

    def plan_ready(self, total_cells: int, stages_by_kind: Mapping[str, int]) -> None:
        """The grid is known: cells in all, unique stages by kind."""
        self.state.plan_ready(total_cells, stages_by_kind)
        kinds = ", ".join(f"{count} {kind}" for kind, count in stages_by_kind.items())
        self._say(
            Text(
                f"{plural(total_cells, 'cell')} to measure in {plural(sum(stages_by_kind.values()), 'stage')} ({kinds})"
                if kinds
                else f"{plural(total_cells, 'cell')}, and no stage that is missing",
                style="dim",
            )
        )

    def attempt_started(self, stage_label: str, kind: str, pool: str = "") -> None:
        """An engine works on a stage. `pool`: of a tune stage, `xgb on local-1 for native`."""
        self.state.attempt_started(stage_label, kind, self.clock(), pool)

    def stage_done(self, stage_label: str, kind: str, seconds: float) -> None:
        """A stage ended well."""
        self.state.stage_done(stage_label, kind, seconds)

    def attempt_failed(self, stage_label: str, kind: str, error_class: str, error: str, will_retry: bool) -> None:
        """An attempt ended in an error; the cells it takes along are told of by `cell_finished`."""
        self.state.attempt_failed(stage_label, kind, will_retry)
        if will_retry:
            self._say(Text(f"again   {_named(kind, stage_label)}: {error_class}: {_one_line(error)}", style="yellow"))

    def cell_finished(
        self,
        cell_name: str,
        status: str,
        median_s: float | None,
        reason: str | None,
        *,
        group: str = "",
        from_earlier_run: bool = False,
        reading: Reading | None = None,
    ) -> None:
        """A cell is settled. `group`: its model and device, among which the best so far is shown, by `reading`."""
        if reading is None and status == "done" and median_s is not None:
            reading = Reading(median_s * 1e3, median_s * 1e3, median_s * 1e3, EXACT)
        self.state.cell_finished(cell_name, status, reading, group, from_earlier_run)
        if status == "done":
            if not from_earlier_run and self.state.total_cells <= _LINES_UP_TO_CELLS:
                told = "" if median_s is None else f"{as_ms(median_s * 1e3)} ms"
                is_unknown = median_s is not None and reading is not None and reading.bound is None
                unknown = ", outputs compared with nothing" if is_unknown else ""
                self._say(self._cell_line(cell_name, status, told + unknown))
            return
        why = _one_line(reason or "no reason recorded")
        self._reasons[why] += 1
        if self._reasons[why] <= _SAME_REASON_SHOWN:
            self._say(
                self._cell_line(cell_name, status, why if median_s is None else f"{as_ms(median_s * 1e3)} ms; {why}")
            )
        elif self._reasons[why] == _SAME_REASON_SHOWN + 1:
            self._say(Text("        further cells that end for this reason are counted only", style="dim"))

    def progress(self, info: Mapping[str, Any]) -> None:
        """A tuner speaks: {label, trials, trials_total, best_estimate_s, tasks, tasks_covered, failed, busy, ...}; or a
        measurement: {label, median_s, values}. What one comes to at first has a line, since its result may be minutes
        away, and so has each time of a whole network that is still tuned.
        """
        running = self.state.running.get(str(info.get("label")))
        if running is None or self.state.total_cells > _LINES_UP_TO_CELLS:
            self.state.progress(info, self.clock())
            return
        before, had_any = running.measured_after, bool(running.so_far)
        self.state.progress(info, self.clock())
        if running.measured_after != before:
            self._say(Text(f"early   {_named(running.kind, running.label)}  {running.so_far}"))
        elif running.so_far and not had_any:
            self._say(Text(f"first   {_named(running.kind, running.label)}  {running.so_far}"))

    def tick(self, now: float) -> None:
        """Time has passed."""

    def close(self, interrupted: bool = False) -> None:
        """Leave the terminal as it was found, with a last line. May be called twice."""

    def _cell_line(self, name: str, status: str, told: str) -> Text:
        line = Text(f"{status:<8}", style=_STYLES.get(status, ""))
        line.append(name, style="bold" if status == "done" else "")
        line.append(f"  {told}" if status == "done" else f": {told}", style="default")
        return line

    def tell(self, line: str) -> None:
        """A line of somebody else's, as text."""
        self._say(Text(line))

    def _say(self, line: Text) -> None:
        self.console.print(line, soft_wrap=True)

    def summary(self, now: float) -> str:
        """One line: cells, failures, running, trials per second, times."""
        state, told = self.state, self._counts()
        told += [f"{len(state.running)} running"] if state.running else []
        rate = state.trials_per_s(now)
        told += [f"{significant(rate, 2)} trials/s"] if rate else []
        told.append(f"{as_duration(now - state.started_t)} so far")
        left = state.time_left(now)
        if left is not None and left.seconds >= LEAST_TOLD_S and state.settled < state.total_cells:
            told.append(f"{'at least' if left.is_lower_bound else 'about'} {as_duration(left.seconds)} left")
        return ", ".join(told)

    def _counts(self) -> list[str]:
        state = self.state
        told = [f"{state.settled}/{state.total_cells} cells"]
        told += [
            f"{state.cells[status]} {status}" for status in ("tainted", "failed", "skipped") if state.cells[status]
        ]
        told += [f"{state.cells_earlier} from an earlier run"] if state.cells_earlier else []
        return told + ([plural(state.retries, "retry")] if state.retries else [])

    def _last_line(self, interrupted: bool) -> None:
        if self.state.total_cells == 0 and not interrupted:
            return  # nothing was begun: nothing was missing, or an error says why
        took = as_duration(self.clock() - self.state.started_t)
        ended = "interrupted, everything kept; the same command resumes" if interrupted else "ended"
        self._say(Text(f"{ended}: {', '.join(self._counts())}, {took}", style="yellow" if interrupted else "dim"))


class PlainProgress(ProgressView):
    """A line a finished stage and cell, and a summary now and then: for logs and pipes."""

    def __init__(self, console: Console, title: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console, title, clock)
        self._summary_t = self._pools_t = self.state.started_t
        self._is_closed = False

    def stage_done(self, stage_label: str, kind: str, seconds: float) -> None:
        """A stage ended well."""
        super().stage_done(stage_label, kind, seconds)
        if self.state.total_cells <= _LINES_UP_TO_CELLS:
            self._say(Text(f"stage   {_named(kind, stage_label)}  {as_duration(seconds)}"))

    def tick(self, now: float) -> None:
        """Time has passed."""
        if now - self._summary_t >= _SUMMARY_EVERY_S:
            self._summary_t = now
            self._say(Text(f"so far  {self.summary(now)}"))
        if now - self._pools_t >= _POOLS_EVERY_S:
            self._pools_t = now
            for pool in self.state.pools.values():
                told = [spent_words(pool, now), reached_words(pool)]
                told += [failure_words(pool.failed, pool.sum("trials")), busy_words(pool.busy)]
                self._say(Text(f"tuning  {', '.join(filter(None, told))}"))

    def close(self, interrupted: bool = False) -> None:
        """A last line."""
        if not self._is_closed:
            self._is_closed = True
            self._last_line(interrupted)


class LiveProgress(ProgressView):
    """A panel that is drawn anew at each tick, below the lines that stay."""

    def __init__(self, console: Console, title: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console, title, clock)
        self._live = Live(self._panel(clock()), console=console, auto_refresh=False, transient=True)
        self._live.start()

    def tick(self, now: float) -> None:
        """Time has passed."""
        self._live.update(self._panel(now), refresh=True)

    def close(self, interrupted: bool = False) -> None:
        """Take the panel away, give the cursor back, leave a last line."""
        if self._live.is_started:
            self._live.stop()
            self._last_line(interrupted)

    def _panel(self, now: float) -> RenderableType:
        return panel(self.state, f"{self.title}  {self.summary(now)}".strip(), self.console.width, now)


def _named(kind: str, label: str) -> str:
    return label if label.startswith(f"{kind} ") else f"{kind} {label}"


def _one_line(text: str, limit: int = 300) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."
