"""The convolutions and dense layers of a network, as numbers: what a predictor knows of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.errors import StudyError
from sweep.predict.plain_table import read_table, require_numbers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LAYER_COLUMNS", "LayerGeometry", "Variant", "read_layers", "stack_layers"]

Variant = tuple[str, float]
"""A network and its level of pruning in percent: what has a geometry of its own."""

CONVOLUTION, DENSE = "conv2d", "dense"
NUMBERS = (
    "in_channels", "out_channels", "kernel_h", "kernel_w", "stride", "padding", "groups",
    "in_h", "in_w", "out_h", "out_w",
)  # fmt: skip
OF_DENSE = dict.fromkeys(NUMBERS[2:], 1) | {"padding": 0}
"""What a dense layer is as a convolution, where its row leaves the cell empty."""
LAYER_COLUMNS = ("network", "level_percent", "index", "op", *NUMBERS)


@dataclass(frozen=True, slots=True)
class LayerGeometry:
    """The layers of one network at batch 1, an entry a layer in order of execution; each array has shape [layers]."""

    in_channels: np.ndarray
    out_channels: np.ndarray
    kernel_h: np.ndarray
    kernel_w: np.ndarray
    stride: np.ndarray
    padding: np.ndarray
    groups: np.ndarray
    in_h: np.ndarray
    in_w: np.ndarray
    out_h: np.ndarray
    out_w: np.ndarray
    is_dense: np.ndarray
    """Whether the layer is a matrix product; all others are convolutions."""

    def __len__(self) -> int:
        return len(self.in_channels)

    def is_same_as(self, other: LayerGeometry) -> bool:
        """Whether another has the same layers: arrays have no `==` that says so."""
        names = (each.name for each in fields(self))
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    @property
    def weights(self) -> np.ndarray:
        """Number of weights a layer, biases left out."""
        return np.asarray(self.additions * self.out_channels)

    @property
    def additions(self) -> np.ndarray:
        """How many products are added up to one output value of a layer."""
        return np.asarray(self.in_channels / self.groups * self.kernel_h * self.kernel_w)

    @property
    def inputs(self) -> np.ndarray:
        """Number of input values a layer, for one sample."""
        return np.asarray(self.in_channels * self.in_h * self.in_w)

    @property
    def outputs(self) -> np.ndarray:
        """Number of output values a layer, for one sample."""
        return np.asarray(self.out_channels * self.out_h * self.out_w)

    @property
    def macs(self) -> np.ndarray:
        """Multiply-accumulates a layer, for one sample."""
        return np.asarray(self.weights * self.out_h * self.out_w)

    @property
    def is_depthwise(self) -> np.ndarray:
        """Whether a convolution has more than one group, so that little arithmetic is done with each value it reads."""
        return np.asarray((self.groups > 1) & ~self.is_dense)

    @property
    def reads_new_values(self) -> np.ndarray:
        """Whether a layer's input is a tensor of its own, and not the input of the layer before it once more.

        Branches that start at one tensor (a fire module's two expansions) keep it once. Guessed from shapes: the input
        has the shape of the former layer's input and not that of its output.
        """
        same_input = np.zeros(len(self), dtype=bool)
        after = slice(1, None)
        before = slice(None, -1)
        as_its_input = (self.in_channels[after] == self.in_channels[before]) & (self.in_h[after] == self.in_h[before])
        as_its_output = (self.in_channels[after] == self.out_channels[before]) & (
            self.in_h[after] == self.out_h[before]
        )
        same_input[after] = as_its_input & ~as_its_output
        return ~same_input


def stack_layers(rows: list[dict[str, Any]]) -> LayerGeometry:
    """Makes the geometry of a network from one mapping a layer, with the keys of `NUMBERS` and `op`."""
    columns = {name: np.array([float(row[name]) for row in rows]) for name in NUMBERS}
    return LayerGeometry(**columns, is_dense=np.array([row["op"] == DENSE for row in rows]))


def read_layers(path: Path) -> dict[Variant, LayerGeometry]:
    """Reads a table of layers.

    Args:
        path: CSV with the columns of `LAYER_COLUMNS`, a row a layer, at batch 1. A dense layer may leave empty what it
            does not have.

    Raises:
        StudyError: the file, a column or a value is not what it should be; the line is named.
    """
    table = read_table(path, LAYER_COLUMNS)
    _require_known_operators(path, table)
    for name, value in OF_DENSE.items():
        table[name] = table[name].astype(object).where(table[name].notna() | (table["op"] != DENSE), value)
    require_numbers(path, table, ("level_percent", "index"), least=0)
    require_numbers(path, table, tuple(name for name in NUMBERS if name != "padding"), least=1)
    require_numbers(path, table, ("padding",), least=0)
    variants = list(zip(table["network"].astype(str), table["level_percent"].astype(float), strict=True))
    places: dict[Variant, list[int]] = {}
    for place, variant in enumerate(variants):
        places.setdefault(variant, []).append(place)
    return {variant: _from_rows(table.iloc[rows].sort_values("index")) for variant, rows in sorted(places.items())}


def _from_rows(rows: pd.DataFrame) -> LayerGeometry:
    columns = {name: rows[name].to_numpy(dtype=float) for name in NUMBERS}
    return LayerGeometry(**columns, is_dense=(rows["op"] == DENSE).to_numpy())


def _require_known_operators(path: Path, table: pd.DataFrame) -> None:
    for line, op in zip(table["line"], table["op"], strict=True):
        if op not in {CONVOLUTION, DENSE}:
            raise StudyError(f"{path}:{line}: op: {op!r}; allowed: {CONVOLUTION}, {DENSE}")
