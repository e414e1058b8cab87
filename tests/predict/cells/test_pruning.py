"""A full sweep replayed: which of its cells a run would have measured, and what it would have missed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import pytest

from sweep.predict.cells.cell_model import Point
from sweep.predict.cells.pruning import AS_GOOD, Candidate, Prediction, Pruner, PruningRules
from tests.predict.cells.landscapes import landscape, without_pattern

Cells = Sequence[tuple[Point, float]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was measured, in order, and what was said of the others."""

    measured: list[int]
    hopeless: list[Prediction]


def candidates_of(cells: Cells) -> list[Candidate]:
    return [Candidate(str(index), point, point["model"]) for index, (point, _) in enumerate(cells)]


def replayed(cells: Cells, rules: PruningRules, seed: int, known: Cells = ()) -> Replayed:
    """Measure one cell after another: the first of each network, then at random, then as the pruner would have it."""
    pruner = Pruner(candidates_of(cells), rules, known)
    order = list(range(len(cells)))
    Random(seed).shuffle(order)
    order.sort(
        key=lambda index: cells[index][0] != {**cells[index][0], "tuner": "xgb", "opt_level": "3", "target": "native"}
    )
    played = Replayed([], [])
    while order:
        index = order.pop(0)
        played.measured.append(index)
        pruner.observe(index, cells[index][1], cells[index][1] * 1.01)
        if (outlook := pruner.look()) is None:
            continue
        played.hopeless.extend(outlook.hopeless)
        skipped = {prediction.index for prediction in outlook.hopeless if not prediction.is_audited}
        rank = {other: place for place, other in enumerate(outlook.promising)}
        order = sorted((other for other in order if other not in skipped), key=lambda other: rank.get(other, -1))
    return played


def missed(cells: Cells, measured: Sequence[int]) -> float:
    """By how much the best measured cell is slower than the best of all, of the network where it is most."""
    worst = 0.0
    for model in {point["model"] for point, _ in cells}:
        best = min(seconds for point, seconds in cells if point["model"] == model)
        found = min((cells[index][1] for index in measured if cells[index][0]["model"] == model), default=math.inf)
        worst = max(worst, found / best - 1)
    return worst


def test_a_third_of_a_grid_finds_the_best_of_each_network() -> None:
    found = 0
    for seed in range(10):
        cells = landscape(seed)
        measured = replayed(cells, PruningRules(prune=0.8, audit=0.05), seed).measured
        found += missed(cells, measured[: int(0.35 * len(cells))]) <= 0.02
    assert found >= 9


@pytest.mark.parametrize("seed", [0, 1, 6, 8])
def test_where_it_knows_nothing_nothing_is_skipped(seed: int) -> None:
    """In the last one the first cells look as if half of it were known."""
    cells = without_pattern(seed, landscape(seed))
    assert replayed(cells, PruningRules(prune=0.9, audit=0.0), seed).hopeless == []


def test_no_more_is_skipped_than_may_be() -> None:
    cells = landscape(4)
    played = replayed(cells, PruningRules(prune=0.25, audit=0.0), 4)
    assert len(played.measured) == len(cells) - len(cells) // 4
    assert len({prediction.index for prediction in played.hopeless}) == len(played.hopeless) == len(cells) // 4
    assert replayed(cells, PruningRules(prune=0.0), 4).hopeless == []


def test_the_audit_is_measured_and_the_same_each_time() -> None:
    cells = landscape(5)
    first, second = (replayed(cells, PruningRules(prune=0.8, audit=0.3), 5) for _ in range(2))
    audited = {prediction.index for prediction in first.hopeless if prediction.is_audited}
    assert audited
    assert audited == {prediction.index for prediction in second.hopeless if prediction.is_audited}
    assert audited <= set(first.measured)
    assert all(prediction.low_s > (1 - AS_GOOD) * prediction.best_s for prediction in first.hopeless)
    within = [p for p in first.hopeless if p.is_audited and p.low_s <= cells[p.index][1] <= p.high_s]
    assert len(within) >= 0.9 * len(audited)


def test_what_another_sweep_has_measured_spares_cells_from_the_beginning() -> None:
    cells, rules = landscape(6), PruningRules(prune=0.8, audit=0.0)
    alone = replayed(cells, rules, 6)
    after = replayed(cells, rules, 6, known=landscape(6))
    assert len(after.measured) < len(alone.measured)
    assert missed(cells, after.measured) <= 0.02


def test_what_may_not_be_skipped_is_not() -> None:
    cells = landscape(7)
    candidates = [
        Candidate(str(index), point, point["model"], may_be_skipped=point["tuner"] != "none")
        for index, (point, _) in enumerate(cells)
    ]
    pruner = Pruner(candidates, PruningRules(prune=0.9, audit=0.0))
    for index, (_, seconds) in list(enumerate(cells))[::2]:
        pruner.observe(index, seconds)
    outlook = pruner.look()
    assert outlook is not None
    assert outlook.hopeless
    assert all(cells[prediction.index][0]["tuner"] != "none" for prediction in outlook.hopeless)
    assert pruner.look() is None, "nothing new was measured"
