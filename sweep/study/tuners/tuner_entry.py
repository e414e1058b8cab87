"""From a tuner as written to the tuner that a stage is given; a person's own is found and tried here."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from sweep.errors import StudyError
from sweep.study.reading.named_code import tell
from sweep.study.spec import TunerSpec
from sweep.study.tuners.own_tuner import attribute_of, import_path_of, label_of, module_of, source_sha256
from sweep.study.tuners.tuner_forms import CATALOGUE, SOURCE, OwnTuner, TunerForm
from sweep.suggestions import hint

__all__ = ["read_tuner"]

_Refusal = Callable[..., StudyError]
"""An error that knows file, key and value, and takes the problem and what is allowed."""

_NEEDED = {"mlp": ("torch", "pip install torch"), "optuna": ("optuna", "pip install 'tvm-sweep[optuna]'")}
"""Tuner -> the package without which it cannot work, and the command that brings it."""


def read_tuner(written: str | TunerForm, seed: int, file: Path, key: str) -> TunerSpec:
    """The tuner that a person means, every option filled in. Raises StudyError when there is none."""
    form: Any = CATALOGUE.get(written, OwnTuner)(name=written) if isinstance(written, str) else written  # type: ignore[call-arg]
    refused = partial(StudyError, file=file, key=key, value=form.name)
    package, command = _NEEDED.get(form.name, ("sweep", ""))
    if importlib.util.find_spec(package) is None:
        raise refused(f"needs {package}, which is not installed", allowed=f"{command}, or another tuner")
    options = form.model_dump(exclude={"name", "label", "options"})
    label = form.label or form.name
    if isinstance(form, OwnTuner):
        if ":" in form.name:
            tell(form.name, file)
        label = form.label or label_of(form.name)
        if not isinstance(written, str):
            refused = partial(refused, key=f"{key}.name")
        bad_options = partial(StudyError, file=file, key=f"{key}.options", value=form.options)
        options = _own_options(form, options, seed, refused, bad_options)
    return TunerSpec(label=label, name=form.name, options=dict(sorted(options.items())))


def _own_options(
    form: OwnTuner, options: dict[str, Any], seed: int, refused: _Refusal, bad_options: _Refusal
) -> dict[str, Any]:
    """All options of a person's own tuner in one mapping, after it has been made from them once."""
    import_path = import_path_of(form.name)
    if import_path is None:
        raise refused("is the name of no installed tuner")
    make = _attribute(_module(import_path, refused), import_path, refused)
    everything = {**options, **form.options, SOURCE: source_sha256(import_path)}
    try:
        tuner = make(everything, seed)
    except ValueError as error:
        raise bad_options(f"refuses its options: {error}", allowed=f"options that {import_path} takes") from error
    except Exception as error:
        allowed = "what takes (options, seed) and gives a tuner"
        raise refused(f"cannot be made: {_said(error)}", allowed=allowed) from error
    if not callable(getattr(tuner, "search", None)):
        allowed = "what gives an object with search(workload, space)"
        raise refused(f"gives no tuner but {type(tuner).__name__}", allowed=allowed)
    return everything


def _module(import_path: str, refused: _Refusal) -> ModuleType:
    try:
        return module_of(import_path)
    except Exception as error:
        allowed = "module:attribute of an installed package or of a folder on PYTHONPATH"
        raise refused(f"cannot be imported: {_said(error)}", allowed=allowed) from error


def _attribute(module: ModuleType, import_path: str, refused: _Refusal) -> Any:
    attribute = import_path.partition(":")[2]
    try:
        found = attribute_of(module, import_path)
    except AttributeError:
        near = hint(attribute, dir(module))
        problem = f"is not there: {module.__name__} has no {attribute!r}{near}"
    else:
        if callable(found):
            return found
        problem = f"cannot be called: {attribute!r} is of type {type(found).__name__}"
    raise refused(problem, allowed="a class, or a function that takes (options, seed)")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
