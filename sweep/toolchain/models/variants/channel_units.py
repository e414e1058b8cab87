"""Channels of a network that go together: the filter that makes one, and all that is added to it or scales it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["STAYS", "Labels", "Units"]

Labels = npt.NDArray[np.int64]
"""For each index of an axis the unit that it belongs to."""

STAYS = 0
"""The unit of all that cannot go."""


class Units:
    """Sets of channels, united as an analysis finds that one cannot go without the other."""

    def __init__(self) -> None:
        self._parents: list[int] = [STAYS]

    def new(self, count: int) -> Labels:
        """Labels of channels that go alone, as far as is known."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count, dtype=np.int64)

    def unite(self, one: Labels, other: Labels) -> None:
        """Let channels at the same place go together only."""
        for left, right in {(int(a), int(b)) for a, b in zip(one, other, strict=True) if a != b}:
            roots = sorted((self._root(left), self._root(right)))
            self._parents[roots[1]] = roots[0]

    def keep(self, labels: Labels) -> None:
        """Let these stay."""
        self.unite(labels, np.full(labels.shape, STAYS, dtype=np.int64))

    def roots(self, labels: Labels) -> Labels:
        """One label for all channels that go together."""
        return np.array([self._root(int(label)) for label in labels], dtype=np.int64)

    def _root(self, label: int) -> int:
        parents: Any = self._parents
        while parents[label] != label:
            parents[label] = parents[parents[label]]
            label = parents[label]
        return label
