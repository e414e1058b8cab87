"""Which configuration of each layer is best for several devices, from the tuning records in a folder."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sweep.analysis.overlay import LayerTimes, layers_of, write_details, write_overlay
from sweep.analysis.overlay.metric import Criterion
from sweep.analysis.overlay.network import write_networks
from sweep.analysis.overlay.overlay import Overlay, overlay_of
from sweep.api.overlay.chosen_cells import Asked, Choice, check_name, choose
from sweep.api.session.table_cache import readable_table, refresh
from sweep.errors import RecordError, StudyError
from sweep.files.atomic import replacing, write_text
from sweep.files.sweep_dir import SweepDir
from sweep.suggestions import hint, listed

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Known", "Question", "look", "write"]

MERGED = "merged"
"""Folder of the native log with the choices, among an overlay's files."""

_NETWORKS = "model.csv"


@dataclass(frozen=True, slots=True)
class Question:
    """The question that an overlay answers: which devices, layers and weights, and the criterion of the choice."""

    asked: Asked = field(default_factory=Asked)
    layer: str | None = None
    """One layer alone, by its name or its number from 1."""
    best: int | None = None
    """Candidates are the union of so many of each device's fastest; None: all."""
    weights: Mapping[str, float] | None = None
    """Of devices; None: equal."""
    criterion: Criterion = Criterion.SUM


@dataclass(frozen=True, slots=True)
class Known:
    """The overlay that a folder's records give, with the selection and the records it was computed from."""

    overlay: Overlay
    choice: Choice
    records: pa.Table
    """Those that were meant."""


def look(folder: Path, question: Question, among: frozenset[str] | None = None) -> Known:
    """What the records say by now. among: workloads that count; None: all.

    Raises:
        StudyError: what is asked for is not there.
        RecordError: the folder has no tuning records, or they cannot be told apart.
    """
    refresh(folder)
    if not SweepDir(folder).table("records").is_file():
        allowed = "a folder that `sweep run` or `sweep import-logs` made"
        raise StudyError("has no tuning records", key="DIR", value=str(folder), allowed=allowed)
    records = readable_table(folder, "records")
    choice = choose(folder, records, question.asked)
    for key in question.weights or ():
        check_name(key, choice.devices, "--weights")
    records = choice.of(records)
    layers = layers_of(records, keys=choice.devices, tasks=choice.tasks)
    layers = [one for one in layers if among is None or one.workload in among]
    if question.layer is not None:
        layers = [_layer(layers, question.layer)]
    if not layers:
        raise StudyError("has no tuning records", key="DIR", value=str(folder), allowed="a folder with tuned layers")
    weights = question.weights
    every = None if weights is None else {key: float(weights.get(key, 1.0)) for key in choice.devices}
    found = overlay_of(layers, best=question.best, weights=every, criterion=question.criterion)
    return Known(found, choice, records)


def write(found: Overlay, folder: Path, title: str, source: Path | None = None) -> list[Path]:
    """Write overlay.csv (a row a layer), details.csv (a row a layer and device) and index.html with the pictures;
    model.csv (a row a device) where the network was measured; and the merged native log, of the schedules that
    `source`, the folder with the records, has. Returns the paths.

    Raises:
        RecordError: the folder cannot be written.
    """
    from sweep.report.figures.overlay import layer_figures, network_figures, overlay_page, overview

    tables: dict[str, Callable[[TextIO], None]] = {
        "overlay.csv": partial(write_overlay, found.layers),
        "details.csv": partial(write_details, found.layers),
    }
    if found.networks:
        tables[_NETWORKS] = partial(write_networks, found.networks)
    figures = [*overview(found.layers), *network_figures(found.networks)]
    figures += [figure for layer in found.layers for figure in layer_figures(layer)]
    page = folder / "index.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, put in tables.items():
            with replacing(folder / name) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
                put(stream)
        write_text(page, overlay_page(figures, title))
        logs = [] if source is None else _write_merged(found, folder / MERGED, source)
    except (OSError, csv.Error) as error:
        raise RecordError(f"{folder}: cannot be written: {error}") from error
    return [*(folder / name for name in tables), page, *logs]


def _write_merged(found: Overlay, folder: Path, source: Path) -> list[Path]:
    """The native log; nothing where the records have no schedules, as those of imported logs."""
    from sweep.api.overlay.schedules import Schedules
    from sweep.toolchain.native_log import RECORDS, WORKLOADS, write_log

    chosen = Schedules(source, readable_table(source, "records")).chosen(found.layers)
    if not chosen:
        return []
    path = folder / RECORDS
    before = path.read_bytes() if path.is_file() else b""
    write_log(chosen, folder)
    if not found.networks and path.read_bytes() != before:
        (folder.parent / _NETWORKS).unlink(missing_ok=True)  # it is of another log
    return [folder / WORKLOADS, path]


def _layer(layers: Sequence[LayerTimes], wanted: str) -> LayerTimes:
    names = [layer.layer for layer in layers]
    if wanted in names:
        return layers[names.index(wanted)]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(layers):
        return layers[int(wanted) - 1]
    allowed = f"1 to {len(layers)}, or {listed(names)}"
    raise StudyError(f"is no layer here{hint(wanted, names)}", key="--layer", value=wanted, allowed=allowed)
