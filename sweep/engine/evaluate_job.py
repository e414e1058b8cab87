"""The evaluation as a device's worker performs it: samples are read, the network answers, its answers are judged."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sweep.analysis.classification import quality_of
from sweep.datasets.preprocessing import NetworkInput
from sweep.datasets.reading import Samples, Wanted, read_samples
from sweep.engine.device_worker import DeviceWorker
from sweep.errors import ArtifactDamaged, EvaluateFailed, StudyError
from sweep.planning.results.compiling import COMPARED, BuildResult, ImportResult
from sweep.planning.results.evaluate_result import Evaluation, packed
from sweep.planning.stages.quantise import role_given
from sweep.running.contract import Attempt
from sweep.running.resuming import damage_of

if TYPE_CHECKING:
    from sweep.devices.runtimes.answering.samples_asked import Answered, Asked

__all__ = ["evaluate"]

VISIT_S = 20.0
"""Of answering samples in one go; then others come to the device."""


def evaluate(attempt: Attempt, worker: DeviceWorker) -> dict[str, Any]:
    """Perform an evaluate stage.

    Raises ArtifactDamaged: a file is not as it was made; EvaluateFailed: the samples cannot be read or are not the
    network's; and what `DeviceSession.answer_artifact` raises.
    """
    from sweep.devices.runtimes.answering.samples_asked import Asked

    began = time.monotonic()
    imported = attempt.input(role_given(attempt.inputs), ImportResult)
    for result in attempt.inputs.values():
        names = COMPARED if "build" in attempt.inputs and result is imported else None
        if (reason := damage_of(result, worker.sweep_dir, is_read=True, names=names)) is not None:
            raise ArtifactDamaged(f"{reason}; it is not loaded, and the next `sweep run` makes it again")
    name, network = _input(imported)
    samples = _samples(attempt, network)
    asked = Asked(samples.inputs, int(network.shape[0]), name, list(imported.inputs).index(name))
    ranked, told = _answers(attempt, worker, asked)
    return Evaluation(
        dataset=str(attempt.stage.hints.get("dataset", "")),
        **_asked_for(_judged(ranked, samples, told.classes), attempt.stage.options.get("metrics")),
        class_names=tuple(samples.classes),
        predicted=packed([first for first, *_ in ranked]),
        labels=packed(samples.labels.tolist()),
        place=str(told.conditions.get("board", "")),
        conditions=dict(told.conditions),
        runtime_version=told.runtime_version,
        evaluate_s=time.monotonic() - began,
    ).to_json()


def _input(imported: ImportResult) -> tuple[str, NetworkInput]:
    """The input that takes the samples. Raises EvaluateFailed where there are several."""
    if len(imported.inputs) != 1:
        raise EvaluateFailed(f"the network takes {', '.join(imported.inputs)}: samples go to a network of one input")
    [(name, about)] = imported.inputs.items()
    if not about["shape"]:
        raise EvaluateFailed(
            f"the network takes one number, {name}: samples go to an input whose first size is the batch"
        )
    return name, NetworkInput(about["shape"], about["dtype"], about.get("scale"), int(about.get("zero_point", 0)))


def _samples(attempt: Attempt, network: NetworkInput) -> Samples:
    options = attempt.stage.options
    wanted = Wanted(str(options["split"]), options.get("samples"), int(options.get("seed", 0)))
    try:
        samples = read_samples(options["dataset"], attempt.stage.hints.get("files", {}), wanted, network)
    except StudyError as error:
        raise EvaluateFailed(str(error)) from error
    if not len(samples):
        raise EvaluateFailed("the data set has no sample of this split")
    return samples


def _answers(attempt: Attempt, worker: DeviceWorker, asked: Asked) -> tuple[list[list[int]], Answered]:
    """The classes that the network ranks first for each sample, and what is told of the last visit."""
    options, imported = attempt.stage.options, attempt.input(role_given(attempt.inputs), ImportResult)
    import_dir = worker.sweep_dir / imported.folder()
    with worker.visits() as visit:
        if "build" not in attempt.inputs:
            threads = int(options["threads"])
            told = visit(lambda session: session.answer_runtime(str(options["runtime"]), import_dir, asked, threads))
            return [list(each) for each in told.ranked], told
        artifact_dir = worker.sweep_dir / attempt.input("build", BuildResult).folder()
        ranked: list[list[int]] = []
        classes = 0

        def answered_from(start: int) -> Answered:
            return visit(lambda session: session.answer_artifact(artifact_dir, import_dir, asked, start, VISIT_S))

        while True:
            told = answered_from(len(ranked))
            ranked += [list(each) for each in told.ranked]
            classes = max(classes, told.classes)
            if len(ranked) >= len(asked.inputs):
                return ranked, replace(told, classes=classes)


def _judged(ranked: list[list[int]], samples: Samples, classes: int) -> Mapping[str, Any]:
    import numpy as np

    most = int(samples.labels.max())
    if most >= classes:
        raise EvaluateFailed(f"the data set has a class {most}, and the network tells {classes} apart, 0 the first")
    return quality_of(np.array(ranked), samples.labels, classes)


_FIELDS = {"top5": "top5", "precision": "mean_precision", "recall": "mean_recall", "g_mean": "g_mean"}
"""Of a result, by the metric that a study may leave out."""


def _asked_for(told: Mapping[str, Any], metrics: Sequence[str] | None) -> dict[str, Any]:
    """Without the metrics that a study leaves out; None: it has all. Accuracy is always told: limits rest on it."""
    without = () if metrics is None else {field for name, field in _FIELDS.items() if name not in metrics}
    return {name: None if name in without else value for name, value in told.items()}
