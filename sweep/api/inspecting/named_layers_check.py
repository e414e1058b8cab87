"""Checks, before anything is done, the names of the layers that a study keeps in float32."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sweep.errors import StudyError
from sweep.inspection.graph_reading import has_reader, read_graph
from sweep.inspection.named_layers import layers_of, unknown_layer
from sweep.planning.stage import Plan
from sweep.study.importers.importer_registry import importer_named
from sweep.study.precisions import Precision
from sweep.study.spec import Model, Study

__all__ = ["check_layer_names"]


def check_layer_names(study: Study, plan: Plan) -> None:
    """Raises StudyError for a name of no layer of a network that has such a cell. A file that is read as no graph has
    none to check: its cells say it.
    """
    described = study.described.get("precision", {})
    # What is quantised is told by the stage that quantises it: operators without weights may stay in float32 there, too
    named = {name: one for name, one in described.items() if one.options.get("float32") and not one.needs_calibration}
    if not named:
        return
    models = {model.name: model for model in study.models}
    asked = dict.fromkeys((one.cell.precision, one.cell.model) for one in plan.cells if one.cell.precision in named)
    for precision, model in asked:
        _check(study, named[precision], models[model])


def _check(study: Study, precision: Precision, model: Model) -> None:
    layers = _layers(model.importer, str(model.path))
    unknown = unknown_layer(precision.options["float32"], layers) if layers else None
    if unknown is not None:
        place = study.choices["precision"].index(precision.name) if precision.name in study.choices["precision"] else 0
        problem = f"is no layer of {model.name}"
        key = f"axes.precision[{place}].float32"
        raise StudyError(problem, file=study.path, key=key, value=unknown[0], allowed=unknown[1])


@lru_cache(maxsize=8)
def _layers(importer: str, path: str) -> tuple[str, ...]:
    known = importer_named(importer)
    if not has_reader(known):
        return ()
    try:
        return tuple(layers_of(read_graph(known, Path(path), {})))
    except (StudyError, OSError):
        return ()
