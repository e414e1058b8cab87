"""Networks that were trained in a sweep: how far they came, and their curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.training_result import TrainResult

__all__ = ["training_curves", "training_of", "trainings"]


def training_of(outcome: CellOutcome) -> TrainResult | None:
    """The last training of a cell's network; None where it has none, or not yet."""
    return outcome.result(TrainResult)


def trainings(cells: Iterable[CellOutcome]) -> list[dict[str, Any]]:
    """One for each network that was trained itself: what it is made of, its level and its curve."""
    found: dict[str, dict[str, Any]] = {}
    for outcome in cells:
        imported, trained = outcome.result(ImportResult), training_of(outcome)
        variant = (imported.variant or {}) if imported is not None else {}
        if trained is None or variant.get("step") != "train" or outcome.cell.model in found:
            continue
        names = ("steps", "samples", "test_samples", "accuracy", "loss", "sparsity")
        found[outcome.cell.model] = {
            "model": outcome.cell.model,
            "of": variant.get("of"),
            "level": variant.get("level"),
            **{name: getattr(trained, name) for name in names},
            "layers": dict(trained.layers),
            "curve": [list(point) for point in trained.curve],
        }
    return list(found.values())


def training_curves(trained: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each point of the curves of `trainings`; `loss` is the mean since the point before."""
    return [
        {"model": each["model"], "of": each["of"], "level": each["level"], "step": int(step), "loss": loss,
         "accuracy": accuracy, "sparsity": sparsity}
        for each in trained
        for step, loss, accuracy, sparsity in each["curve"]
    ]  # fmt: skip
