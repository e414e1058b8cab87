"""From the entries of `models:` to models: those of files, and variants of these and of each other."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.errors import StudyError
from sweep.study.datasets import Dataset, dataset_named
from sweep.study.model import Model
from sweep.study.model_file import read_model
from sweep.study.model_form import ModelForm
from sweep.study.variants.variant_form import STEPS, VariantForm
from sweep.study.variants.variant_importer import VARIANT
from sweep.suggestions import hint, listed

__all__ = ["RECIPE", "read_models", "variant_entry"]

RECIPE = 1
"""Raised where this program makes another network of the same words: part of the options of an import."""


def read_models(
    entries: Sequence[str | ModelForm | VariantForm], datasets: Mapping[str, Dataset], file: Path
) -> tuple[tuple[Model, ...], tuple[int, ...]]:
    """The models of a study, and for each the number of its entry. datasets: of the study, by name.

    Raises StudyError about an entry, as `read_model` does, and for a variant that is made of no model of the study.
    """
    read: dict[int, list[Model]] = {}
    known: dict[str, Model] = {}
    open_entries = list(enumerate(entries))
    while open_entries:
        left: list[tuple[int, str | ModelForm | VariantForm]] = []
        for number, entry in open_entries:
            if isinstance(entry, VariantForm):
                base = known.get(entry.base)
                if base is None:
                    left.append((number, entry))
                    continue
                _check_form(base, file, f"models[{number}].from")
                training = _training(entry, datasets, file, f"models[{number}].train.dataset")
                read[number] = list(_variants(entry, base, training))
            else:
                read[number] = [read_model(entry, file, f"models[{number}]")]
            known.update((model.name, model) for model in read[number])
        if len(left) == len(open_entries):
            _refuse_unknown(left, known, file)
        open_entries = left
    ordered = [(number, model) for number in sorted(read) for model in read[number]]
    return tuple(model for _, model in ordered), tuple(number for number, _ in ordered)


def _check_form(base: Model, file: Path, key: str) -> None:
    """Raises StudyError for a model that is imported in no form in which variants are made."""
    if "onnx" not in base.formats:
        mend = " (PyTorch writes it with the package onnxscript)" if "pt2" in base.formats else ""
        problem = f"has no form in ONNX, in which variants are made{mend}"
        raise StudyError(problem, file=file, key=key, value=base.name, allowed="a model of another format")


def _refuse_unknown(entries: Sequence[tuple[int, Any]], known: Mapping[str, Model], file: Path) -> None:
    number, entry = entries[0]
    problem = f"is no other model of this study{hint(entry.base, known)}"
    allowed = listed(known) or "the name of a model that is a file"
    raise StudyError(problem, file=file, key=f"models[{number}].from", value=entry.base, allowed=allowed)


def _training(entry: VariantForm, datasets: Mapping[str, Dataset], file: Path, key: str) -> Dataset | None:
    """What a variant learns from. Raises StudyError where there is no such data set, or nothing here that trains."""
    if entry.train is None:
        return None
    found = dataset_named(datasets, entry.train.dataset, file, key)
    if importlib.util.find_spec("torch") is None:
        problem, allowed = "is to train, which takes torch, and it is not installed", "pip install 'tvm-sweep[torch]'"
        raise StudyError(problem, file=file, key=key.rpartition(".")[0], value=entry.train.dataset, allowed=allowed)
    return found


def _variants(entry: VariantForm, base: Model, training: Dataset | None) -> Iterator[Model]:
    step = next(name for name in STEPS if getattr(entry, name) is not None)
    written = getattr(entry, step).model_dump()
    levels = written.pop("levels")
    if training is not None:
        del written["dataset"]
        written["data"] = dict(training.options)
    for level in levels:
        percent = f"{round(100 * level, 6):g}"
        stem = entry.name or f"{base.name}-{written.get('method', step)}"
        name = f"{stem}-{percent}"
        if entry.name is not None and len(levels) == 1:
            name = entry.name
        yield replace(_variant(base, name, step, {**written, "level": level}), training=training)


def _variant(base: Model, name: str, step: str, options: Mapping[str, Any]) -> Model:
    made_of = {"importer": base.importer, **base.options}
    return replace(
        base,
        name=name,
        source=f"{base.source}, {options.get('method', step)} {options['level']:g}",
        importer=VARIANT.name,
        options={"base": made_of, "variant": {step: dict(options)}, "recipe": RECIPE},
        formats=VARIANT.formats,
        companions=(),
        is_installed=True,  # the base brings the files
        base=base,
    )


def variant_entry(model: Model) -> dict[str, Any] | None:
    """What a study file says of a variant; None of a model that is none."""
    if model.base is None:
        return None
    ((step, options),) = model.options["variant"].items()
    written = {name: value for name, value in options.items() if name not in ("level", "data")}
    if model.training is not None:
        written["dataset"] = model.training.name
    return {"from": model.base.name, "name": model.name, step: {**written, "levels": [options["level"]]}}
