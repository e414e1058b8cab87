"""From the runtimes that a study file names to those that it has, and which of them is the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweep.errors import StudyError
from sweep.study.importers.importer_registry import own_runtime
from sweep.study.reading.named_code import tell
from sweep.study.runtimes import RUNTIMES, USUAL_BASELINE, default_baseline, runtime_of
from sweep.study.spec import TVM, Model, is_compiled
from sweep.study.study_form import StudyForm
from sweep.suggestions import hint, listed

__all__ = ["read_runtimes", "usual_runtime"]


def read_runtimes(form: StudyForm, file: Path, models: Sequence[Model] = ()) -> tuple[tuple[str, ...], str | None]:
    """The runtimes of a study and its baseline: where it names none TVM, and what runs the files of its models as they
    are. `reference` is the word of earlier versions for all but TVM.

    Raises StudyError, one line: `runtimes` beside `reference`, a runtime that there is not, a baseline that is none of
    them.
    """
    key = "runtimes"
    names = tuple(form.runtimes)
    if models and "runtimes" not in form.model_fields_set:
        names = (TVM, *dict.fromkeys(usual_runtime(model) for model in models))
    if form.reference is not None:
        if "runtimes" in form.model_fields_set:
            allowed = f"one of the two: runtimes: [{', '.join([TVM, *form.reference])}]"
            raise StudyError(
                "says what runtimes says", file=file, key="reference", value=form.reference, allowed=allowed
            )
        key, names = "reference", tuple(form.reference)
    for index, name in enumerate(names):
        _check(name, file, f"{key}[{index}]", is_reference=form.reference is not None)
    runtimes = names if form.reference is None else (TVM, *names)
    if form.baseline is None:
        return runtimes, default_baseline(runtimes)
    if form.baseline not in runtimes:
        problem = f"is none of the study's runtimes{hint(form.baseline, runtimes)}"
        raise StudyError(problem, file=file, key="baseline", value=form.baseline, allowed=listed(runtimes))
    return runtimes, form.baseline


def usual_runtime(model: Model) -> str:
    """What runs a model's file as it is: its importer says it as `own_runtime`, or it is ONNX Runtime."""
    return own_runtime(model.importer) or USUAL_BASELINE


def _check(name: str, file: Path, key: str, *, is_reference: bool) -> None:
    if ":" in name:
        tell(name, file)
    try:
        runtime = runtime_of(name, key)
    except StudyError as error:
        raise StudyError(error.problem, file=file, key=key, value=error.value, allowed=error.allowed) from error
    if is_reference and runtime.is_compiled:
        allowed = listed(other for other in RUNTIMES.names() if not is_compiled(other))
        raise StudyError(
            "is always measured: `reference` names others", file=file, key=key, value=name, allowed=allowed
        )
