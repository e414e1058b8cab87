"""Reads a model as a graph by the reader that its importer names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

from sweep.errors import StudyError
from sweep.inspection.network_graph import NetworkGraph
from sweep.registry import attribute_at
from sweep.study.importers.importer import GraphReader, ModelImporter
from sweep.study.importers.importer_registry import IMPORTERS
from sweep.suggestions import listed

__all__ = ["has_reader", "not_inspected", "read_graph"]


def has_reader(importer: ModelImporter) -> bool:
    """Whether its files can be read as graphs without a framework."""
    return isinstance(importer, GraphReader) and bool(importer.graph_reader)


def read_graph(importer: ModelImporter, path: Path, inputs: Mapping[str, Sequence[int]]) -> NetworkGraph:
    """The network of a file. inputs: shapes by name, over the file's own.

    Raises StudyError: its importer names no reader, or the file is not what its reader takes.
    """
    if not isinstance(importer, GraphReader) or not importer.graph_reader:
        raise not_inspected(importer, path)
    read = cast("Callable[[Path, Mapping[str, Sequence[int]]], NetworkGraph]", attribute_at(importer.graph_reader))
    return read(path, inputs)


def not_inspected(importer: ModelImporter, path: Path) -> StudyError:
    """The error to raise about a model that nothing reads as a graph."""
    readable = [each.title for each in IMPORTERS if has_reader(each)]
    problem = f"is {importer.title}, which cannot be inspected"
    return StudyError(problem, key="MODEL", value=str(path), allowed=listed(readable))
