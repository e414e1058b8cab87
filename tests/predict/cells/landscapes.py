"""Grids whose latencies are known: what a network, a tuner, a level and a target do to it, alone and together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from random import Random

from sweep.predict.cells.cell_model import Point

TUNERS = {"none": 3.0, "random": 0.35, "xgb": 0.0, "ga": 0.12}
LEVELS = {"0": 0.35, "1": 0.2, "2": 0.15, "3": 0.0}
TARGETS = {"native": 0.0, "avx2": 0.5}


def landscape(seed: int, models: int = 5) -> list[tuple[Point, float]]:
    """Cells with their seconds: networks from milliseconds to seconds, tuning worth a factor of 20, and what suits one
    network more than another: 0.1 of a nat, untuned code 0.4.
    """
    draw = Random(seed)
    cells = []
    for model in range(models):
        base = draw.gauss(-4.0, 1.5)
        suits = {name: draw.gauss(0.0, 0.4 if name == "none" else 0.08) for name in TUNERS}
        suits |= {name: draw.gauss(0.0, 0.06) for name in LEVELS} | {name: draw.gauss(0.0, 0.15) for name in TARGETS}
        for tuner, level, target in product(TUNERS, LEVELS, TARGETS):
            log_s = base + TUNERS[tuner] + LEVELS[level] + TARGETS[target] + suits[tuner] + suits[level] + suits[target]
            point = {"model": f"m{model}", "tuner": tuner, "opt_level": level, "target": target}
            cells.append((point, math.exp(log_s + draw.gauss(0.0, 0.02))))
    return cells


def without_pattern(seed: int, cells: Sequence[tuple[Point, float]]) -> list[tuple[Point, float]]:
    """The same cells with latencies that say nothing of each other."""
    draw = Random(seed)
    return [(point, math.exp(draw.gauss(-4.0, 0.5))) for point, _ in cells]
