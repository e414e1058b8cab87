"""Which layers of quantised networks to keep in float32, and what came of the cells that do. Knows no files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.formatting import as_ms, plural
from sweep.analysis.outcome import CellOutcome
from sweep.analysis.reason_lines import LINES_SHOWN
from sweep.planning.results.layer_advice_results import AdvisedStep, LayerAdvice
from sweep.planning.results.quantising import QuantiseResult

__all__ = ["OwnAdvice", "advice_lines", "advice_of", "advice_rows", "advice_words", "advised_step"]

Row = Mapping[str, Any]
_ENOUGH = 0.5
"""Of the distance: the fewest layers that leave no more are advised, else those that leave least."""


class OwnAdvice:
    """The advice that cells were given, and whose it is: a cell that follows it has it too."""

    def __init__(self, outcomes: Iterable[CellOutcome]) -> None:
        self._by_folder: dict[str, list[CellOutcome]] = {}
        for outcome in outcomes:
            found = outcome.result(LayerAdvice)
            if found is None or outcome.result(QuantiseResult) is None:
                continue  # it shall follow the advice, and what it keeps is not known yet
            if found.dir is not None and found.steps:
                self._by_folder.setdefault(found.dir, []).append(outcome)

    def __iter__(self) -> Iterator[tuple[CellOutcome, LayerAdvice, list[CellOutcome]]]:
        """The cell that it is about, the advice, and the cells that follow it."""
        for outcomes in self._by_folder.values():
            about = next((outcome for outcome in outcomes if advice_of(outcome) is not None), None)
            if about is not None and (advice := advice_of(about)) is not None:
                yield about, advice, [outcome for outcome in outcomes if outcome is not about]


def _kept(outcome: CellOutcome) -> tuple[str, ...]:
    found = outcome.result(QuantiseResult)
    return () if found is None else tuple(found.kept_layers)


def _followed(outcome: CellOutcome, advice: LayerAdvice) -> frozenset[str]:
    """What a cell keeps by the advice: layers that the judged cell keeps anyway are not among those that are ranked."""
    return frozenset(advice.ranked) & frozenset(_kept(outcome))


def advice_of(outcome: CellOutcome) -> LayerAdvice | None:
    """The advice on a cell that keeps none of the layers that are ranked; None where there is none."""
    found = outcome.result(LayerAdvice)
    is_known = outcome.result(QuantiseResult) is not None
    return found if is_known and found is not None and found.steps and not _followed(outcome, found) else None


def advised_step(advice: LayerAdvice) -> AdvisedStep | None:
    """What is advised: the fewest of the first layers that leave half of the distance, else what leaves least; None
    where nothing brings the network's output nearer.
    """
    whole, *steps = advice.steps
    if not whole.cosine_distance or not steps:
        return None
    far = whole.cosine_distance
    known = [(step.cosine_distance, step) for step in steps if step.cosine_distance is not None]
    nearer = [(left, step) for left, step in known if left < far]
    enough = (step for left, step in nearer if left <= _ENOUGH * far)
    return next(enough, min(nearer, key=lambda entry: entry[0])[1] if nearer else None)


def advice_rows(outcomes: Sequence[CellOutcome], cells: Sequence[Row]) -> list[dict[str, Any]]:
    """A row for each advice: its cell, what it keeps anyway, and each step with the cell that follows, where measured.

    cells: rows of results.parquet.
    """
    rows = {row["cell_id"]: row for row in cells}
    found = []
    for about, advice, followers in OwnAdvice(outcomes):
        by_kept = {_followed(one, advice): rows[one.cell.id] for one in followers}
        own = rows[about.cell.id]
        advised = advised_step(advice)
        found.append(
            {
                **{name: own[name] for name in (*_IDENTITY, "model", "precision", "device", *_MEASURED)},
                "kept": list(_kept(about)),
                "advised": list(advised.kept) if advised else [],
                "steps": [_step(step, by_kept.get(frozenset(step.kept)), own) for step in advice.steps],
            }
        )
    return found


_IDENTITY = ("cell_id", "cell_name")
_MEASURED = ("latency_ms_median", "accuracy", "output_cosine_distance")


def _step(step: AdvisedStep, measured: Row | None, own: Row) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kept": list(step.kept),
        "cosine_distance": step.cosine_distance,
        "added_ms": None if step.added_s is None else step.added_s * 1e3,
    }
    if measured is not None and step.kept:
        told |= {f"measured_{name}": measured[name] for name in (*_IDENTITY, *_MEASURED)}
        told |= {
            "measured_added_ms": _less(measured, own, "latency_ms_median"),
            "measured_accuracy_gain": _less(measured, own, "accuracy"),
        }
    return told


def _less(one: Row, other: Row, name: str) -> float | None:
    return None if one[name] is None or other[name] is None else float(one[name] - other[name])


def advice_lines(rows: Sequence[Row], shown: int = LINES_SHOWN) -> list[str]:
    """A line for each advice, the first ones, and one on how many there are more."""
    lines = [advice_words(row) for row in rows[:shown]]
    more = len(rows) - len(lines)
    return lines + ([f"... and {plural(more, 'other cell')}; see the report"] if more else [])


def advice_words(row: Row) -> str:
    """`net int8 on D: keep conv1 in float32: 41 % of its distance is left, +0.012 ms by its kernels; ...`"""
    steps = {tuple(step["kept"]): step for step in row["steps"]}
    whole, step = steps[()], steps.get(tuple(row["advised"]))
    where = f"{row['cell_name']}"
    if step is None or not row["advised"]:
        return f"{where}: no few layers in float32 bring its output nearer."
    share = step["cosine_distance"] / whole["cosine_distance"]
    further = "further " if row["kept"] else ""
    told = f"{where}: keep {plural(len(row['advised']), f'{further}layer')} in float32, {', '.join(row['advised'])}: "
    told += f"{100 * share:.0f} % of its distance is left"
    told += f", {_signed(step['added_ms'])} ms by its kernels" if step["added_ms"] is not None else ""
    measured = [one for one in row["steps"] if one.get("measured_latency_ms_median") is not None]
    return "; ".join([told, *(_measured(one, further) for one in measured)]) + "."


def _measured(step: Row, further: str) -> str:
    told = f"{step['measured_cell_name']}, which keeps {plural(len(step['kept']), f'{further}layer')}, was measured"
    told += f" at {as_ms(step['measured_latency_ms_median'])} ms"
    if step["measured_added_ms"] is not None:
        told += f", {_signed(step['measured_added_ms'])} ms"
    if step["measured_accuracy_gain"] is not None:
        told += f" and accuracy {step['measured_accuracy_gain']:+.2%}"
    return told


def _signed(ms: float) -> str:
    return f"{'-' if ms < 0 else '+'}{as_ms(abs(ms))}"
