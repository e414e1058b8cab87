"""Looks at a model without compiling it: what its file holds, what its layers cost, who lacks which operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from sweep.api.inspecting.operator_tables import operator_table
from sweep.errors import StudyError
from sweep.inspection.graph_reading import has_reader, not_inspected, read_graph
from sweep.inspection.model_inspection import Inspection
from sweep.inspection.network_graph import NetworkGraph
from sweep.registry import attribute_at
from sweep.study.importers.importer import ModelImporter
from sweep.study.importers.importer_registry import importer_named
from sweep.study.model_file import find_model
from sweep.study.spec import Model

__all__ = ["Inspection", "inspect"]


def inspect(model: str | Path, inputs: Mapping[str, Sequence[int]] | None = None) -> Inspection:
    """Looks at a model: its file, or a name after a prefix as `onnx-light:resnet50`.

    inputs: shapes by name, over those of the file.

    Raises:
        StudyError: there is no such model, it is damaged, or an input of another name or rank is given.
    """
    source = str(model)
    try:
        found, _ = find_model(source, Path(), "MODEL")
    except StudyError as error:
        raise StudyError(error.problem, key="MODEL", value=error.value, allowed=error.allowed) from error
    importer = importer_named(found.importer)
    shapes = dict(inputs or {})
    graph = read_graph(importer, found.path, shapes) if has_reader(importer) else _loaded(importer, found, shapes)
    return Inspection(source, found.path, graph, operator_table(graph.format))


def _loaded(importer: ModelImporter, found: Model, inputs: Mapping[str, Sequence[int]]) -> NetworkGraph:
    """The graph of a network that its own framework has to make first, as a module of PyTorch; TVM is not loaded.

    Raises StudyError where its importer tells no graph, ImportFailed where the network cannot be made.
    """
    from sweep.toolchain.models.loader import ModelLoader, Shapes

    loader = cast("ModelLoader", cast("type", attribute_at(importer.loader))())
    made = loader.specialise(loader.load(found.path, found.options), Shapes(inputs, None, seed=0))
    graph = made.graph()
    if graph is None:
        raise not_inspected(importer, found.path)
    return graph
