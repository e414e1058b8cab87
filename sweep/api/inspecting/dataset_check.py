"""Holds the data sets that a study is calibrated and evaluated on against the headers of its networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sweep.datasets.outlines import Outline, outline_of
from sweep.datasets.preprocessing import NetworkInput, fitted, preprocess
from sweep.datasets.reading import Wanted
from sweep.errors import StudyError
from sweep.study.datasets import Dataset
from sweep.study.importers.importer import HeaderReader, ModelInput
from sweep.study.importers.importer_registry import importer_named
from sweep.study.precisions import precision_of
from sweep.study.reading.line_numbers import tells_lines
from sweep.study.spec import Model, Study
from sweep.suggestions import listed

__all__ = ["check_datasets"]

_CODES = ("int8", "uint8")
_QUANTISES_INPUTS = "tflite"
"""Codes that a network of this format takes are made of any number, by a scale that no header tells."""
_CLASSES = "calibrate_classes"


@tells_lines
def check_datasets(study: Study) -> None:
    """Raises StudyError where samples do not fit a network that is to take them, where there are fewer than are asked
    for, or none of a class, and where labels name a picture that is not there. What no header tells is told by the run.
    """
    outlines: dict[str, Outline] = {}
    for dataset, models in _asked(study):
        if dataset.name not in outlines:
            outlines[dataset.name] = _outline(study, dataset)
        for model in models:
            _check_fit(study, dataset, outlines[dataset.name], model)
    evaluate, calibration = study.evaluate, study.calibration
    if evaluate is not None:
        wanted = Wanted(evaluate.split)
        _check_count(study, outlines[evaluate.dataset.name], wanted, evaluate.samples, "evaluate")
    if calibration.dataset is not None and (outline := outlines.get(calibration.dataset.name)) is not None:
        asked = calibration.samples if calibration.is_asked else None
        _check_count(study, outline, Wanted("train"), asked, "calibration")
        _check_classes(study, outline)


def _asked(study: Study) -> Iterator[tuple[Dataset, Sequence[Model]]]:
    """Each data set that is used, and the networks that take it."""
    if study.evaluate is not None:
        yield study.evaluate.dataset, [model for model in study.models if study.evaluate.takes(model.name)]
    if study.calibration.dataset is not None and any(map(study.is_quantised, study.axes["precision"])):
        yield study.calibration.dataset, [model for model in study.models if _QUANTISES_INPUTS not in model.formats]


def _outline(study: Study, dataset: Dataset) -> Outline:
    try:
        outline = outline_of(dataset.options, dataset.files)
    except StudyError as error:
        raise _at(study, dataset, error) from None
    least = min((int(labels.min()) for labels in outline.labels.values() if labels.size), default=0)
    if least < 0:
        problem, key = "has a class below 0", f"datasets.{dataset.name}"
        raise StudyError(problem, file=study.path, key=key, value=least, allowed="classes from 0 on")
    return outline


def _check_fit(study: Study, dataset: Dataset, outline: Outline, model: Model) -> None:
    declared = _declared(model)
    if declared is None:
        return
    if len(declared) != 1:
        problem = f"feeds one input, and {model.name} has {len(declared)}: {listed(one.name for one in declared)}"
        allowed = "networks of one input: `evaluate: {models: [...]}` leaves others out"
        raise StudyError(problem, file=study.path, key=f"datasets.{dataset.name}", value=dataset.name, allowed=allowed)
    (taken,) = declared
    shape = model.inputs.get(taken.name, taken.shape)
    if shape is None or len(shape) < 1 or not all(isinstance(size, int) for size in shape[1:]):
        return
    is_coded = _QUANTISES_INPUTS in model.formats and taken.dtype in _CODES
    dtype = "float32" if is_coded or taken.dtype is None else taken.dtype
    network = NetworkInput([1, *(int(size) for size in shape[1:])], dtype)
    recipe = outline.options.get("preprocess", {})
    is_pictures = outline.options["of"] == "images"
    if is_pictures and not {"resize", "crop"} & recipe.keys():
        return  # scaled to cover what the network takes
    try:
        fitted(preprocess(outline.sample, recipe, is_pictures=is_pictures), network, recipe.get("dtype"))
    except StudyError as error:
        raise _at(study, dataset, error, f" of {model.name}") from None


def _declared(model: Model) -> Sequence[ModelInput] | None:
    importer = importer_named(model.importer)
    if not isinstance(importer, HeaderReader):
        return None
    try:
        return importer.inputs_of(model.path)
    except (ValueError, OSError):
        return None


def _check_count(study: Study, outline: Outline, wanted: Wanted, asked: int | None, place: str) -> None:
    """asked: None where the study leaves it open. place: in the study."""
    there = outline.count(wanted)
    if not there:
        problem = f"has no sample in its split {wanted.split}, which {place} takes"
        allowed = "more samples, or another share of them: `test:` of the data set"
        chosen = study.evaluate.dataset if place == "evaluate" and study.evaluate else study.calibration.dataset
        assert chosen is not None
        raise StudyError(problem, file=study.path, key=f"datasets.{chosen.name}", value=chosen.name, allowed=allowed)
    if asked is not None and asked > there:
        key = f"{place}.samples"
        kept = "all its samples" if wanted.split == "all" else f"its split {wanted.split}"
        problem, allowed = "is more than the data set has", f"at most {there}, which is {kept}"
        raise StudyError(problem, file=study.path, key=key, value=asked, allowed=allowed)


def _check_classes(study: Study, outline: Outline) -> None:
    for place, name in enumerate(study.axes["precision"]):
        if not study.is_quantised(name):
            continue
        for one in precision_of(name, study.described).options.get(_CLASSES, ()):
            if one not in (known := outline.classes("train")):
                problem, key = "is no class of the data set's split train", f"axes.precision[{place}].{_CLASSES}"
                raise StudyError(problem, file=study.path, key=key, value=one, allowed=listed(map(str, known)))


def _at(study: Study, dataset: Dataset, error: StudyError, whose: str = "") -> StudyError:
    """The error with its place in the study's file."""
    key = f"datasets.{dataset.name}" + (f".{error.key}" if error.key else "")
    problem = error.problem.replace("the network", f"the network{whose}", 1) if whose else error.problem
    return StudyError(problem, file=study.path, key=key, value=error.value, allowed=error.allowed)
