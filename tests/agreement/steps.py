"""How far apart two codes of a network's output lie, as its file tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["Agreement", "agreement", "output_steps"]

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_PASSING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Transpose")
_LEVELS = 127
_ROUNDING = 1e-3
"""Of a step: floats that stand for codes are not exact."""

_Array = npt.NDArray[Any]


def output_steps(path: Path) -> list[float | None]:
    """Of each output: what one code is worth, 1 where it is a code itself; None where floats are computed behind the
    last codes.
    """
    if path.suffix == ".tflite":
        return [1.0]
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    made = {name: node for node in graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in graph.initializer}

    def step(name: str) -> float | None:
        node = made.get(name)
        if node is not None and node.op_type in _PASSING:
            return step(node.input[0])
        if node is None or node.op_type != "DequantizeLinear" or node.input[1] not in stored:
            return None
        return float(numpy_helper.to_array(stored[node.input[1]]).max())

    return [step(output.name) for output in graph.output]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of all samples."""

    outputs: int
    within_a_step: float
    """Share of the numbers of all outputs."""
    samples: int
    same_class: float | None
    """Share of the samples; None of a network whose outputs are no classes."""
    most_steps: float


def agreement(found: list[list[_Array]], wanted: list[list[_Array]], steps: list[float | None]) -> Agreement:
    """Of the outputs of each sample. A step that is not known is a 127th of the output's largest value."""
    near = numbers = same = classes = 0
    most = 0.0
    for index, (one, other) in enumerate(zip(zip(*found, strict=True), zip(*wanted, strict=True), strict=True)):
        ours, theirs = (np.stack(each).astype(np.float64).reshape(len(each), -1) for each in (one, other))
        known = steps[index] if index < len(steps) else None
        is_code = np.asarray(one[0]).dtype.kind in "iu"
        step = 1.0 if is_code else known if known is not None else float(np.abs(theirs).max()) / _LEVELS
        apart = np.abs(ours - theirs) / (step or 1.0)
        near += int((apart <= 1 + _ROUNDING).sum())
        numbers += apart.size
        most = max(most, float(apart.max()))
        if index == 0 and ours.shape[1] > 1:
            same += int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
            classes += len(ours)
    return Agreement(numbers, near / numbers, len(found), same / classes if classes else None, most)
