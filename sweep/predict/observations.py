"""What was measured: one value a network, level of pruning and batch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from sweep.errors import StudyError
from sweep.predict.plain_table import read_table, require_numbers

__all__ = ["Observations", "Variable", "read_observations"]


class Variable(StrEnum):
    """What a predictor tells."""

    LATENCY = "latency"
    """Milliseconds of one call, or of one training step."""
    MEMORY = "memory"
    """MiB at the peak."""


VALUE_COLUMN = {Variable.LATENCY: "latency_ms", Variable.MEMORY: "mem_used_mib"}
"""Which column of a table of measurements holds the variable, where none is named."""
UNIT = {Variable.LATENCY: "ms", Variable.MEMORY: "MiB"}


@dataclass(frozen=True, slots=True)
class Observations:
    """Measured values of one variable; each array has shape [rows]."""

    network: np.ndarray
    level_percent: np.ndarray
    batch: np.ndarray
    value: np.ndarray
    """In the variable's unit."""
    failed: int = 0
    """How many rows of the table were left out, since the measurement had failed."""
    device: np.ndarray | None = None
    """On which device; None where the table does not say."""

    def __len__(self) -> int:
        return len(self.value)

    def where(self, chosen: np.ndarray) -> Observations:
        """Gives the rows that a boolean array or an array of indices chooses."""
        return Observations(
            self.network[chosen],
            self.level_percent[chosen],
            self.batch[chosen],
            self.value[chosen],
            self.failed,
            None if self.device is None else self.device[chosen],
        )

    @property
    def networks(self) -> list[str]:
        return sorted(set(self.network.tolist()))

    @property
    def ids(self) -> list[str]:
        """A name a row: network, level and batch."""
        rows = zip(self.network, self.level_percent, self.batch, strict=True)
        return [f"{network}@{level:g}%x{int(batch)}" for network, level, batch in rows]


def read_observations(path: Path, variable: Variable, column: str | None = None) -> Observations:
    """Reads a table of measurements.

    Args:
        path: CSV with `network`, `level_percent`, `batch`, `variable`, `passed` (1, or 0 where the measurement failed)
            and the column that holds the value; `device` where it is of several.
        variable: the rows to take.
        column: the column that holds the value; default `latency_ms` or `mem_used_mib`.

    Raises:
        StudyError: the file, a column or a value is not what it should be; the line is named.
    """
    column = column or VALUE_COLUMN[variable]
    table = read_table(path, ("network", "level_percent", "batch", "variable", "passed", column))
    require_numbers(path, table, ("level_percent",), least=0)
    require_numbers(path, table, ("batch",), least=1)
    require_numbers(path, table, ("passed",), least=0)
    known = {str(one) for one in Variable}
    for line, name in zip(table["line"], table["variable"], strict=True):
        if name not in known:
            raise StudyError(f"{path}:{line}: variable: {name!r}; allowed: {', '.join(sorted(known))}")
    table = table[table["variable"] == str(variable)]
    passed = table[table["passed"] > 0].copy()
    if passed.empty:
        raise StudyError(f"{path}: no row with variable {variable} and passed 1")
    require_numbers(path, passed, (column,), least=1e-9)
    return Observations(
        passed["network"].astype(str).to_numpy(),
        passed["level_percent"].to_numpy(dtype=float),
        passed["batch"].to_numpy(dtype=float),
        passed[column].to_numpy(dtype=float),
        failed=len(table) - len(passed),
        device=passed["device"].astype(str).to_numpy() if "device" in passed else None,
    )
