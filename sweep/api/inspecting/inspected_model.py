"""Looks at a model without compiling it: what its file holds, what its layers cost, who lacks which operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sweep.api.inspecting.operator_tables import operator_table
from sweep.errors import StudyError
from sweep.inspection.graph_reading import read_graph
from sweep.inspection.model_inspection import Inspection
from sweep.study.importers.importer_registry import importer_named
from sweep.study.model_file import find_model

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
    return Inspection(source, found.path, read_graph(importer, found.path, inputs or {}), operator_table(importer))
