"""How often intervals of cells hold the truth on simulated machines: `python -m tests.analysis.coverage` tries 1,000.

Each machine measures a few cells in rounds; the truth is a cell's time where the machine is as usual.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sweep.analysis.round_model import RoundBlock, estimates

__all__ = ["KINDS", "Coverage", "coverage"]

CELLS, KERNEL_S = 6, 1e-3
Random = np.random.Generator
Noise = Callable[[Random, int], tuple[np.ndarray, np.ndarray]]
"""For so many rounds: the logarithm by which blocks of each (round, cell) are slowed, and the kernel beside them."""


@dataclass(frozen=True)
class Coverage:
    """Of the 95 % intervals."""

    share: float
    half_width: float
    """Median of half the interval, as a share of the truth."""


def _quiet(draw: Random, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    zero = np.zeros((rounds, CELLS))
    return zero, zero


def _drift(draw: Random, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """The clock goes up and down by 10 % while rounds are taken; the kernel sees it."""
    phase = draw.uniform(0, 2 * math.pi)
    state = 0.05 * (1 + np.sin(phase + np.linspace(0, 3, rounds * CELLS))).reshape(rounds, CELLS)
    return state, state


def _bursts(draw: Random, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """A block in ten is slowed by up to twice, and the kernel sees half of these."""
    hit = draw.random((rounds, CELLS)) < 0.1
    slowed = np.where(hit, np.log(draw.uniform(1.1, 2.0, (rounds, CELLS))), 0.0)
    return slowed, np.where(draw.random((rounds, CELLS)) < 0.5, slowed, 0.0)


def _two_clocks(draw: Random, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Blocks find either of two clocks, 30 % apart, and the kernel too."""
    state = np.where(draw.random((rounds, CELLS)) < 0.5, math.log(1.3), 0.0)
    return state, state


def _steal(draw: Random, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """The hypervisor takes a share of each round, 3.7 % as a rule; the kernel is too short to see more than its own."""
    usual = math.log1p(0.01 * 3.672)  # the median of what is drawn
    state = np.log1p(draw.gamma(4.0, 0.01, rounds))[:, None] - usual
    return np.broadcast_to(state, (rounds, CELLS)), draw.normal(0, 0.01, (rounds, CELLS))


KINDS: dict[str, Noise] = {
    "quiet": _quiet,
    "drift": _drift,
    "bursts": _bursts,
    "two clocks": _two_clocks,
    "steal": _steal,
}


def coverage(kind: str, cells: int, rounds: int = 5, seed: int = 0) -> Coverage:
    """Of so many cells at least."""
    draw, held, tried, widths = np.random.default_rng((seed, rounds)), 0, 0, []
    while tried < cells:
        true = np.exp(draw.uniform(-8, -3, CELLS))
        elasticity = draw.normal(1.0, 0.15, CELLS)
        slowed, kernel = KINDS[kind](draw, rounds)
        logs = np.log(true) + slowed * elasticity + draw.normal(0, 0.01, (rounds, CELLS))
        seen = kernel + draw.normal(0, 0.005, (rounds, CELLS))
        blocks = [
            RoundBlock(cell, number, float(np.exp(logs[number, cell])), KERNEL_S * float(np.exp(seen[number, cell])))
            for number in range(rounds)
            for cell in range(CELLS)
        ]
        for cell, found in estimates(blocks, KERNEL_S, seed=tried).items():
            assert found.ci_low_s is not None
            assert found.ci_high_s is not None
            held += found.ci_low_s <= true[cell] <= found.ci_high_s
            widths.append((found.ci_high_s - found.ci_low_s) / 2 / true[cell])
            tried += 1
    return Coverage(held / tried, float(np.median(widths)))


def main(cells: int) -> None:
    """Print a line for each kind of noise and number of rounds."""
    for kind in KINDS:
        for rounds in (2, 3, 5, 10, 20):
            found = coverage(kind, cells, rounds)
            print(
                f"{kind:<12} {rounds:>2} rounds: {found.share:.1%} hold the truth, ±{found.half_width:.1%}", flush=True
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
