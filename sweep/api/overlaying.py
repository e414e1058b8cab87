"""Which configuration of each layer is best for several devices, from the tuning records in a folder."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.overlay import LayerTimes, layers_of, write_details, write_overlay
from sweep.analysis.overlay.metric import Criterion
from sweep.analysis.overlay.outcome import Overlay, overlay_of
from sweep.analysis.saved import TABLES, read_table
from sweep.api.deriving import refresh
from sweep.errors import RecordError, StudyError
from sweep.study.suggest import hint, listed

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["overlay", "write"]

_FILES = ("overlay.csv", "details.csv", "index.html")


def overlay(
    folder: Path | str,
    *,
    keys: Sequence[str] | None = None,
    model: str | None = None,
    layer: str | None = None,
    best: int | None = None,
    weights: Mapping[str, float] | None = None,
    minimax: bool = False,
) -> Overlay:
    """Overlay the records of a sweep, or of imported logs.

    keys: devices, in the order in which they are shown; by default all that have records. model: whose layers, where
    the folder has several. layer: one layer alone, by its name or its number from 1. best: candidates are the union of
    so many of each device's fastest. weights: of devices, by default equal. minimax: choose by the largest regret.

    Raises:
        StudyError: what is asked for is not there.
        RecordError: the folder has no tuning records, or they cannot be told apart.
    """
    place = Path(folder)
    refresh(place)
    if not (place / TABLES["records"]).is_file():
        allowed = "a folder that `sweep run` or `sweep import` made"
        raise StudyError("has no tuning records", key="DIR", value=str(folder), allowed=allowed)
    records = read_table(place, "records")
    there = sorted({str(key) for key in records["device"].unique().to_pylist() if key is not None})
    for key in keys if keys is not None else ():
        _check(key, there, "--keys")
    for key in weights or ():
        _check(key, keys if keys is not None else there, "--weights")
    chosen = list(keys if keys is not None else there)
    layers = layers_of(records, keys=chosen, tasks=_tasks_of(place, model))
    if layer is not None:
        layers = [_layer(layers, layer)]
    if not layers:
        raise StudyError("has no tuning records", key="DIR", value=str(folder), allowed="a folder with tuned layers")
    every = None if weights is None else {key: float(weights.get(key, 1.0)) for key in chosen}
    criterion = Criterion.WORST if minimax else Criterion.SUM
    return overlay_of(layers, best=best, weights=every, criterion=criterion)


def write(found: Overlay, folder: Path, title: str) -> list[Path]:
    """Write overlay.csv (a row a layer), details.csv (a row a layer and device) and index.html with the pictures.

    Raises:
        RecordError: the folder cannot be written.
    """
    from sweep.report.figures.overlay import layer_figures, overlay_page, overview

    paths = [folder / name for name in _FILES]
    figures = [*overview(found.layers), *(figure for layer in found.layers for figure in layer_figures(layer))]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, put in zip(paths, (write_overlay, write_details), strict=False):
            with path.open("w", encoding="utf-8", newline="") as stream:
                put(found.layers, stream)
        paths[-1].write_text(overlay_page(figures, title), encoding="utf-8")
    except (OSError, csv.Error) as error:
        raise RecordError(f"{folder}: cannot be written: {error}") from error
    return paths


def _tasks_of(folder: Path, model: str | None) -> pa.Table | None:
    """Rows of tuning_tasks.parquet of one model; None where the folder has no such table, as after an import."""
    import pyarrow.compute as pc

    if not (folder / TABLES["tasks"]).is_file():
        if model is not None:
            raise StudyError("names no model here", key="--model", value=model, allowed="a sweep's folder, not logs")
        return None
    tasks = read_table(folder, "tasks")
    models = sorted({str(name) for name in tasks["model"].unique().to_pylist()})
    if model is not None:
        _check(model, models, "--model")
    elif len(models) > 1:
        raise StudyError("is needed: the sweep has several models", key="--model", allowed=listed(models))
    return tasks if model is None else tasks.filter(pc.field("model") == model)


def _layer(layers: Sequence[LayerTimes], wanted: str) -> LayerTimes:
    names = [layer.layer for layer in layers]
    if wanted in names:
        return layers[names.index(wanted)]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(layers):
        return layers[int(wanted) - 1]
    allowed = f"1 to {len(layers)}, or {listed(names)}"
    raise StudyError(f"is no layer here{hint(wanted, names)}", key="--layer", value=wanted, allowed=allowed)


def _check(name: str, there: Iterable[str], key: str) -> None:
    known = list(there)
    if name not in known:
        raise StudyError(f"is not there{hint(name, known)}", key=key, value=name, allowed=listed(known))
