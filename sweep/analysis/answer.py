"""What the rows of a sweep answer: the best cell for each model on each device, and a sentence that says it.

Says what was measured and no more: a best cell whose interval meets another's is not called alone at the top.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.formatting import as_ms, as_times, plural
from sweep.analysis.results import NO_TUNER, REFERENCE, Results
from sweep.study.axes import axes_under, compared_within, unusual, value_in

__all__ = ["Best", "answer", "best_cells", "configuration", "describe_best", "untuned_note", "work"]

Row = Mapping[str, Any]
_SPELLED_OUT = 3
"""Up to so many model-device pairs the answer names each; beyond, it gives the range."""


@dataclass(frozen=True, slots=True)
class Best:
    """The fastest cell of a model on a device at one batch; reference runtimes do not compete."""

    model: str
    batch: int
    device: str
    row: Row
    ties: int
    """Other cells whose interval of the median meets this one's: they cannot be told apart from it."""
    ties_reference: bool
    """Whether the reference runtime's interval meets this one's."""


def best_cells(rows: Iterable[Row]) -> list[Best]:
    """One for each (model, batch, device) with a latency that nothing disturbed, in the order of the rows.

    Where there are further axes that say what is to be done, one for each of their values.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    references: dict[tuple[Any, ...], Row] = {}
    for row in _measured(rows):
        place = tuple(value_in(row, axis) for axis in compared_within())
        if row["runtime"] == REFERENCE:
            references[place] = row
        else:
            groups.setdefault(place, []).append(row)
    found = []
    for place, group in groups.items():
        best = min(group, key=lambda row: float(row["latency_ms_median"]))
        ties = sum(1 for row in group if row is not best and _low(row) <= _high(best))
        reference = references.get(place)
        ties_reference = reference is not None and _low(reference) <= _high(best) and _low(best) <= _high(reference)
        found.append(Best(best["model"], best["batch"], best["device"], best, ties, ties_reference))
    return found


def configuration(row: Row) -> str:
    """What was chosen in a cell, in words: `xgb at O3 on native`; the axes that hardly vary only where unusual."""
    if row["runtime"] != "tvm":
        return "ONNX Runtime" if row["runtime"] == REFERENCE else str(row["runtime"])
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
    told = [
        f"{best.model}{at} on {best.device}: {configuration(row)} is fastest at {as_ms(row['latency_ms_median'])} ms"
    ]
    if row["tuner"] != NO_TUNER and row["speedup_vs_untuned"] is not None:
        told.append(_against(1 / row["speedup_vs_untuned"], "untuned"))
    if best.ties_reference:
        told.append("not to be told apart from ONNX Runtime")
    elif row["ratio_to_onnxruntime"] is not None:
        told.append(_against(row["ratio_to_onnxruntime"], "ONNX Runtime"))
    if note := untuned_note(row):
        told.append(note)
    if best.ties:
        told.append(f"{plural(best.ties, 'other cell')} cannot be told apart from it")
    return ", ".join(told)


def answer(results: Results) -> str:
    """The study's question answered from the data alone: a sentence, or one a model and device where these are few."""
    best = best_cells(results.cells)
    if not best:
        return _nothing_measured(results.cells)
    prefix = _so_far(results.cells)
    if len(best) <= _SPELLED_OUT:
        return prefix + "\n".join(f"{describe_best(one)}." for one in best)
    was_tuned = any(row["tuner"] != NO_TUNER and row["runtime"] != REFERENCE for row in _measured(results.cells))
    return prefix + _over_all(best, was_tuned)


def _measured(rows: Iterable[Row]) -> Iterator[Row]:
    """Those with a latency that nothing disturbed."""
    return (row for row in rows if row["status"] == "done" and row["latency_ms_median"] is not None)


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
    compared = [one for one in best if one.row["ratio_to_onnxruntime"] is not None]
    if compared:
        ratios = [one.row["ratio_to_onnxruntime"] for one in compared]
        ties = sum(one.ties_reference for one in compared)
        slower = sum(one.row["ratio_to_onnxruntime"] > 1 and not one.ties_reference for one in compared)
        told += f"{joined} take {_span(ratios)} the time of ONNX Runtime (slower than it in {slower} of {len(compared)}"
        told += f", not to be told apart in {ties})" if ties else ")"
    return told + "."


def _span(values: Sequence[float]) -> str:
    low, high = as_times(min(values)), as_times(max(values))
    return low if low == high else f"{low} to {high}"


def _against(ratio: float, other: str) -> str:
    """`ratio`: this latency over the other's."""
    if as_times(ratio) == "1.00x":
        return f"as fast as {other}"
    if ratio < 1:
        return f"{as_times(1 / ratio)} faster than {other}"
    return f"still {as_times(ratio)} slower than {other}"


def _low(row: Row) -> float:
    low = row["latency_ms_ci_low"]
    return float(row["latency_ms_min"] if low is None else low)


def _high(row: Row) -> float:
    high = row["latency_ms_ci_high"]
    return float(row["latency_ms_max"] if high is None else high)
