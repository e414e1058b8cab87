"""Finds the layers that a precision keeps in float32, by the names that the network's file gives them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import LowerFailed, StudyError
from sweep.files.sweep_dir import network_file
from sweep.inspection.graph_reading import has_reader, read_graph
from sweep.inspection.named_layers import layers_of, places_of, unknown_layer
from sweep.study.importers.importer_registry import IMPORTERS

__all__ = ["with_kept_layers"]

_QUANTISED = "int8"
"""Whose layers are kept when the network is quantised, before it is lowered."""


def with_kept_layers(options: Mapping[str, Any], import_dir: Path) -> Mapping[str, Any]:
    """Options of a lower stage, with the places of the layers that it names. Raises LowerFailed: there is no such."""
    patterns = list((options.get("precision_options") or {}).get("float32") or ())
    if not patterns or str(options.get("precision")) == _QUANTISED:
        return options
    layers = _layers_in(import_dir)
    if unknown := unknown_layer(patterns, layers):
        raise LowerFailed(f"float32 names {unknown[0]!r}, which is no layer of the network; allowed: {unknown[1]}")
    return {**options, "kept_layers": {"places": places_of(patterns, layers), "layers": len(layers)}}


def _layers_in(import_dir: Path) -> list[str]:
    for importer in IMPORTERS:
        for form in importer.formats:
            path = import_dir / network_file(form)
            if has_reader(importer) and path.is_file():
                try:
                    return layers_of(read_graph(importer, path, {}))
                except StudyError as error:
                    raise LowerFailed(f"its layers have no names: {error}") from error
    raise LowerFailed("its layers have no names: its import keeps it in no form that is read as a graph")
