"""Answers a study's question from the rows of its sweep: the best cell for each model and device, in sentences.

A sentence says what was measured and no more: a best cell whose interval meets another's is not called the best alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.formatting import as_ms, as_times, plural
from sweep.analysis.results import NO_TUNER, Results
from sweep.analysis.runtime_rows import (
    GroupKey,
    RuntimeRatio,
    fastest_of_each,
    group_key,
    has_compiled,
    high,
    is_compiled_row,
    low,
    measured,
    runtime_title,
)
from sweep.study.axes import axes_under, unusual, value_in

__all__ = ["Best", "answer", "best_cells", "configuration", "describe_best", "untuned_note", "work"]

Row = Mapping[str, Any]
_SPELLED_OUT = 3
"""Up to so many model-device pairs the answer names each; beyond, it gives the range."""


@dataclass(frozen=True, slots=True)
class Best:
    """The fastest cell of a model on a device at one batch.

    Compiled cells compete with each other, and other runtimes are what the winner is held against. In a sweep that
    compiles nothing the runtimes themselves compete.
    """

    model: str
    batch: int
    device: str
    row: Row
    ties: int
    """Other cells of its runtime whose interval of the median meets this one's: they cannot be told apart from it."""
    rivals: tuple[RuntimeRatio, ...]
    """Against each other runtime that was measured there, the baseline first."""

    @property
    def against_baseline(self) -> RuntimeRatio | None:
        """None where the baseline was not measured, or is its own runtime."""
        return next((rival for rival in self.rivals if rival.is_to_baseline), None)

    @property
    def worth_naming(self) -> list[RuntimeRatio]:
        """The baseline, and each other runtime that is faster or cannot be told apart from it."""
        return [rival for rival in self.rivals if rival.is_to_baseline or rival.is_behind or rival.is_tied]


def best_cells(rows: Sequence[Row]) -> list[Best]:
    """One for each (model, batch, device) with a latency that nothing disturbed, in the order of the rows.

    Where there are further axes that say what is to be done, one for each of their values.
    """
    compete = is_compiled_row if has_compiled(rows) else lambda _: True
    groups: dict[GroupKey, list[Row]] = {}
    for row in measured(rows):
        if compete(row):
            groups.setdefault(group_key(row), []).append(row)
    fastest = fastest_of_each(rows)
    return [_best(group, fastest[key]) for key, group in groups.items()]


def _best(group: Sequence[Row], fastest: Mapping[str, Row]) -> Best:
    """`group`: what competes at a place. `fastest`: of each runtime there."""
    best = min(group, key=lambda row: float(row["latency_ms_median"]))
    of_runtime = [row for row in group if row is not best and row["runtime"] == best["runtime"]]
    rivals = [RuntimeRatio(best, row) for runtime, row in fastest.items() if runtime != best["runtime"]]
    return Best(
        model=best["model"],
        batch=best["batch"],
        device=best["device"],
        row=best,
        ties=sum(1 for row in of_runtime if low(row) <= high(best)),
        rivals=tuple(sorted(rivals, key=lambda rival: not rival.is_to_baseline)),
    )


def configuration(row: Row) -> str:
    """What was chosen in a cell, in words: `xgb at O3 on native`; the axes that hardly vary only where unusual."""
    if not is_compiled_row(row):
        return runtime_title(row)
    tuner = "untuned" if row["tuner"] == NO_TUNER else row["tuner"]
    extra = unusual(row, (axis for axis in axes_under() if not axis.compared_within))
    return " ".join([f"{tuner} at O{row['opt_level']} on {row['target']}", *extra])


def work(row: Row) -> list[str]:
    """What is to be done in a cell beside running its model once, in words: `batch 8`; empty for the usual."""
    asked = ((axis, value_in(row, axis.name)) for axis in axes_under() if axis.compared_within)
    return [f"{axis.name} {value}" for axis, value in asked if value != axis.default]


def untuned_note(row: Row) -> str:
    """`3 of 30 tasks untuned`, of a cell that was tuned: tasks without a valid trial keep their untuned schedule."""
    untuned = row["untuned_tasks"] if row.get("records_dir") else None
    return f"{untuned} of {plural(untuned + (row['tuned_tasks'] or 0), 'task')} untuned" if untuned else ""


def describe_best(best: Best) -> str:
    """One sentence on one model and device."""
    row = best.row
    at = f" at {', '.join(work(row))}" if work(row) else ""
    facts = [
        f"{best.model}{at} on {best.device}: {configuration(row)} is fastest at {as_ms(row['latency_ms_median'])} ms"
    ]
    if row["tuner"] != NO_TUNER and row["speedup_vs_untuned"] is not None:
        facts.append(_against(1 / row["speedup_vs_untuned"], "untuned"))
    for rival in best.worth_naming:
        tied = f"not to be told apart from {rival.against_title}"
        facts.append(tied if rival.is_tied else _against(rival.ratio, rival.against_title))
    if note := untuned_note(row):
        facts.append(note)
    if best.ties:
        facts.append(f"{plural(best.ties, 'other cell')} cannot be told apart from it")
    return ", ".join(facts)


def answer(results: Results) -> str:
    """The study's question answered from the data alone: a sentence, or one a model and device where these are few."""
    best = best_cells(results.cells)
    if not best:
        return _nothing_measured(results.cells)
    prefix = _so_far(results.cells)
    if len(best) <= _SPELLED_OUT:
        return prefix + "\n".join(f"{describe_best(one)}." for one in best)
    was_tuned = any(row["tuner"] != NO_TUNER and is_compiled_row(row) for row in measured(results.cells))
    return prefix + _over_all(best, was_tuned)


def _so_far(rows: Sequence[Row]) -> str:
    """What an answer is without, where cells may still come."""
    counts = Counter(row["status"] for row in rows)
    to_come = {status: counts[status] for status in ("pending", "skipped") if counts[status]}
    return f"So far ({_counted(to_come)}): " if to_come else ""


def _nothing_measured(rows: Sequence[Row]) -> str:
    """With the commonest error, where cells failed."""
    if not rows:
        return "There is no cell: the grid is empty."
    counts = Counter(row["status"] for row in rows)
    causes = Counter((row["error_class"], row["failed_stage"]) for row in rows if row["status"] == "failed")
    if not causes:
        return f"No latency yet: {_counted(counts)}."
    (error_class, stage), _ = causes.most_common(1)[0]
    return f"No latency: {_counted(counts)}, mostly by {error_class} in {stage}."


def _counted(counts: Mapping[str, int]) -> str:
    """`3 cells pending, 1 skipped`; of at least one status."""
    (status, count), *others = counts.items()
    return ", ".join([f"{plural(count, 'cell')} {status}", *(f"{many} {other}" for other, many in others)])


def _over_all(best: Sequence[Best], was_tuned: bool) -> str:
    """`was_tuned`: whether any measured cell was."""
    models, devices = {one.model for one in best}, {one.device for one in best}
    choices = Counter(configuration(one.row) for one in best)
    choice, times = choices.most_common(1)[0]
    where = f"{plural(len(models), 'model')} on {plural(len(devices), 'device')}"
    told = f"Over {where}, {choice} is fastest in {times} of {len(best)}"
    tuned = [one.row for one in best if one.row["tuner"] != NO_TUNER]
    speedups = [row["speedup_vs_untuned"] for row in tuned if row["speedup_vs_untuned"] is not None]
    if speedups:
        told += f"; the best tuned cells run {_span(speedups)} as fast as untuned"
    elif was_tuned and not tuned:
        told += "; no tuner beats untuned"
    joined = " and" if speedups else "; the best cells"
    for index, against in enumerate(_by_rival(best)):
        told += _over_rival(against, joined if index == 0 else "; they")
    return told + "."


def _by_rival(best: Sequence[Best]) -> list[list[RuntimeRatio]]:
    """How the best cells stand to each other runtime: the baseline first, others where any of them is no slower."""
    runtimes: dict[str, list[RuntimeRatio]] = {}
    for rival in (rival for one in best for rival in one.rivals):
        runtimes.setdefault(rival.against["runtime"], []).append(rival)
    of_baseline = [against for against in runtimes.values() if against[0].is_to_baseline]
    others = [against for against in runtimes.values() if not against[0].is_to_baseline]
    return of_baseline + [against for against in others if any(one.is_behind or one.is_tied for one in against)]


def _over_rival(against: Sequence[RuntimeRatio], who: str) -> str:
    slower, ties = sum(one.is_behind for one in against), sum(one.is_tied for one in against)
    times = f"{who} take {_span([one.ratio for one in against])} the time of {against[0].against_title}"
    told_apart = f", not to be told apart in {ties}" if ties else ""
    return f"{times} (slower than it in {slower} of {len(against)}{told_apart})"


def _span(values: Sequence[float]) -> str:
    least, most = as_times(min(values)), as_times(max(values))
    return least if least == most else f"{least} to {most}"


def _against(ratio: float, other: str) -> str:
    """`ratio`: this latency over the other's."""
    if as_times(ratio) == "1.00x":
        return f"as fast as {other}"
    if ratio < 1:
        return f"{as_times(1 / ratio)} faster than {other}"
    return f"still {as_times(ratio)} slower than {other}"
