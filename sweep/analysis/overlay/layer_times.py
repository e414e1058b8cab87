"""The time of each configuration of a layer on each device, or the reason why there is none. Knows no tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["LayerTimes"]


@dataclass(frozen=True, slots=True, eq=False)
class LayerTimes:
    """Times of the candidates of one layer. Raises ValueError for what contradicts itself."""

    layer: str
    """What people call the workload; distinct among the layers of a model."""
    workload: str
    weight: int
    """How often the model calls it."""
    configurations: Sequence[str]
    """Ids, distinct, in any order."""
    devices: Sequence[str]
    """Tracker keys, distinct, at least one."""
    seconds: NDArray[np.float64]
    """Shape (configurations, devices); NaN where there is no time, never a number that stands for a failure."""
    failures: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """Why a configuration that was tried on a device has no time there, by row and column of `seconds`. What has
    neither was not measured.
    """
    found: NDArray[np.bool_] | None = None
    """Shape as `seconds`: whether the device's own search proposed the configuration, and it was not brought from
    another. None: wherever it has a time.
    """
    screened: NDArray[np.float64] | None = None
    """Shape as `seconds`: what the device's own search measured, NaN where it found nothing. Who is among the best of a
    device is asked of these, so that measuring candidates makes no others of them. None: `seconds`, where `found`.
    """

    def __post_init__(self) -> None:
        shape = (len(self.configurations), len(self.devices))
        if any(one is not None and one.shape != shape for one in (self.seconds, self.found, self.screened)):
            raise ValueError(f"{self.layer}: times of {shape[0]} configurations on {shape[1]} devices have that shape")
        if not self.devices or len(set(self.devices)) != shape[1] or len(set(self.configurations)) != shape[0]:
            raise ValueError(f"{self.layer}: takes devices, and has each device and configuration once")
        low = np.fmin.reduce(self.seconds, axis=None, initial=np.nan)
        if low <= 0 or np.fmax.reduce(self.seconds, axis=None, initial=np.nan) == np.inf:
            raise ValueError(f"{self.layer}: a time is a positive number of seconds, and a failure has none")
        if any(not np.isnan(self.seconds[cell]) for cell in self.failures):
            raise ValueError(f"{self.layer}: what failed on a device has no time there")

    def reason(self, row: int, column: int) -> str | None:
        """Why a configuration has no time on a device; None where it has one."""
        if not np.isnan(self.seconds[row, column]):
            return None
        failure = self.failures.get((row, column))
        key = self.devices[column]
        return f"not measured on {key}" if failure is None else f"failed on {key}: {failure}"

    def reasons(self) -> Counter[str]:
        """How many configurations are out for each reason; one that is out on two devices counts for both."""
        found: Counter[str] = Counter()
        missing = np.isnan(self.seconds).sum(axis=0)
        for (_, column), failure in self.failures.items():
            found[f"failed on {self.devices[column]}: {failure}"] += 1
            missing[column] -= 1
        for key, count in zip(self.devices, missing.tolist(), strict=True):
            found[f"not measured on {key}"] += count
        return +found

    def rows(self, kept: NDArray[np.intp]) -> LayerTimes:
        """These configurations alone, in this order."""
        renumbered = {row: index for index, row in enumerate(kept.tolist())}
        return replace(
            self,
            configurations=[self.configurations[row] for row in renumbered],
            seconds=self.seconds[kept],
            failures={
                (renumbered[row], column): why for (row, column), why in self.failures.items() if row in renumbered
            },
            found=None if self.found is None else self.found[kept],
            screened=None if self.screened is None else self.screened[kept],
        )

    def on(self, devices: Sequence[str]) -> LayerTimes:
        """These devices alone, in this order; every configuration stays. Raises ValueError for an unknown one."""
        columns = [list(self.devices).index(key) for key in devices]
        renumbered = {column: index for index, column in enumerate(columns)}
        return replace(
            self,
            devices=list(devices),
            seconds=self.seconds[:, columns],
            failures={
                (row, renumbered[column]): why for (row, column), why in self.failures.items() if column in renumbered
            },
            found=None if self.found is None else self.found[:, columns],
            screened=None if self.screened is None else self.screened[:, columns],
        )

    def best_of_each(self, count: int) -> LayerTimes:
        """Only the union over the devices of the `count` fastest that each one's own search found.

        By what that search measured. Of equal times the lesser id is taken.
        """
        if count < 1:
            raise ValueError("at least one configuration of each device is kept")
        kept: set[int] = set()
        for column in range(len(self.devices)):
            own_s = (self.seconds if self.screened is None else self.screened)[:, column]
            if self.screened is None and self.found is not None:
                own_s = np.where(self.found[:, column], own_s, np.nan)
            known = np.flatnonzero(~np.isnan(own_s))
            if len(known) > count:
                known = known[own_s[known] <= np.partition(own_s[known], count - 1)[count - 1]]
            kept.update(sorted(known.tolist(), key=lambda row: (own_s[row], self.configurations[row]))[:count])
        return self.rows(np.array(sorted(kept), dtype=np.intp))
