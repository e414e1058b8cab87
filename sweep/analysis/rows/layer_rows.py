"""Rows on the layers of quantised networks: how far each is from the float one, and what it costs. Knows no files."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Iterator, Sequence
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.analysis.rows.advice_rows import OwnAdvice
from sweep.planning.results.layer_advice_results import AdvisedStep, LayerAdvice
from sweep.planning.results.quantising import KeptLayers, LayerErrorsResult

__all__ = ["OF_TIMED_CELL", "layer_rows"]

_OF_MIX = ("cosine_distance", "snr_db", "max_abs_diff")
OF_TIMED_CELL = ("device", "target", "tuner", "opt_level", "layout")
"""Columns of the cell in which layers were timed; null where they were not."""

Row = dict[str, Any]


def layer_rows(outcomes: Sequence[CellOutcome]) -> list[Row]:
    """Of each network and precision once, in the order of the network; where layers were timed, of each cell."""
    rows: list[Row] = []
    for about, result, advice in _compared(outcomes):
        ranks = {layer: rank for rank, layer in enumerate(result.ranked, start=1)}
        about = {**about, "samples": result.samples, "source": result.source}
        for layer in result.layers:
            rank = ranks.get(layer.layer)
            kept = result.steps[rank] if rank is not None and rank < len(result.steps) else KeptLayers()
            mixed = {f"kept_{name}": getattr(kept, name) for name in _OF_MIX}
            rows.append({**about, **layer.to_json(), "rank": rank, **mixed, **_advised(layer.layer, advice)})
    return rows


def _advised(layer: str, advice: LayerAdvice | None) -> Row:
    found = advice or LayerAdvice()
    in_float, quantised = (found.float_s or {}).get(layer), (found.quantised_s or {}).get(layer)
    rank = found.ranked.index(layer) + 1 if layer in found.ranked else None
    step = found.steps[rank] if rank is not None and rank < len(found.steps) else AdvisedStep()
    return {
        "float32_ms": _ms(in_float),
        "quantised_ms": _ms(quantised),
        "added_ms": None if in_float is None or quantised is None else _ms(in_float - quantised),
        "shares_kernel_with": ", ".join((found.shares or {}).get(layer, ())) or None,
        "advised_rank": rank,
        **{f"advised_{name}": getattr(step, name) for name in _OF_MIX},
        "advised_added_ms": _ms(step.added_s),
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


_Compared = tuple[Row, LayerErrorsResult, LayerAdvice | None]


def _compared(outcomes: Sequence[CellOutcome]) -> Iterator[_Compared]:
    """Each comparison once, though all targets, tuners and runtimes share it, unless each has its times."""
    timed: set[Hashable] = set()
    advised: set[str | None] = set()
    for about, advice, _ in OwnAdvice(outcomes):
        result = about.result(LayerErrorsResult)
        if result is not None and result.layers:
            timed.add(_compared_of(about, result))
            advised.add(advice.dir)  # cells that follow it have it too, also before they are quantised
            yield {**_of_network(about), **{name: about.cell.value(name) for name in OF_TIMED_CELL}}, result, advice
    yield from _untimed((one for one in outcomes if _advice_dir(one) not in advised), timed)


def _advice_dir(outcome: CellOutcome) -> str | None:
    found = outcome.result(LayerAdvice)
    return None if found is None else found.dir


def _untimed(outcomes: Iterable[CellOutcome], timed: Container[Hashable]) -> list[_Compared]:
    found: dict[Hashable, _Compared] = {}
    for outcome in outcomes:
        result = outcome.result(LayerErrorsResult)
        if result is not None and result.layers and (key := _compared_of(outcome, result)) not in timed:
            found.setdefault(key, (_of_network(outcome) | dict.fromkeys(OF_TIMED_CELL), result, None))
    return list(found.values())


def _compared_of(outcome: CellOutcome, result: LayerErrorsResult) -> Hashable:
    """What is compared: the same for cells of other targets, tuners, devices and runtimes."""
    return (result.dir, *_of_network(outcome).values())


def _of_network(outcome: CellOutcome) -> Row:
    return {"model": outcome.cell.model, "batch": outcome.cell.batch, "precision": outcome.cell.precision}
