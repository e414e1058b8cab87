"""From a model as written to its files on this machine and their hash. What the files hold is the toolchain's to
judge.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sweep.errors import StudyError
from sweep.study.importers.batch_dimension import batch_dimension
from sweep.study.importers.given_inputs import GivenInput, given_inputs
from sweep.study.importers.header_check import check_inputs, declared_inputs
from sweep.study.importers.importer import ModelImporter, ModelInput, WrittenModel, path_of
from sweep.study.importers.importer_registry import IMPORTERS, claimant, importer_named, sources, stem_of
from sweep.study.importers.tensorflow.tensorflow_importer import SAVED_MODEL
from sweep.study.importers.zoo_reference import from_zoo
from sweep.study.model_form import InputForm, ModelForm
from sweep.study.reading.named_code import tell, tell_model
from sweep.study.spec import Model
from sweep.suggestions import hint, listed

__all__ = ["find_model", "read_model"]


def read_model(written: str | ModelForm, file: Path, key: str) -> Model:
    """The model that a person means; relative paths start at the study file.

    Raises StudyError when there is none, and where it contradicts what the header of its file declares.
    """
    model, declared = find_model(written, file, key)
    importer = importer_named(model.importer)
    if getattr(importer, "runs_code", False):
        tell_model(model.source, model.path, file)
    form = ModelForm(path=written) if isinstance(written, str) else written
    at = WrittenModel(model.source, file, key)
    batch = batch_dimension(form.batch, declared, model.inputs, replace(at, key=f"{key}.batch"), model.name)
    if declared is None and form.batch is None and getattr(importer, "gives_batch", False):
        batch = replace(batch, takes_default=False)
    model = replace(model, batch=batch)
    if declared is not None:
        check_inputs(declared, model.inputs, batch, at)
        own = {one.name: one.shape for one in declared}
        # What the file says anyway is no other network, so it is not part of the ids
        given = {name: shape for name, shape in model.inputs.items() if shape != own[name]}
        return replace(model, inputs=given)
    return model


def find_model(written: str | ModelForm, file: Path, key: str) -> tuple[Model, Sequence[ModelInput] | None]:
    """The same, whatever its header leaves open; and the inputs in it, None where its importer reads no header."""
    form = ModelForm(path=written) if isinstance(written, str) else written
    model = WrittenModel(form.path, file, key if isinstance(written, str) else f"{key}.path")
    form = from_zoo(form, model)
    model = replace(model, source=form.path)
    if form.importer is not None and ":" in form.importer:
        tell(form.importer, file)
    importer = _importer(model) if form.importer is None else importer_named(form.importer, file, f"{key}.importer")
    files = importer.identify(model)
    declared = declared_inputs(importer, files.path, model) if files.inputs is None else files.inputs
    name = form.name or re.sub(r"[^A-Za-z0-9._+=-]+", "-", stem_of(form.path, importer)).strip("-._+=")
    if not name:
        raise StudyError("has no letter to make a name of", file=file, key=key, value=form.path, allowed="a `name:`")
    given, shapes = _inputs(form, declared, replace(model, key=f"{key}.inputs"))
    found = Model(
        name=name,
        source=form.path,
        path=files.path,
        sha256=files.sha256,
        inputs=shapes,
        given={name: one for name, one in sorted(given.items()) if one.values},
        importer=form.importer or importer.name,
        options=files.options,
        formats=importer.formats,
        companions=files.companions,
        is_hashed=files.is_hashed,
        is_installed=files.is_installed,
        original=form.original,
    )
    return found, declared


def _importer(model: WrittenModel) -> ModelImporter:
    """The importer that claims a model. Raises StudyError where none does."""
    importer = claimant(model.source)
    if importer is not None:
        return importer
    if (path_of(model) / SAVED_MODEL).is_file():
        return importer_named("tensorflow")
    if path_of(model).is_dir():
        suffixes = listed(suffix for other in IMPORTERS for suffix in other.suffixes)
        raise model.refused("is a directory", f"a file ({suffixes})")
    near = hint(model.source, [name for other in IMPORTERS for name in other.known_names()])
    *others, last = sources()
    raise model.refused(f"is not a model file{near}", f"{listed(others)} or {last}" if others else last)


def _inputs(
    form: ModelForm, declared: Sequence[ModelInput] | None, at: WrittenModel
) -> tuple[Mapping[str, GivenInput], dict[str, tuple[int, ...]]]:
    """What a person says of inputs beside their shapes, and their shapes. Raises StudyError."""
    written = {name: entry for name, entry in form.inputs.items() if isinstance(entry, InputForm)}
    given = given_inputs(written, declared, at)
    shapes = {name: tuple(entry) for name, entry in form.inputs.items() if isinstance(entry, list)}
    shapes |= {name: one.shape for name, one in given.items() if one.shape is not None}
    for name, shape in shapes.items():
        if math.prod(shape) > 1 << 31:
            where = replace(at, key=f"{at.key}.{name}")
            raise where.refused("is a shape too large", "up to 2^31 elements", list(shape))
    return given, dict(sorted(shapes.items()))
