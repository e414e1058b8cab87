"""Estimates latencies from blocks of cells that took turns on a device, as far as the state of the machine is seen.

log time = cell + round + elasticity x (log sentinel kernel - its usual). Blocks of a round share what it was like, and
the sentinel kernel beside a block tells part of it; how much a cell slows when the kernel does is its own elasticity,
which is held near 1 where few blocks tell it. Outlying blocks and rounds count less (Huber's weights, iterated least
squares). Intervals are a bootstrap over rounds, which are what was drawn independently, at Student's width: few
rounds give wide ones. What the bootstrap cannot see is added: an elasticity that is held near 1 stays near it in every
draw, and a kernel that is slow throughout then moves the cell. Pure; knows no cell and no file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.repeats import student_t

__all__ = ["Estimate", "RoundBlock", "estimates"]

Array = NDArray[np.float64]

DRAWS = 200
LEVEL = 0.95
HUBER_K = 1.345
STEPS = 12
ELASTICITY_SPREAD = 0.3
"""How far from 1 a cell's elasticity is as a rule: networks that wait for memory slow less than the kernel."""
LEAST_SPREAD = 1e-4
"""Of residuals: clocks are no better."""


@dataclass(frozen=True, slots=True)
class RoundBlock:
    """A block of repeats."""

    cell: int
    round: int
    median_s: float
    kernel_s: float | None
    """Of the sentinel kernel around it; None where it was not timed."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A cell's latency where the sentinel kernel takes its usual time, in seconds, with its 95 % interval."""

    latency_s: float
    ci_low_s: float | None
    """None where a single round tells no spread."""
    ci_high_s: float | None
    rounds: int
    elasticity: float


def estimates(blocks: Sequence[RoundBlock], usual_kernel_s: float | None, *, seed: int = 0) -> dict[int, Estimate]:
    """An estimate for each cell. usual_kernel_s: what the kernel takes as a rule; None: the least quarter of these."""
    if not blocks:
        return {}
    cells = sorted({block.cell for block in blocks})
    rounds = sorted({block.round for block in blocks})
    fit = _Fit(blocks, cells, rounds, _kernel_logs(blocks, usual_kernel_s))
    cell_logs, slopes = fit.solved(np.ones((1, len(rounds))))
    counts = np.random.default_rng(seed).multinomial(len(rounds), np.full(len(rounds), 1 / len(rounds)), DRAWS)
    drawn, _ = fit.solved(counts.astype(np.float64), has_all=False)
    found = {}
    for index, cell in enumerate(cells):
        own = len({block.round for block in blocks if block.cell == cell})
        value, low, high = float(cell_logs[0, index]), None, None
        draws = drawn[:, index][np.isfinite(drawn[:, index])]
        if own > 1 and len(draws) > DRAWS // 4:
            spread = float(draws.std(ddof=1)) * math.sqrt(own / (own - 1)) * fit.widened(index)
            reach = student_t(LEVEL, own - 1) * max(spread, LEAST_SPREAD / math.sqrt(own))
            reach = math.hypot(reach, student_t(LEVEL, math.inf) * fit.held_back(index))  # whose spread is assumed
            low, high = math.exp(value - reach), math.exp(value + reach)
        found[cell] = Estimate(math.exp(value), low, high, own, float(slopes[0, index]))
    return found


def _kernel_logs(blocks: Sequence[RoundBlock], usual_kernel_s: float | None) -> Array:
    """Logarithm of the kernel's time over its usual one; 0 where it was not timed."""
    known = np.asarray([block.kernel_s or math.nan for block in blocks])
    if not np.isfinite(known).any():
        return np.zeros(len(blocks))
    usual = float(np.nanquantile(known, 0.25)) if usual_kernel_s is None else usual_kernel_s
    logs: Array = np.nan_to_num(np.log(known / usual))
    return logs


class _Fit:
    """Weighted least squares of cells, rounds and elasticities, for several weightings of the rounds at once."""

    def __init__(
        self, blocks: Sequence[RoundBlock], cells: Sequence[int], rounds: Sequence[int], kernel: Array
    ) -> None:
        self._cell = np.asarray([cells.index(block.cell) for block in blocks])
        self._round = np.asarray([rounds.index(block.round) for block in blocks])
        self._cells, self._rounds = len(cells), len(rounds)
        # An elasticity is told as its departure from 1, so that nothing departs where nothing tells it
        self._values = np.log([block.median_s for block in blocks]) - kernel
        rows, size = np.arange(len(blocks)), 2 * self._cells + self._rounds
        self._design = np.zeros((len(blocks), size))
        self._design[rows, self._cell] = 1.0
        self._design[rows, self._cells + self._round] = 1.0
        self._design[rows, self._cells + self._rounds + self._cell] = kernel
        self._block_weights, self._round_weights = np.ones(len(blocks)), np.ones(self._rounds)
        self._noise, self._round_spread = 0.01, 0.003
        self._reweight()

    def solved(self, counts: Array, *, has_all: bool = True) -> tuple[Array, Array]:
        """Logarithms of the cells and their elasticities. counts: how often each round counts, a row a weighting; a
        cell of which no round counts is NaN.
        """
        solution = self._solve(counts)
        cell_logs, slopes = solution[:, : self._cells], 1.0 + solution[:, self._cells + self._rounds :]
        if not has_all:
            seen = np.zeros((len(counts), self._cells))
            for cell in range(self._cells):
                seen[:, cell] = counts[:, np.unique(self._round[self._cell == cell])].sum(axis=1)
            cell_logs = np.where(seen > 0, cell_logs, math.nan)
        return cell_logs, slopes

    def widened(self, cell: int) -> float:
        """By what the bootstrap, which leaves weights as they are, tells too small a spread of a cell (Huber 1981)."""
        own = self._block_weights[self._cell == cell]
        return max(_widened(own), _widened(self._round_weights))

    def held_back(self, cell: int) -> float:
        """By what the logarithm of a cell is off, as a rule, because elasticities are held near 1: they are spread by
        `ELASTICITY_SPREAD`, and what the blocks do not tell of them is taken as nothing.
        """
        normal, _ = self._equations(np.ones((1, self._rounds)))
        unit = np.zeros(normal.shape[1])
        unit[cell] = 1.0
        own = np.linalg.solve(normal[0], unit)[self._cells + self._rounds :]
        return float(np.linalg.norm(own) * self._noise**2 / ELASTICITY_SPREAD)

    def _reweight(self) -> None:
        all_once = np.ones((1, self._rounds))
        # Each block takes part of a degree of freedom, and what is left looks smaller than it is
        freedom = max(0.25, 1 - (self._cells + self._rounds) / len(self._values))
        for _ in range(STEPS):
            solution = self._solve(all_once)[0]
            residuals = self._values - self._design @ solution
            spread = 1.4826 * float(np.median(np.abs(residuals))) / math.sqrt(freedom)
            self._noise = max(LEAST_SPREAD, spread)
            self._block_weights = _huber_weights(residuals, self._noise)
            effects = solution[self._cells : self._cells + self._rounds]
            effects = effects - np.median(effects)
            spread = 1.4826 * float(np.median(np.abs(effects)))
            self._round_spread = max(self._noise / 3, spread)
            self._round_weights = _huber_weights(effects, self._round_spread)

    def _solve(self, counts: Array) -> Array:
        normal, right = self._equations(counts)
        return np.asarray(np.linalg.solve(normal, right[..., None])[..., 0], dtype=np.float64)

    def _equations(self, counts: Array) -> tuple[Array, Array]:
        """The normal equations, held where the blocks tell too little."""
        weights = counts[:, self._round] * self._block_weights
        normal = np.einsum("dn,np,nq->dpq", weights, self._design, self._design, optimize=True)
        right = np.einsum("dn,np,n->dp", weights, self._design, self._values, optimize=True)
        size = normal.shape[1]
        ridge = np.zeros((len(counts), size))
        # Rounds add up to nothing, each as often as it counts: the level is the cells'
        held = (self._noise / self._round_spread) ** 2 * self._round_weights
        ridge[:, self._cells : self._cells + self._rounds] = held * counts + 1e-9
        ridge[:, : self._cells] = 1e-9
        ridge[:, self._cells + self._rounds :] = (self._noise / ELASTICITY_SPREAD) ** 2 + 1e-9
        normal[:, np.arange(size), np.arange(size)] += ridge
        return normal, right


def _widened(weights: Array) -> float:
    return float(weights.mean()) / max(0.5, float((weights > 0.999).mean()))


def _huber_weights(values: Array, scale: float) -> Array:
    weights: Array = np.minimum(1.0, HUBER_K * scale / np.maximum(np.abs(values), 1e-300))
    return weights
