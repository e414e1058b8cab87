"""The panel that a terminal shows while a sweep runs: cells, the best so far, what runs, and a line or two a pool."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep.analysis.formatting import as_duration, as_ms, rounded_up
from sweep.report.live.pool_progress import PoolProgress, busy_words, failure_words, reached_words, spent_words
from sweep.report.live.progress import CellBest, Running, SweepProgress

__all__ = ["panel"]

_RUNNING_SHOWN = 8
_POOLS_SHOWN = 4
_BEST_SHOWN = 8


def panel(state: SweepProgress, heading: str, width: int, now: float) -> RenderableType:
    """The whole. `width`: columns of the terminal."""
    bar = ProgressBar(total=max(1, state.total_cells), completed=state.settled, width=min(60, width))
    parts: list[RenderableType] = ["", Text(heading), Padding(bar, 0)]
    if state.best:
        shown = list(state.best.items())[:_BEST_SHOWN]
        parts.append(_grid("best so far", [_best_row(group, best) for group, best in shown]))
        parts += _more(len(state.best) - _BEST_SHOWN)
    if state.pools:
        parts.append(Text("tuning", style="dim"))
        for pool in list(state.pools.values())[:_POOLS_SHOWN]:
            parts += _pool_lines(pool, now)
        parts += _more(len(state.pools) - _POOLS_SHOWN)
    others = [attempt for attempt in state.running.values() if not attempt.pool]
    if others:
        parts.append(_grid("running", [_running_row(attempt, now) for attempt in others[:_RUNNING_SHOWN]]))
        parts += _more(len(others) - _RUNNING_SHOWN)
    return Group(*parts)


def _pool_lines(pool: PoolProgress, now: float) -> list[RenderableType]:
    """What it has spent, and below what that has reached and how busy its parts are: too much for one line."""
    below = [reached_words(pool), failure_words(pool.failed, pool.sum("trials")), busy_words(pool.busy)]
    lines = [f"{as_duration(now - pool.started_t)}  {spent_words(pool, now)}", "  ".join(filter(None, below))]
    return [
        Padding(Text(line, no_wrap=True, overflow="ellipsis"), (0, 0, 0, indent))
        for line, indent in zip(lines, (0, 2), strict=True)
        if line
    ]


def _grid(title: str, rows: list[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="dim", box=None, show_header=False, pad_edge=False)
    for index in range(len(rows[0])):
        table.add_column(no_wrap=True, overflow="ellipsis", justify="right" if index == 1 else "left")
    for row in rows:
        table.add_row(*(Text(text) for text in row))
    return table


def _best_row(group: str, best: CellBest) -> tuple[str, ...]:
    ms = f"≤ {as_ms(rounded_up(best.median_s * 1e3))}" if best.is_upper else as_ms(best.median_s * 1e3)
    return group, f"{ms} ms", best.cell_name


def _running_row(attempt: Running, now: float) -> tuple[str, ...]:
    label = attempt.label.removeprefix(f"{attempt.kind} ")
    told = f"{label}  {attempt.so_far}" if attempt.so_far else label
    return attempt.kind, as_duration(now - attempt.started_t), told


def _more(count: int) -> list[RenderableType]:
    return [Text(f"... and {count} more", style="dim")] if count > 0 else []
