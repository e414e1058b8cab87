"""Which plans are counted and not made, without NumPy for those that are not."""

from __future__ import annotations

import math

from sweep.planning.sharing.alike import CountedPlan
from sweep.study.cluster.cluster import Cluster
from sweep.study.spec import Study

__all__ = ["counted_if_large"]

_LARGE = 5_000
"""Cells of a grid that are counted quicker than planned: to import NumPy takes as long as to plan 5,000."""


def counted_if_large(study: Study, cluster: Cluster) -> CountedPlan | None:
    """The plan of a study in numbers, where that is worth the import of NumPy and can be had.

    Raises:
        StudyError: the study does not go with the cluster.
    """
    if math.prod(map(len, study.axes.values())) * len(cluster.devices) < _LARGE:
        return None
    from sweep.planning.sharing.counted_plan import count_plan

    return count_plan(study, cluster)
