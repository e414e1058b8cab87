"""Which output ranks the classes of samples, of the forms that classifiers have."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.analysis.classification import quality_of
from sweep.devices.measuring.class_scores import ClassAnswers, ranking_of
from sweep.devices.runtimes.answering.samples_asked import Asked
from sweep.errors import MeasureFailed

SCORES = np.array([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1]], "float32")


@pytest.mark.parametrize(
    ("outputs", "samples", "first"),
    [
        ([SCORES], 2, [1, 0]),
        ([SCORES[:, :, None, None]], 2, [1, 0]),
        ([(SCORES * 100).astype("int8")], 2, [1, 0]),
        ([SCORES[0]], 1, [1]),
        ([np.array([1, 0]), SCORES], 2, [1, 0]),
        ([np.array([2, 1])], 2, [2, 1]),
        ([np.array([[0.4], [0.6]], "float32")], 2, [0, 1]),
        ([np.array([1.0], "float32")], 1, [1]),
    ],
)
def test_the_forms_of_classifiers(outputs: list[np.ndarray], samples: int, first: list[int]) -> None:
    answers = ClassAnswers()
    answers.add(outputs, samples, samples)
    assert [ranked[0] for ranked in answers.ranked] == first


@pytest.mark.parametrize("output", [np.zeros((2, 3, 4)), np.zeros((3, 5)), np.zeros((2, 3), "complex64")])
def test_what_ranks_no_classes_is_told(output: np.ndarray) -> None:
    with pytest.raises(MeasureFailed, match="no output ranks classes"):
        ranking_of([output], 2)


def test_classes_that_are_named_are_answers_whatever_their_numbers() -> None:
    """Among a million classes, two samples take the memory of two; of the others none was ranked second."""
    answers = ClassAnswers()
    answers.add([np.array([999_999, 7])], 2, 2)
    assert (answers.ranked, answers.classes) == ([[999_999], [7]], 1_000_000)
    told = quality_of(np.array(answers.ranked), np.array([999_999, 0]), answers.classes)
    assert (told["accuracy"], told["top5"]) == (0.5, None)
    assert told["confusion"] == [[0, 7, 1], [999_999, 999_999, 1]]


def test_a_number_beyond_all_classes_is_no_class() -> None:
    with pytest.raises(MeasureFailed, match="no output ranks classes: int64"):
        ranking_of([np.array([1 << 40, 3])], 2)


def test_a_padded_batch_counts_its_samples_alone() -> None:
    asked = Asked(np.arange(5)[:, None], 2, "x", 0)
    batches = asked.batches()
    assert [(values[:, 0].tolist(), count) for values, count in batches] == [([0, 1], 2), ([2, 3], 2), ([4, 4], 1)]
    assert [values[:, 0].tolist() for values, _ in asked.batches(start=2)] == [[2, 3], [4, 4]]
    answers = ClassAnswers()
    for values, count in batches:
        answers.add([np.eye(6)[values[:, 0]]], 2, count)
    assert [ranked[0] for ranked in answers.ranked] == [0, 1, 2, 3, 4]
    assert answers.classes == 6
