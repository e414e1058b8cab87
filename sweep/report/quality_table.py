"""The report's table of quality: accuracy with its interval beside latency, a row a cell that was evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.report.figures.figure import known_text
from sweep.report.tuning_section import Table

__all__ = ["per_class", "quality_table"]

Row = Mapping[str, Any]
_TITLES = (
    ("cell", ""),
    ("ms", "median latency of a call"),
    ("accuracy", "share of the samples that it puts in their class, with its 95 % interval (Wilson)"),
    ("drop", "points of accuracy that the float32 network has more"),
    ("agrees", "share of the samples that get the class which the float32 network gives them"),
    ("McNemar p", "how probable so uneven a split of the samples that only one gets right is of equal networks"),
    ("top-5", "share of the samples whose class is among the first five"),
    ("precision", "mean over the classes"),
    ("recall", "mean over the classes"),
    ("G-mean", "geometric mean of the recalls"),
    ("samples", "that it was evaluated on"),
    ("on", "board that it was evaluated on, or this host"),
)
_SHOWN = 200


def quality_table(rows: Sequence[Row]) -> Table:
    """Columns of which nothing is known are left out; empty where no cell was evaluated."""
    evaluated = [row for row in rows if row.get("accuracy") is not None]
    lines = [_line(row) for row in evaluated[:_SHOWN]]
    kept = [index for index in range(len(_TITLES)) if any(line[index] for line in lines)]
    return Table([_TITLES[index] for index in kept], [[line[index] or "-" for index in kept] for line in lines])


def _line(row: Row) -> list[str]:
    low, high = row.get("accuracy_ci_low"), row.get("accuracy_ci_high")
    ends = "" if low is None or high is None else f" [{low:.2%}, {high:.2%}]"
    drop, p = row.get("accuracy_drop"), row.get("mcnemar_p")
    return [
        row["cell_name"],
        "" if row.get("latency_ms_median") is None else known_text(row),
        f"{row['accuracy']:.2%}{ends}",
        "" if drop is None else f"{drop * 100:+.2f}",
        _percent(row.get("agreement")),
        "" if p is None else f"{p:.2g}",
        *(_percent(row.get(name)) for name in ("top5", "mean_precision", "mean_recall", "g_mean")),
        str(row.get("evaluated_samples") or ""),
        row.get("evaluated_on") or "",
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def per_class(confusion: Mapping[str, Any]) -> Table:
    """A row for each class of a confusion matrix: how many there are, precision and recall."""
    counts = {(truth, predicted): count for truth, predicted, count in confusion["counts"]}
    classes, names = range(int(confusion["classes"])), confusion["names"]
    rows = []
    for one in classes:
        hits = counts.get((one, one), 0)
        row, column = (sum(n for key, n in counts.items() if key[side] == one) for side in (0, 1))
        name = str(names[one]) if one < len(names) else str(one)
        ratios = [f"{hits / total:.2%}" if total else "-" for total in (column, row)]
        rows.append([name, str(row), str(column), *ratios])
    titles = (("class", ""), ("samples", "of it"), ("predicted", "as it"), ("precision", ""), ("recall", ""))
    return Table(titles, rows)
