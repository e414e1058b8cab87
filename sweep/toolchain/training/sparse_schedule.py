"""When weights are pruned while a network trains, and how many by then. Pure.

The share rises fast at first and slowly in the end, as a cubic: Zhu and Gupta, "To prune, or not to prune" (2017).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["SparseSchedule", "rates_of"]


@dataclass(frozen=True, slots=True)
class SparseSchedule:
    """Steps of training: dense ones, those in which weights go, those with what is left."""

    pretrain_steps: int
    sparse_steps: int
    finetune_steps: int
    frequency: int
    """Weights go at every so many of the sparse steps, and at the last of them."""

    @property
    def steps(self) -> int:
        """All of them."""
        return self.pretrain_steps + self.sparse_steps + self.finetune_steps

    def speed(self, step: int) -> float:
        """Of the learning rate, after this many steps: all of it until no more weights go, then down to a hundredth as
        half a cosine; from the beginning where nothing comes after.
        """
        full = self.pretrain_steps + self.sparse_steps if self.finetune_steps else 0
        done = max(0, step - full) / max(1, self.steps - full)
        return 0.01 + 0.495 * (1 + math.cos(math.pi * done))

    def share(self, step: int) -> float | None:
        """Of the final rate, how much is to be gone after this many steps; None where nothing goes then."""
        done = step - self.pretrain_steps
        if done < 0 or done > self.sparse_steps or (done == 0 and self.sparse_steps):
            return None
        if done == self.sparse_steps:
            return 1.0
        return 1.0 - (1.0 - done / self.sparse_steps) ** 3 if done % self.frequency == 0 else None


def rates_of(
    layers: Mapping[str, Sequence[int]],
    level: float,
    rates: Mapping[str, float],
    *,
    exclude_first: bool = False,
    distribution: str = "by-size",
) -> list[float]:
    """The final rate of each layer: that of the first pattern of `rates` that fits its name; of the others together the
    level.

    layers: shapes of their weights, by name. distribution: `by-size`, a layer keeps the more of its weights the fewer
    it has for its sides (Erdos-Renyi-Kernel: Evci et al., "Rigging the Lottery", 2020); `uniform`, each loses the same.
    Raises ValueError for a pattern that fits no layer; the text is the pattern.
    """
    for pattern in rates:
        if not any(fnmatchcase(layer, pattern) for layer in layers):
            raise ValueError(pattern)
    found: dict[str, float] = {}
    for number, layer in enumerate(layers):
        named = next((rate for pattern, rate in rates.items() if fnmatchcase(layer, pattern)), None)
        if named is not None:
            found[layer] = named
        elif exclude_first and number == 0:
            found[layer] = 0.0
    others = {layer: shape for layer, shape in layers.items() if layer not in found}
    spread = _by_size(others, level) if distribution == "by-size" else dict.fromkeys(others, level)
    return [{**spread, **found}[layer] for layer in layers]


def _by_size(layers: Mapping[str, Sequence[int]], level: float) -> dict[str, float]:
    sizes = {layer: math.prod(shape) for layer, shape in layers.items()}
    raw = {layer: sum(shape) / sizes[layer] for layer, shape in layers.items()}
    left = (1 - level) * sum(sizes.values())
    whole: set[str] = set()
    while True:  # what would keep more than all its weights keeps all, and the others share the rest
        rest = sum(raw[layer] * sizes[layer] for layer in layers if layer not in whole)
        factor = (left - sum(sizes[layer] for layer in whole)) / rest if rest else 0.0
        full = {layer for layer in layers if layer not in whole and raw[layer] * factor >= 1}
        if not full:
            break
        whole |= full
    return {layer: 0.0 if layer in whole else 1 - max(0.0, raw[layer] * factor) for layer in layers}
