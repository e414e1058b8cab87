"""A study as the mapping that a study file holds: the way back from frozen data, for studies that are made in Python.

What is said is complete where the study is: names, options and defaults stand in it, so that it means the same in a
version with other defaults.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sweep.study.axes import listed_axes
from sweep.study.axis import Axis
from sweep.study.calibration_options import Calibration
from sweep.study.datasets import Dataset
from sweep.study.final_options import Final
from sweep.study.importers.batch_dimension import AS_IS
from sweep.study.importers.importer import HeaderReader
from sweep.study.importers.importer_registry import importer_named, is_path
from sweep.study.notify import Notify
from sweep.study.spec import Model, Rule, Study, Target, TunerSpec
from sweep.study.study_form import StudyForm
from sweep.study.tuners.tuner_forms import CATALOGUE, SOURCE, SearchForm
from sweep.study.variants.variant_models import variant_entry

__all__ = ["as_document"]


def as_document(study: Study, folder: Path) -> dict[str, Any]:
    """What a study file in a folder says that is this study: reading it gives an equal one, but for its path."""
    document: dict[str, Any] = {
        "version": StudyForm.newest,
        "study": study.name,
        "question": study.question,
        "models": [_model(model, folder) for model in study.models],
        "targets": [_target(target) for target in study.targets],
        "tuners": [_tuner(tuner) for tuner in study.tuners],
    }
    for axis in listed_axes():
        if (axis.name == "batch" and not _lists_batches(study)) or not _is_written(study, axis):
            continue
        values = [_value(study, axis, value) for value in study.choices.get(axis.name, (axis.default,))]
        place = document if axis.key else document.setdefault("axes", {})
        place[axis.key or axis.name] = values
    if study.devices is not None:
        document["devices"] = list(study.devices)
    document |= {key: list(map(_rule, rules)) for key, rules in _rules(study).items() if rules}
    if study.planner is not None:
        document["planner"] = asdict(study.planner)
    if study.profile is not None:  # what it observes stands among the axes
        document["profile"] = asdict(study.profile)
    document |= _tags(study) | _notify(study.notify) | _objective(study) | _quality(study, folder)
    document["runtimes"] = list(study.runtimes)
    if study.baseline is not None:
        document["baseline"] = study.baseline
    document |= _final(study.final)
    return document | {"measure": asdict(study.measure), "budget": asdict(study.budget), "seed": study.seed}


def _is_written(study: Study, axis: Axis) -> bool:
    """Whether the values of an axis are to be written: some mean another thing by that."""
    by_name = axis.described is not None and axis.described.form is None
    return not by_name or all(value in study.described.get(axis.name, {}) for value in study.choices.get(axis.name, ()))


def _value(study: Study, axis: Axis, value: Any) -> Any:
    own = study.described.get(axis.name, {})
    return axis.described.write(value, own[value]) if axis.described is not None and value in own else value


def _model(model: Model, folder: Path) -> dict[str, Any]:
    if (variant := variant_entry(model)) is not None:
        return variant
    path = os.path.relpath(model.path, folder.resolve()) if is_path(model.source) else model.source
    written: dict[str, Any] = {"path": path, "name": model.name, "importer": model.importer}
    inputs = {name: _input(model, name, folder) for name in sorted({*model.inputs, *model.given})}
    written |= {"inputs": inputs} if inputs else {}
    written |= {} if model.original is None else {"original": model.original}
    return written | ({} if (batch := _batch(model)) is None else {"batch": batch})


def _input(model: Model, name: str, folder: Path) -> list[int] | dict[str, Any]:
    shape = list(model.inputs[name]) if name in model.inputs else None
    given = model.given.get(name)
    if given is None:
        return shape or []
    if given.file is not None:  # an array has its shape
        return {"npz": os.path.relpath(given.file, folder.resolve()), "array": given.values.get("array", name)}
    return {**given.values, **({} if shape is None else {"shape": shape})}


def _batch(model: Model) -> str | dict[str, int] | None:
    """As a person may write it: an open dimension that stands several times in an input by its name."""
    if not model.batch.takes_axis:
        return AS_IS
    named = model.batch.named
    if named is None:
        return None
    if all(len(at) == 1 for at in named.values()):
        return {name: at[0] for name, at in named.items()}
    importer = importer_named(model.importer)
    declared = importer.inputs_of(model.path) if isinstance(importer, HeaderReader) else ()
    one = next(one for one in declared if one.name in named)
    return str((one.shape or ())[named[one.name][0]])


def _lists_batches(study: Study) -> bool:
    """Whether the study lists them: a model whose batch is fixed in its file has else what is there."""
    return not any(model.batch.takes_axis and model.batch.batches is not None for model in study.models)


def _target(target: Target) -> dict[str, Any]:
    return {"name": target.name, **target.attrs}


def _tuner(tuner: TunerSpec) -> dict[str, Any]:
    if tuner.name in CATALOGUE:
        return {"name": tuner.name, "label": tuner.label, **tuner.options}
    common = {name: value for name, value in tuner.options.items() if name in SearchForm.model_fields}
    own = {name: value for name, value in tuner.options.items() if name not in common and name != SOURCE}
    return {"name": tuner.name, "label": tuner.label, **common, "options": own}


def _rules(study: Study) -> dict[str, tuple[Rule, ...]]:
    return {"exclude": study.exclude, "include": study.include}


def _tags(study: Study) -> dict[str, Any]:
    rules = [{"cells": _rule(rule), "tags": dict(tags)} for rule, tags in study.tags.rules]
    whole = {"tags": dict(study.tags.study)} if study.tags.study else {}
    return whole | ({"cell_tags": rules} if rules else {})


def _notify(notify: Notify | None) -> dict[str, Any]:
    if notify is None:
        return {}
    command = {"command": list(notify.command)} if notify.command else {}
    return {"notify": command | ({} if notify.webhook is None else {"webhook": notify.webhook})}


def _final(final: Final | None) -> dict[str, Any]:
    if final is None:
        return {"final": None}
    return {"final": final.as_written} if final.is_asked or final != Final() else {}


def _objective(study: Study) -> dict[str, Any]:
    wanted = study.objective
    return {} if wanted is None else {"objective": {"minimise": wanted.minimise, "subject_to": dict(wanted.subject_to)}}


def _quality(study: Study, folder: Path) -> dict[str, Any]:
    datasets = {
        name: {key: _within(one, key, folder) for key in one.written} for name, one in sorted(study.datasets.items())
    }
    evaluate = {} if study.evaluate is None else dict(study.evaluate.written)
    evaluate |= {"layer_error": True} if study.tells_layer_errors else {}
    evaluate |= {"layer_latency": True} if study.tells_layer_latencies else {}
    calibration = {} if study.calibration == Calibration() else dict(study.calibration.written)
    calibration |= study.calibration.written_tables(lambda table: os.path.relpath(table.ranges, folder.resolve()))
    asked = {"datasets": datasets, "evaluate": evaluate, "calibration": calibration}
    return {key: value for key, value in asked.items() if value}


def _within(dataset: Dataset, key: str, folder: Path) -> Any:
    return os.path.relpath(dataset.files[key], folder.resolve()) if key in dataset.files else dataset.written[key]


def _rule(rule: Rule) -> dict[str, Any]:
    return {axis: list(values) for axis, values in rule.items()}
