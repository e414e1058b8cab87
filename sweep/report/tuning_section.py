"""The report's section on tuning: sentences, a table of pools, failures by class.

Plain text in plain tables; the terminal, Markdown and the page lay them out. Knows no medium.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.formatting import as_duration, as_percent, plural, significant
from sweep.analysis.rows.tuning_rows import FEW_TRIALS, NEAR
from sweep.report.live.pool_progress import PARTS

__all__ = ["Table", "failure_table", "pool_name", "pool_table", "sentences", "share_words"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """Titles, each with what it means, and rows of text; the first column names, the others count."""

    titles: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[str]]


def pool_name(pool: Row) -> str:
    """`xgb on local-1 for native`."""
    return f"{pool['tuner']} on {pool['device']} for {pool['target']}"


def sentences(pools: Sequence[Row]) -> list[str]:
    """What pooling and warm starts have spared, where there is something to say."""
    return [sentence for sentence in (_spared(pools), _warm_start(pools)) if sentence]


def pool_table(pools: Sequence[Row]) -> Table:
    """A row a pool: what it spent, what for, and how busy its parts were."""
    titles = (
        ("pool", "tuner, device and target: these tune together"),
        ("models", "lowered modules tuned"),
        ("tasks", "different tensor programs among them"),
        ("trials", "candidates built and measured; in brackets with those of earlier runs"),
        ("trials of a loop", "trials that a loop over models would have spent"),
        ("failed", "share of the trials that failed"),
        ("wall time", "that the pool took, at least"),
        ("wall time a trial", "wall time over trials"),
        ("search", "time of proposing candidates"),
        ("build", "time of building them, all builders together"),
        ("measure", "time of measuring them, and the best of each task again"),
        (f"busy: {' / '.join(PARTS)}", "share of the pool's life that each of these worked"),
        ("winner's curse", "median over tasks of the share by which the winner's first time was too low"),
        (
            f"trials until within {as_percent(NEAR)}",
            f"until the estimate was within {as_percent(NEAR)} of its last value: median over the models",
        ),
        (
            f"time in tasks of under {FEW_TRIALS} trials",
            "share of a model's tuned time, of the model with the most: more trials should save some of it",
        ),
        ("warm trials", "trials of schedules that another sweep had found"),
    )
    rows = [_pool_cells(pool) for pool in pools]
    if not any(pool["warm_started"] for pool in pools):
        return Table(titles[:-1], [row[:-1] for row in rows])
    return Table(titles, rows)


def failure_table(pools: Sequence[Row]) -> Table | None:
    """Failed trials by tuner and class; None where none failed."""
    trials: Counter[str] = Counter()
    failed: dict[str, Counter[str]] = {}
    for pool in pools:
        trials[pool["tuner"]] += pool["trials"]
        failed.setdefault(pool["tuner"], Counter()).update(pool["failed"])
    classes = [name for name, _ in sum(failed.values(), Counter()).most_common()]
    if not classes:
        return None
    rows = [
        [
            tuner,
            f"{trials[tuner]:,}",
            _rate(counts.total(), trials[tuner]),
            *(f"{counts[name]:,}" for name in classes),
        ]
        for tuner, counts in failed.items()
    ]
    return Table((("tuner", ""), ("trials", ""), ("failed", ""), *((name, "") for name in classes)), rows)


def share_words(value: float | None) -> str:
    """`3.2 %`; `-` for none."""
    return "-" if value is None else f"{value * 100:.1f} %"


def _spared(pools: Sequence[Row]) -> str:
    known = [pool for pool in pools if pool["naive_trials"] is not None]
    naive, spent = sum(pool["naive_trials"] for pool in known), sum(pool["trials_in_all"] for pool in known)
    if not naive or spent == naive:
        return ""
    told = f"Tuning spent {plural(spent, 'trial')} where a loop over models would have spent {naive:,}"
    seconds = sum(
        (pool["naive_trials"] - pool["trials_in_all"]) * pool["seconds_per_trial"]
        for pool in known
        if pool["seconds_per_trial"]
    )
    if spent >= naive or seconds <= 0:
        return f"{told}."
    return f"{told}: at this sweep's own seconds a trial, {as_duration(seconds)} saved."


def _warm_start(pools: Sequence[Row]) -> str:
    warm = sum(pool["warm_started"] for pool in pools)
    if not warm:
        return ""
    told = f"{plural(warm, 'trial')} of {sum(pool['trials'] for pool in pools):,} came from a warm start"
    known, here, elsewhere = (
        sum(pool[name] for pool in pools) for name in ("known_tasks", "near_here", "near_elsewhere")
    )
    if known:
        told += f": {plural(known, 'task')} that it knew came within {NEAR:.0%} of their best after"
        told += f" {plural(here, 'trial')} in all, and after {elsewhere:,} in the sweeps it comes from"
    return f"{told}."


def _typical(values: Sequence[int]) -> str:
    return f"{round(statistics.median(values)):,}"


def _pool_cells(pool: Row) -> list[str]:
    return [
        pool_name(pool),
        str(pool["members"]),
        str(pool["tasks"]),
        f"{pool['trials']:,}" + (f" ({pool['trials_in_all']:,})" if pool["trials_in_all"] > pool["trials"] else ""),
        "-" if pool["naive_trials"] is None else f"{pool['naive_trials']:,}",
        _rate(sum(pool["failed"].values()), pool["trials"]),
        _seconds(pool["wall_s"]),
        "-" if pool["seconds_per_trial"] is None else f"{significant(pool['seconds_per_trial'], 2)} s",
        *(_seconds(pool[f"{part}_s"]) for part in ("search", "build")),
        " + ".join(_seconds(pool[f"{part}_s"]) for part in ("measure", "validate") if pool[f"{part}_s"]) or "-",
        _busy(pool["busy"]),
        share_words(pool["gap_median"]),
        _typical(pool["near_best"]) if pool["near_best"] else "-",
        share_words(pool["few_trials_share"]),
        str(pool["warm_started"]),
    ]


def _busy(shares: Mapping[str, float]) -> str:
    return " / ".join(f"{shares.get(part, 0.0) * 100:.0f}" for part in PARTS) + " %" if shares else "-"


def _rate(failed: int, trials: int) -> str:
    return as_percent(failed / max(1, failed, trials))


def _seconds(value: float) -> str:
    return as_duration(value) if value else "-"
