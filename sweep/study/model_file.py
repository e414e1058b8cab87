"""From a model as written to its files on this machine and their hash. What the files hold is the toolchain's to
judge.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sweep.errors import StudyError
from sweep.study.importers.header_check import check_inputs, declared_inputs
from sweep.study.importers.importer import ModelImporter, ModelInput, WrittenModel, path_of
from sweep.study.importers.importer_registry import IMPORTERS, claimant, importer_named, sources, stem_of
from sweep.study.reading.named_code import tell
from sweep.study.spec import Model
from sweep.study.study_form import ModelForm
from sweep.suggestions import hint, listed

__all__ = ["find_model", "read_model"]


def read_model(written: str | ModelForm, file: Path, key: str) -> Model:
    """The model that a person means; relative paths start at the study file.

    Raises StudyError when there is none, and where it contradicts what the header of its file declares.
    """
    model, declared = find_model(written, file, key)
    if declared is not None:
        check_inputs(declared, model.inputs, WrittenModel(model.source, file, key))
        own = {one.name: one.shape for one in declared}
        # What the file says anyway is no other network, so it is not part of the ids
        given = {name: shape for name, shape in model.inputs.items() if shape != own[name]}
        return replace(model, inputs=given)
    return model


def find_model(written: str | ModelForm, file: Path, key: str) -> tuple[Model, Sequence[ModelInput] | None]:
    """The same, whatever its header leaves open; and the inputs in it, None where its importer reads no header."""
    form = ModelForm(path=written) if isinstance(written, str) else written
    model = WrittenModel(form.path, file, key if isinstance(written, str) else f"{key}.path")
    if form.importer is not None and ":" in form.importer:
        tell(form.importer, file)
    importer = _importer(model) if form.importer is None else importer_named(form.importer, file, f"{key}.importer")
    files = importer.identify(model)
    declared = declared_inputs(importer, files.path, model)
    name = form.name or re.sub(r"[^A-Za-z0-9._+=-]+", "-", stem_of(form.path, importer)).strip("-._+=")
    if not name:
        raise StudyError("has no letter to make a name of", file=file, key=key, value=form.path, allowed="a `name:`")
    _check_shapes(form, file, key)
    found = Model(
        name=name,
        source=form.path,
        path=files.path,
        sha256=files.sha256,
        inputs={name: tuple(shape) for name, shape in sorted(form.inputs.items())},
        importer=form.importer or importer.name,
        options=files.options,
        formats=importer.formats,
        companions=files.companions,
        is_installed=files.is_installed,
    )
    return found, declared


def _importer(model: WrittenModel) -> ModelImporter:
    """The importer that claims a model. Raises StudyError where none does."""
    importer = claimant(model.source)
    if importer is not None:
        return importer
    if path_of(model).is_dir():
        suffixes = listed(suffix for other in IMPORTERS for suffix in other.suffixes)
        raise model.refused("is a directory", f"a file ({suffixes})")
    near = hint(model.source, [name for other in IMPORTERS for name in other.known_names()])
    *others, last = sources()
    raise model.refused(f"is not a model file{near}", f"{listed(others)} or {last}" if others else last)


def _check_shapes(form: ModelForm, file: Path, key: str) -> None:
    for name, shape in form.inputs.items():
        elements = 1
        for size in shape:
            elements *= size
        if elements > 1 << 31:
            raise StudyError(
                "is a shape too large",
                file=file,
                key=f"{key}.inputs.{name}",
                value=shape,
                allowed="up to 2^31 elements",
            )
