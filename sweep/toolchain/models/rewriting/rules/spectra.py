"""Fourier transforms as products with matrices of cosines and sines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES"]


def _transform(network: Rewriter, call: Call) -> Sequence[str] | None:
    """DFT along an axis of a tensor whose last axis has the real and the imaginary parts, or the real ones alone."""
    shape = network.shape(call.input(0))
    length = network.constant(call.input(1)) if call.input(1) else None
    given = network.constant(call.input(2)) if call.input(2) else None
    if shape is None or (call.input(1) and length is None) or (call.input(2) and given is None):
        return None
    default = -2 if network.opset >= 20 else 1
    axis = int(given.reshape(-1)[0]) if given is not None else int(call.get("axis", default))
    axis %= len(shape)
    inverse, half = bool(call.get("inverse", 0)), bool(call.get("onesided", 0))
    taken = int(length.reshape(-1)[0]) if length is not None else shape[axis]
    if inverse and half:
        if length is None:
            taken = 2 * (shape[axis] - 1)
        return _to_real(network, call.input(0), shape, axis, taken)
    return [_complex(network, call.input(0), shape, axis, _matrix(shape[axis], taken, inverse, half))]


def _matrix(given: int, taken: int, inverse: bool, half: bool) -> Any:
    """[taken, from, to] -> complex; what is given beyond what is taken is left out, what is missing is zero."""
    count = taken // 2 + 1 if half else taken
    turns = np.outer(np.arange(min(given, taken)), np.arange(count)) / taken
    matrix = np.exp((2j if inverse else -2j) * np.pi * turns) / (taken if inverse else 1)
    return np.concatenate([matrix, np.zeros((max(0, given - taken), count))])


def _complex(network: Rewriter, value: str, shape: Sequence[int], axis: int, matrix: Any) -> str:
    """The product along an axis, as pairs of real and imaginary parts in the last axis."""
    kind, last = network.dtype(value), len(shape) - 1
    parts = [network.op("Gather", value, np.array(index), axis=last) for index in range(shape[-1])]
    cosines, sines = matrix.real.astype(kind), matrix.imag.astype(kind)
    real = network.along(parts[0], axis, cosines)
    imaginary = network.along(parts[0], axis, sines)
    if len(parts) > 1:
        real = network.op("Sub", real, network.along(parts[1], axis, sines))
        imaginary = network.op("Add", imaginary, network.along(parts[1], axis, cosines))
    at = np.array([last])
    return network.op("Concat", *(network.op("Unsqueeze", part, at) for part in (real, imaginary)), axis=last)


def _to_real(network: Rewriter, value: str, shape: Sequence[int], axis: int, taken: int) -> list[str] | None:
    """The inverse of a half spectrum: all but the ends count twice."""
    kind, last, count = network.dtype(value), len(shape) - 1, taken // 2 + 1
    if shape[-1] != 2:
        return None
    weights = np.full(count, 2.0)
    weights[0] = 1.0
    if taken % 2 == 0:
        weights[-1] = 1.0
    matrix = np.exp(2j * np.pi * np.outer(np.arange(count), np.arange(taken)) / taken) * weights[:, None] / taken
    matrix = np.concatenate([matrix, np.zeros((max(0, shape[axis] - count), taken))])[: shape[axis]]
    real, imaginary = (network.op("Gather", value, np.array(index), axis=last) for index in (0, 1))
    product = network.op(
        "Sub",
        network.along(real, axis, matrix.real.astype(kind)),
        network.along(imaginary, axis, matrix.imag.astype(kind)),
    )
    return [network.op("Unsqueeze", product, np.array([last]))]


def _short_time(network: Rewriter, call: Call) -> Sequence[str] | None:
    """STFT of frames of a signal, each times a window."""
    shape = network.shape(call.input(0))
    step = network.constant(call.input(1))
    length = network.constant(call.input(3)) if call.input(3) else None
    window = network.shape(call.input(2)) if call.input(2) else None
    if shape is None or step is None or (call.input(3) and length is None) or (length is None and window is None):
        return None
    size = int(length.reshape(-1)[0]) if length is not None else (window or (0,))[0]
    jump, samples = int(step.reshape(-1)[0]), shape[1]
    places = np.arange(0, samples - size + 1, jump)[:, None] + np.arange(size)
    frames = network.op("Gather", call.input(0), places, axis=1)
    if len(shape) == 2:
        frames = network.op("Unsqueeze", frames, np.array([3]))
    if call.input(2):
        frames = network.op("Mul", frames, network.op("Unsqueeze", call.input(2), np.array([1])))
    whole = network.shape(frames)
    if whole is None:
        return None
    return [_complex(network, frames, whole, 2, _matrix(size, size, False, bool(call.get("onesided", 1))))]


RULES: dict[str, Rule] = {"DFT": _transform, "STFT": _short_time}
