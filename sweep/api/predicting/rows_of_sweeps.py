"""Turns the cells of sweeps into rows that a predictor is fitted to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sweep.analysis.rows.unchecked import is_unchecked
from sweep.api.session.artifact_paths import cell_files
from sweep.api.session.table_cache import readable_table, refresh
from sweep.errors import StudyError
from sweep.files.sweep_dir import network_file
from sweep.predict.layer_geometry import LayerGeometry, Variant
from sweep.predict.network_layers import layers_of_onnx
from sweep.predict.observations import Observations, Variable
from sweep.study.axes import value_in
from sweep.study.profile_options import INFERENCE
from sweep.suggestions import listed

__all__ = ["rows_of_sweeps", "variants_in"]

COLUMN = {Variable.LATENCY: "latency_ms_median", Variable.MEMORY: "peak_memory_bytes"}
MIB = 2**20

Geometries = dict[Variant, LayerGeometry]


def rows_of_sweeps(
    folders: Sequence[Path],
    variable: Variable,
    runtime: str,
    device: str | None,
    mode: str = INFERENCE,
    *,
    is_by_device: bool = False,
) -> tuple[Geometries, Observations]:
    """Gives layers and measured values of all undisturbed cells of one runtime on one device, in one mode.

    With `is_by_device` of all devices, where none is named.

    Memory is that of cells that observe it, which have a process for it alone; where there is none, that of the
    processes that were timed, in which the runtime's own library is.

    Of several cells of a network at a batch the least value counts. Left out are cells whose outputs nothing was
    compared with, that have no batch of their own, or whose network is no ONNX file.

    Raises:
        StudyError: no such cell, or cells of several devices and `device` is None.
    """
    for folder in folders:
        refresh(folder)
    cells = [(folder, row) for folder in folders for row in readable_table(folder, "results").to_pylist()]
    _require_known(cells, "runtime", runtime)
    cells = [(folder, row) for folder, row in cells if row["runtime"] == runtime and value_in(row, "mode") == mode]
    if not cells:
        raise StudyError(f"--mode: {mode!r}; allowed: a mode that cells of {runtime} have")
    observed = [(folder, row) for folder, row in cells if value_in(row, "variable") == str(variable)]
    cells = observed or cells
    devices = sorted({row["device_key"] for _, row in cells})
    if device is None and len(devices) > 1 and not is_by_device:
        raise StudyError(f"--device: is needed, since the cells of {runtime} are of {listed(devices)}")
    if device is not None:
        _require_known(cells, "device_key", device)
    best: dict[tuple[str, float, float, str], float] = {}
    layers: Geometries = {}
    for folder, rows in _by_folder(cells):
        networks = {cell.name: cell.files.get("network") for cell in cell_files(folder)}
        names: dict[str, Variant] = {}
        made_of = variants_in(rows)
        for row in rows:
            value, network = row.get(COLUMN[variable]), networks.get(row["cell_name"])
            is_meant = row["status"] == "done" and not is_unchecked(row) and device in (None, row["device_key"])
            # A batch that is not told stands somewhere in the network, and layers are counted a sample
            if not is_meant or value is None or row["batch"] is None:
                continue
            network = None if network is None else network.with_name(network_file("onnx"))
            if network is None or not network.is_file():  # PyTorch's networks have theirs beside the program
                continue
            model = str(row["model"])
            if model not in names:
                names[model] = _add(layers, made_of[model], layers_of_onnx(network), folder)
            key = *names[model], float(row["batch"]), str(row["device_key"])
            measured = float(value) / (MIB if variable is Variable.MEMORY else 1)
            best[key] = min(measured, best.get(key, measured))
    if not best:
        raise StudyError(f"DIR: no undisturbed cell of {runtime} has a {COLUMN[variable]} and a network")
    keys = sorted(best)
    name, level, batch, on = (np.array(column) for column in zip(*keys, strict=True))
    return layers, Observations(name, level, batch, np.array([best[key] for key in keys]), device=on)


def variants_in(rows: Sequence[dict[str, Any]]) -> dict[str, Variant]:
    """By model, the network that it is a variant of in the end, and the percentage of its parameters that is gone.

    So whoever leaves a network out leaves its variants out too.
    """
    bases = {str(row["model"]): str(row["variant_of"]) for row in rows if row.get("variant_of")}
    sizes = {str(row["model"]): row["parameters"] for row in rows if row.get("parameters")}
    levels = {str(row["model"]): 100.0 * (row.get("parameters_removed") or 0.0) for row in rows}
    found: dict[str, Variant] = {}
    for model, level in levels.items():
        root, seen = model, set[str]()
        while root in bases and root not in seen:
            seen.add(root)
            root = bases[root]
        if root in sizes and model in sizes:
            level = 100.0 * (1 - sizes[model] / sizes[root])
        found[model] = root, round(max(0.0, level), 3)
    return found


def _add(layers: Geometries, variant: Variant, geometry: LayerGeometry, folder: Path) -> Variant:
    """Keeps a network's layers, and gives the name that it goes by: sweeps may have other networks of one name."""
    model, level = variant
    if geometry.is_same_as(layers.setdefault(variant, geometry)):
        return variant
    named = f"{model} of {folder}", level
    while not geometry.is_same_as(layers.setdefault(named, geometry)):  # other filters, and as many of them
        named = named[0], named[1] + 1e-3
    return named


def _by_folder(cells: list[tuple[Path, dict[str, Any]]]) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    for folder in dict.fromkeys(folder for folder, _ in cells):
        yield folder, [row for other, row in cells if other == folder]


def _require_known(cells: list[tuple[Path, dict[str, Any]]], column: str, value: str) -> None:
    there = sorted({str(row[column]) for _, row in cells})
    if value not in there:
        option = {"runtime": "--runtime", "device_key": "--device"}[column]
        raise StudyError(f"{option}: {value!r}; allowed: {listed(there) or 'nothing, since there are no cells'}")
