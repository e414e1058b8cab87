"""Result columns of how right a cell's answers are, where a study evaluates its cells over labelled samples."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sweep.analysis.formatting import as_bytes
from sweep.analysis.rows.column import CellFacts, Column, Detail
from sweep.planning.results.compiling import ImportResult

__all__ = ["QUALITY_COLUMNS"]


def _of(name: str) -> Callable[[CellFacts], Any]:
    return lambda facts: None if facts.evaluation is None else getattr(facts.evaluation, name)


def _rate(name: str, meaning: str, title: str = "", rank: int = 20) -> Column:
    detail = Detail(title, lambda value: f"{value:.2%}", meaning, rank, is_on_paper=True) if title else None
    return Column(name, "float64", f"{meaning}; null unless evaluated", "", _of(name), f"quality/{name}", detail=detail)


def _drop(facts: CellFacts) -> float | None:
    if facts.evaluation is None or facts.quality_reference is None:
        return None
    return facts.quality_reference.drop(facts.evaluation)


def _agreement(part: str) -> Callable[[CellFacts], Any]:
    def value(facts: CellFacts) -> Any:
        found = facts.agreement
        return None if found is None else getattr(found, part)

    return value


def _confusion(facts: CellFacts) -> str | None:
    found = facts.evaluation
    if found is None or not found.confusion:
        return None
    told = {
        "classes": found.classes,
        "names": list(found.class_names),
        "counts": [list(one) for one in found.confusion],
    }
    return json.dumps(told, separators=(",", ":"))


_QUANTISED = frozenset(("quantizelinear", "dequantizelinear", "qlinearconv", "qlinearmatmul", "convinteger"))


def _number_type(facts: CellFacts) -> str | None:
    """What the network's own file computes in, as far as its inputs and operators tell."""
    imported = facts.outcome.result(ImportResult)
    if imported is None or not imported.inputs:
        return None
    is_quantised = any("scale" in about for about in imported.inputs.values())
    if is_quantised or any(name.lower().replace("_", "") in _QUANTISED for name in imported.operators):
        return "int8"
    return next((str(about["dtype"]) for about in imported.inputs.values() if "float" in str(about["dtype"])), None)


QUALITY_COLUMNS = (
    _rate("accuracy", "share of the samples that it puts in their class", "accuracy"),
    _rate("accuracy_ci_low", "lower end of the 95 % interval (Wilson) of the accuracy"),
    _rate("accuracy_ci_high", "upper end of the 95 % interval (Wilson) of the accuracy"),
    _rate("top5", "share of the samples whose class is among the first five, of more than five classes", "top-5", 21),
    _rate("mean_precision", "mean over the classes of TP / predicted as such", "precision", 23),
    _rate("mean_recall", "mean over the classes of TP / being such", "recall", 24),
    _rate("g_mean", "geometric mean of the recalls of the classes", "G-mean", 25),
    Column(
        "accuracy_drop",
        "float64",
        "accuracy of the network in float32, in the runtime of its file where that is there, less this; null unless "
        "both were evaluated on the same samples",
        "",
        _drop,
        "quality/accuracy_drop",
        detail=Detail("drop", lambda value: f"{value * 100:+.2f} points", "accuracy that float32 has more", 22, True),
    ),
    Column(
        "accuracy_reference",
        "text",
        "cell that accuracy_drop, agreement and mcnemar_p compare with",
        value=lambda facts: None if facts.quality_reference is None else facts.quality_reference.cell,
    ),
    Column(
        "agreement",
        "float64",
        "share of the samples that it puts in the same class as the float32 network",
        "",
        _agreement("same"),
        "quality/agreement",
        detail=Detail("agrees", lambda value: f"{value:.2%}", "samples with the class that float32 gives", 26),
    ),
    Column(
        "mcnemar_p",
        "float64",
        "exact McNemar test of the samples that only one of it and the float32 network gets right",
        "",
        _agreement("p"),
        "quality/mcnemar_p",
        detail=Detail("McNemar p", lambda value: f"{value:.2g}", "how probable such a split is of equal networks", 27),
    ),
    Column("evaluated_samples", "int64", "samples that it was evaluated on", "samples", _of("samples")),
    Column(
        "unanswered_samples", "int64", "of these, samples with a score that is no number", "samples", _of("unanswered")
    ),
    Column("evaluated_on", "text", "board that it was evaluated on, or this host", value=_of("place")),
    Column("dataset", "text", "name of the data set that it was evaluated on", value=_of("dataset")),
    Column(
        "evaluate_s",
        "float64",
        "time of its evaluation, with the wait for the device",
        "s",
        lambda facts: facts.outcome.stage_seconds.get("evaluate"),
    ),
    Column("confusion_json", "text", "its confusion matrix, [truth, predicted, count] each, as JSON", value=_confusion),
    Column(
        "source_number_type",
        "text",
        "number type that the network's own file computes in: int8 where it is quantised; null where it does not tell",
        value=_number_type,
    ),
    Column(
        "source_bytes",
        "int64",
        "size of the network's own files",
        "bytes",
        lambda facts: (facts.outcome.result(ImportResult) or ImportResult()).source_bytes,
        "size/source_bytes",
        detail=Detail("source", as_bytes, "size of the network's own files", rank=52),
    ),
)
"""`Evaluation` has what they are made of."""
