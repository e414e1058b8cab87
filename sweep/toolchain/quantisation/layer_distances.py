"""How far the outputs of a quantised network's layers are from those of the float network, and which layers cost most.

A layer is a convolution, a matrix product or another operator that computes, with the rectifier behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.toolchain.quantisation.calibration_samples import Repeated
from sweep.toolchain.quantisation.prepared_network import session_of
from sweep.toolchain.quantisation.qdq_network import HEAVY, RECTIFIERS, quantisable, quantised
from sweep.toolchain.quantisation.range_table import RangeTable, with_outputs

__all__ = ["Distance", "Layer", "distances", "kept_step_by_step", "layers_of"]

_COMPUTE = (*HEAVY, "Add", "Mul", "Sub", "AveragePool", "GlobalAveragePool", "Concat")
_READ_AS = "_DequantizeLinear_Output"
"""What ONNX Runtime's quantiser calls a tensor as its takers read it."""

_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Layer:
    """An operator that computes."""

    name: str
    operator: str
    nodes: frozenset[str]
    """Its operator, and the rectifier behind it."""
    output: str
    """The tensor that others read."""


@dataclass(slots=True)
class Distance:
    """How far a tensor is from what it should be, over all samples."""

    dot: float = 0.0
    wanted: float = 0.0
    found: float = 0.0
    error: float = 0.0
    max_abs: float = 0.0

    def add(self, wanted: _Array, found: _Array, share: float = 1.0) -> None:
        """Take in what one batch gave; a negative share: out again, of what fills another one."""
        one, other = wanted.ravel().astype(np.float64), found.ravel().astype(np.float64)
        is_finite = np.isfinite(one) & np.isfinite(other)  # what masks and pads has no distance
        if not is_finite.all():
            one, other = one[is_finite], other[is_finite]
        self.dot += share * float(one @ other)
        self.wanted += share * float(one @ one)
        self.found += share * float(other @ other)
        self.error = max(0.0, self.error + share * float(np.sum((one - other) ** 2)))
        if share > 0:
            self.max_abs = max(self.max_abs, float(np.abs(one - other).max(initial=0)))

    @property
    def cosine(self) -> float:
        """1 less the cosine; 1 where one of both is zero and the other is not."""
        if not self.error:
            return 0.0
        size = np.sqrt(self.wanted * self.found)
        return float(1 - self.dot / size) if size else 1.0

    @property
    def snr_db(self) -> float | None:
        """Signal to noise; None without noise or without signal."""
        return float(10 * np.log10(self.wanted / self.error)) if self.error and self.wanted else None

    def told(self, prefix: str) -> dict[str, float | None]:
        """As JSON has it."""
        return {
            f"{prefix}cosine_distance": self.cosine,
            f"{prefix}snr_db": self.snr_db,
            f"{prefix}max_abs_diff": self.max_abs,
        }


def layers_of(model: Any) -> list[Layer]:
    """The layers of a prepared network, in its order."""
    takers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)
    outputs = {value.name for value in model.graph.output}
    found = []
    for node in quantisable(model):
        if node.op_type not in _COMPUTE:
            continue
        nodes, output = {node.name}, str(node.output[0])
        behind = takers.get(output, [])
        if output not in outputs and len(behind) == 1 and behind[0].op_type in RECTIFIERS:
            nodes.add(behind[0].name)
            output = str(behind[0].output[0])
        found.append(Layer(str(node.name), str(node.op_type), frozenset(nodes), output))
    return found


def distances(
    model: Any,
    table: RangeTable,
    options: Mapping[str, Any],
    batches: Sequence[Mapping[str, _Array]],
    repeated: Repeated | None = None,
) -> list[dict[str, Any]]:
    """For each layer: its own distance with all before it quantised, and alone; and that of the network with it alone.

    options: of a precision. batches: inputs. repeated: what the last one is filled with, which shall not count again.
    """
    compared = _Compared(batches, repeated)
    layers = layers_of(model)
    names = [layer.output for layer in layers]
    final = str(model.graph.output[0].name)
    wanted = compared.values(model, [*names, final])
    whole = quantised(model, table, options)
    together = compared.values(whole.model, [*names, final])
    rows = []
    for place, layer in enumerate(layers):
        is_quantised = layer.name in whole.quantised_nodes
        row: dict[str, Any] = {
            "layer": layer.name,
            "operator": layer.operator,
            "output": layer.output,
            "place": place,
            "is_quantised": is_quantised,
            **compared.over(wanted, together, layer.output).told("with_before_"),
        }
        if is_quantised:
            alone = compared.values(quantised(model, table, options, only=layer.nodes).model, [layer.output, final])
            row |= compared.over(wanted, alone, layer.output).told("alone_")
            row |= compared.over(wanted, alone, final).told("alone_final_")
        rows.append(row)
    return rows


def kept_step_by_step(
    model: Any,
    table: RangeTable,
    options: Mapping[str, Any],
    batches: Sequence[Mapping[str, _Array]],
    ranked: Sequence[str],
    most: int,
    repeated: Repeated | None = None,
) -> list[dict[str, Any]]:
    """The distance of the network's output with none, one, two ... of these layers in float32, the first ones first."""
    final, compared = str(model.graph.output[0].name), _Compared(batches, repeated)
    wanted = compared.values(model, [final])
    steps = []
    for count in range(min(most, len(ranked)) + 1):
        kept = {**options, "float32": [*(options.get("float32") or ()), *ranked[:count]]}
        found = compared.values(quantised(model, table, kept).model, [final])
        steps.append({"kept": list(ranked[:count]), **compared.over(wanted, found, final).told("")})
    return steps


_Values = list[dict[str, _Array]]


@dataclass(frozen=True, slots=True)
class _Compared:
    """What both forms of a network are run on."""

    batches: Sequence[Mapping[str, _Array]]
    repeated: Repeated | None

    def values(self, model: Any, names: Iterable[str]) -> _Values:
        """What tensors hold in each batch, and in what fills the last one, as those that take them read them."""
        made = {name for node in model.graph.node for name in node.output}
        outputs = {value.name for value in model.graph.output}
        read = {
            name: f"{name}{_READ_AS}" if f"{name}{_READ_AS}" in made and name not in outputs else name for name in names
        }
        session = session_of(with_outputs(model, read.values()))
        wanted = list(dict.fromkeys(read.values()))
        batches = [*self.batches, *(() if self.repeated is None else (self.repeated.batch,))]
        runs = [dict(zip(wanted, session.run(wanted, dict(batch)), strict=True)) for batch in batches]
        return [{name: run[tensor] for name, tensor in read.items()} for run in runs]

    def over(self, wanted: _Values, found: _Values, name: str) -> Distance:
        """Over all samples, each once: whichever axis of the tensor they lie on, a batch of nothing but what fills the
        last one tells what to take out.
        """
        distance = Distance()
        shares = [1.0] * len(self.batches) + ([] if self.repeated is None else [-self.repeated.share])
        for one, other, share in zip(wanted, found, shares, strict=True):
            distance.add(one[name], other[name], share)
        return distance
