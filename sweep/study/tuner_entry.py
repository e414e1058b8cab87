"""From a tuner as written to the tuner that a stage is given; a person's own is found and tried here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from sweep.errors import StudyError
from sweep.study.own_tuner import attribute_of, label_of, module_of, place_of, source_sha256
from sweep.study.spec import Tuner
from sweep.study.suggest import hint
from sweep.study.tuners import CATALOGUE, SOURCE, OwnTuner, TunerForm

__all__ = ["read_tuner"]


def read_tuner(written: str | TunerForm, seed: int, file: Path, key: str) -> Tuner:
    """The tuner that a person means, every option filled in. Raises StudyError when there is none."""
    form: Any = CATALOGUE.get(written, OwnTuner)(name=written) if isinstance(written, str) else written  # type: ignore[call-arg]
    if form.name == "mlp" and importlib.util.find_spec("torch") is None:
        raise StudyError(
            "needs torch, which is not installed",
            file=file,
            key=key,
            value=form.name,
            allowed="pip install torch, or another tuner",
        )
    options = form.model_dump(exclude={"name", "label", "options"})
    label = form.label or form.name
    if isinstance(form, OwnTuner):
        label = form.label or label_of(form.name)
        options = _own_options(form, options, seed, file, key if isinstance(written, str) else f"{key}.name")
    return Tuner(label=label, name=form.name, options=dict(sorted(options.items())))


def _own_options(form: OwnTuner, options: dict[str, Any], seed: int, file: Path, key: str) -> dict[str, Any]:
    """All options of a person's own tuner in one mapping, after it has been made from them once."""
    place = place_of(form.name)
    if place is None:
        raise StudyError("is the name of no installed tuner", file=file, key=key, value=form.name)
    make = _attribute(_module(place, form, file, key), place, form, file, key)
    everything = {**options, **form.options, SOURCE: source_sha256(place)}
    try:
        tuner = make(everything, seed)
    except ValueError as error:
        raise StudyError(
            f"refuses its options: {error}",
            file=file,
            key=f"{key.removesuffix('.name')}.options",
            value=form.options,
            allowed=f"options that {place} takes",
        ) from error
    except Exception as error:
        raise StudyError(
            f"cannot be made: {_said(error)}",
            file=file,
            key=key,
            value=form.name,
            allowed="what takes (options, seed) and gives a tuner",
        ) from error
    if not callable(getattr(tuner, "search", None)):
        raise StudyError(
            f"gives no tuner but {type(tuner).__name__}",
            file=file,
            key=key,
            value=form.name,
            allowed="what gives an object with search(workload, space)",
        )
    return everything


def _module(place: str, form: OwnTuner, file: Path, key: str) -> ModuleType:
    try:
        return module_of(place)
    except Exception as error:
        raise StudyError(
            f"cannot be imported: {_said(error)}",
            file=file,
            key=key,
            value=form.name,
            allowed="module:attribute of an installed package or of a folder on PYTHONPATH",
        ) from error


def _attribute(module: ModuleType, place: str, form: OwnTuner, file: Path, key: str) -> Any:
    attribute = place.partition(":")[2]
    try:
        found = attribute_of(module, place)
    except AttributeError:
        near = hint(attribute, dir(module))
        problem = f"is not there: {module.__name__} has no {attribute!r}{near}"
    else:
        if callable(found):
            return found
        problem = f"cannot be called: {attribute!r} is of type {type(found).__name__}"
    allowed = "a class, or a function that takes (options, seed)"
    raise StudyError(problem, file=file, key=key, value=form.name, allowed=allowed)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
