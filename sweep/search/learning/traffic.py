"""Bytes that a tiled loop nest moves into caches of given sizes, from its tiles alone.

The loops are walked from the innermost outwards. As long as what is inside a loop fits a cache, the next time round
finds there what it uses again, and the loop brings in what is new in it; from the first one on of which that is not so,
each time round brings in everything anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sweep.search.learning.features import Floats, Tiling, footprints
from sweep.search.space import LoopNest

__all__ = ["traffic"]

_LEVELS = ((True, 2), (False, 0), (True, 1), (True, 0))
"""Of SSRSRS behind the innermost two, from there outwards: whether spatial, and which factor of a tile."""


def traffic(nest: LoopNest, tiling: Tiling, caches: Sequence[float]) -> list[Floats]:
    """Bytes that come into each of these caches while the whole nest runs, shape (points,) each.

    caches: their sizes in bytes.
    """
    spatial, reduction = tiling.spatial[:, :, 3].copy(), tiling.reduction[:, :, 1].copy()
    inside = footprints(nest, tiling, spatial, reduction)
    moved = [list(inside) for _ in caches]
    fits = [np.ones(len(spatial), bool) for _ in caches]
    for is_spatial, level in _LEVELS:
        factors, reached = (tiling.spatial, spatial) if is_spatial else (tiling.reduction, reduction)
        for column in reversed(range(factors.shape[1])):
            times = factors[:, column, level]
            if (times == 1).all():
                continue
            reached[:, column] *= times
            size, outside = sum(inside), footprints(nest, tiling, spatial, reduction)
            for number, cache in enumerate(caches):
                fits[number] &= (size <= cache) | (times == 1)
                moved[number] = [
                    np.where(fits[number], whole, one * times)
                    for one, whole in zip(moved[number], outside, strict=True)
                ]
            inside = outside
    return [np.asarray(sum(each)) for each in moved]
