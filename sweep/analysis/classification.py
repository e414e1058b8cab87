"""What predictions of classes come to: rates, their interval, how two networks agree. scikit-learn and scipy reckon.

Rows of a confusion matrix are the truth, columns what was predicted: `precision_c = TP / column sum`, `recall_c = TP /
row sum`. Means are over the classes that occur; a class that was never predicted has a precision of 0. G-mean is the
geometric mean of the recalls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TOP", "UNANSWERED", "Agreement", "agreement", "quality_of", "ranked_classes"]

TOP = 5
"""How many of the classes that a network ranks first are looked at for `top5`."""
UNANSWERED = -1
"""In place of a class where the scores of a sample are no numbers: no class, so never right."""


def ranked_classes(scores: NDArray[Any], most: int = TOP) -> NDArray[Any]:
    """[samples, at most `most`]: the classes that scores of [samples, classes] rank first, the best one first.

    Of equal scores the lower class comes first, as numpy's argmax has it. One score a sample is of the second of two
    classes: a probability, above a half where it is that one. A sample with a score that is no number has none.
    """
    import numpy as np

    values = scores.reshape(len(scores), -1).astype("float64")
    if values.shape[1] == 1:
        values = np.concatenate([1.0 - values, values], axis=1)
    is_answered = ~np.isnan(values).any(axis=1)
    first: NDArray[Any] = np.argsort(-np.where(is_answered[:, None], values, 0.0), axis=1, kind="stable")[:, :most]
    return np.where(is_answered[:, None], first, UNANSWERED)


def quality_of(ranked: NDArray[Any], labels: NDArray[Any], classes: int) -> dict[str, Any]:
    """Rates of ranked classes, [samples, k], against the true ones.

    Gives `samples`, `correct`, `accuracy` with its Wilson interval of 95 % (`accuracy_ci_low`, `accuracy_ci_high`),
    `top5` (None where no five are ranked, or there are no more: it would be 1), `mean_precision`, `mean_recall`,
    `g_mean`, `confusion` as [truth, predicted, count] of what occurs, and how many samples are `unanswered`.
    """
    import numpy as np
    from scipy.stats import binomtest
    from sklearn.metrics import precision_score, recall_score

    predicted = ranked[:, 0]
    occurring = np.unique(labels)
    correct, count = int((predicted == labels).sum()), len(labels)
    interval = binomtest(correct, count).proportion_ci(method="wilson")
    asked: Mapping[str, Any] = {"labels": occurring, "average": None, "zero_division": 0}
    recalls = recall_score(labels, predicted, **asked)
    has_more_than_top = classes > TOP and ranked.shape[1] >= TOP
    is_answered = predicted != UNANSWERED
    # Of the pairs that occur: a table of all takes gigabytes where there are some ten thousand classes
    pairs, counts = np.unique(np.stack([labels, predicted])[:, is_answered], axis=1, return_counts=True)
    return {
        "samples": count,
        "classes": classes,
        "correct": correct,
        "accuracy": correct / count,
        "accuracy_ci_low": float(interval.low),
        "accuracy_ci_high": float(interval.high),
        "top5": float((ranked == labels[:, None]).any(axis=1).mean()) if has_more_than_top else None,
        "mean_precision": float(precision_score(labels, predicted, **asked).mean()),
        "mean_recall": float(recalls.mean()),
        "g_mean": float(np.exp(np.log(recalls).mean())) if recalls.all() else 0.0,
        "confusion": [[*pair, count] for pair, count in zip(pairs.T.tolist(), counts.tolist(), strict=True)],
        "unanswered": int((predicted == UNANSWERED).sum()),
    }


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two networks on the same samples."""

    same: float
    """Share of the samples that both put in one class."""
    only_first: int
    """Samples that the first alone puts in their class."""
    only_second: int
    p: float
    """McNemar's exact test: how probable so uneven a split of these is where both are equally good."""


def agreement(first: Sequence[int], second: Sequence[int], labels: Sequence[int]) -> Agreement:
    """Of predictions sample by sample."""
    import numpy as np
    from scipy.stats import binomtest

    one, other, truth = (np.asarray(values) for values in (first, second, labels))
    only_first = int(((one == truth) & (other != truth)).sum())
    only_second = int(((one != truth) & (other == truth)).sum())
    differing = only_first + only_second
    p = float(binomtest(only_first, differing, 0.5).pvalue) if differing else 1.0
    return Agreement(float((one == other).mean()), only_first, only_second, p)
