"""Turns the cells of sweeps into rows that a predictor is fitted to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sweep.api.session.artifact_paths import cell_files
from sweep.api.session.table_cache import readable_table, refresh
from sweep.errors import StudyError
from sweep.predict.layer_geometry import LayerGeometry, Variant
from sweep.predict.network_layers import layers_of_onnx
from sweep.predict.observations import Observations, Variable
from sweep.suggestions import listed

__all__ = ["rows_of_sweeps"]

COLUMN = {Variable.LATENCY: "latency_ms_median", Variable.MEMORY: "peak_memory_bytes"}
MIB = 2**20

Geometries = dict[Variant, LayerGeometry]


def rows_of_sweeps(
    folders: Sequence[Path], variable: Variable, runtime: str, device: str | None
) -> tuple[Geometries, Observations]:
    """Gives layers and measured values of all undisturbed cells of one runtime on one device.

    Raises:
        StudyError: no such cell, or cells of several devices and `device` is None.
    """
    for folder in folders:
        refresh(folder)
    cells = [(folder, row) for folder in folders for row in readable_table(folder, "results").to_pylist()]
    _require_known(cells, "runtime", runtime)
    cells = [(folder, row) for folder, row in cells if row["runtime"] == runtime]
    devices = sorted({row["device_key"] for _, row in cells})
    if device is None and len(devices) > 1:
        raise StudyError(f"--device: is needed, since the cells of {runtime} are of {listed(devices)}")
    if device is not None:
        _require_known(cells, "device_key", device)
    best: dict[tuple[str, float], float] = {}
    layers: Geometries = {}
    for folder, rows in _by_folder(cells):
        networks = {cell.name: cell.files.get("network") for cell in cell_files(folder)}
        for row in rows:
            value = row.get(COLUMN[variable])
            if row["status"] != "done" or value is None or (device is not None and row["device_key"] != device):
                continue
            network = networks.get(row["cell"])
            if network is None or not network.is_file():
                continue
            name, batch = str(row["model"]), float(row["batch"])
            layers.setdefault((name, 0.0), layers_of_onnx(network))
            measured = float(value) / (MIB if variable is Variable.MEMORY else 1)
            best[name, batch] = min(measured, best.get((name, batch), measured))
    if not best:
        raise StudyError(f"DIR: no undisturbed cell of {runtime} has a {COLUMN[variable]} and a network")
    keys = sorted(best)
    return layers, Observations(
        np.array([name for name, _ in keys]),
        np.zeros(len(keys)),
        np.array([batch for _, batch in keys]),
        np.array([best[key] for key in keys]),
    )


def _by_folder(cells: list[tuple[Path, dict[str, Any]]]) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    for folder in dict.fromkeys(folder for folder, _ in cells):
        yield folder, [row for other, row in cells if other == folder]


def _require_known(cells: list[tuple[Path, dict[str, Any]]], column: str, value: str) -> None:
    there = sorted({str(row[column]) for _, row in cells})
    if value not in there:
        option = {"runtime": "--runtime", "device_key": "--device"}[column]
        raise StudyError(f"{option}: {value!r}; allowed: {listed(there) or 'nothing, since there are no cells'}")
