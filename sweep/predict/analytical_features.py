"""Sizes and operation counts of the ways to compute a convolution, summed over a network.

15 features for inference, 56 for training. Source: perf4sight (Rajagopal and Bouganis, ICCV workshops 2021): tensors,
im2col with a matrix product, FFT, and Winograd F(4,3) and F(3,2), each for the forward pass, the gradient of the inputs
and the gradient of the weights. All counts are of elements or multiply-accumulates. A sum over layers loses which layer
is large; `physical_terms` has what this project adds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sweep.predict.layer_geometry import CONVOLUTION, NUMBERS, LayerGeometry, stack_layers

__all__ = ["INFERENCE", "TRAINING", "analytical_features", "feature_names"]

INFERENCE, TRAINING = "inference", "training"
TILES = ((4, 3), (3, 2))
"""Winograd's output tile and kernel size."""

Layers = dict[str, np.ndarray]


def feature_names(mode: str) -> list[str]:
    """Lists the names of the features, in the order of the values."""
    return list(_OF_MODE[mode](stack_layers([dict.fromkeys(NUMBERS, 1) | {"op": CONVOLUTION}]), 1.0))


def analytical_features(geometry: LayerGeometry, batch: float, mode: str) -> np.ndarray:
    """Computes the features of a network at a batch size; shape [15] for inference, [56] for training."""
    return np.array([float(np.sum(values)) for values in _OF_MODE[mode](geometry, batch).values()])


def _inference(g: LayerGeometry, batch: float) -> Layers:
    tensors = {"tensor_weights": g.weights, "tensor_inputs": batch * g.inputs, "tensor_outputs": batch * g.outputs}
    fft_weights, fft_inputs = _spectrum(g.in_h) * _pairs(g), _spectrum(g.in_h) * batch * g.in_channels
    features = {
        **tensors,
        "tensor_sum": _total(tensors),
        "im2col_positions_forward": batch * g.out_h * g.out_w,
        "im2col_forward": batch * g.in_channels * g.kernel_h * g.kernel_w * g.out_h * g.out_w,
        "gemm_macs_forward": batch * g.macs,
        "fft_weights_forward": fft_weights,
        "fft_inputs_forward": fft_inputs,
        "fft_sum_forward": fft_weights + fft_inputs,
        "fft_operations_forward": _fft_operations(g, batch, g.in_h),
    }
    for tile in TILES:
        features[f"winograd_{_name(tile)}_forward"] = _winograd_memory(g, batch, tile)["forward"]
    for tile in TILES:
        features[f"winograd_{_name(tile)}_operations_forward"] = _winograd_operations(g, batch, tile)["forward"]
    return features


def _training(g: LayerGeometry, batch: float) -> Layers:
    tensors = {
        "tensor_weights": g.weights,
        "tensor_weight_gradients": batch * g.weights,
        "tensor_inputs": 2 * batch * g.inputs,
        "tensor_outputs": 2 * batch * g.outputs,
    }
    features = {**tensors, "tensor_sum": _total(tensors), **_im2col_in_training(g, batch), **_fft_in_training(g, batch)}
    for kind, count in (("", _winograd_memory), ("_operations", _winograd_operations)):
        for tile in TILES:
            parts = count(g, batch, tile)
            forward, inputs, weights = parts["forward"], parts["inputs"], parts["weights"]
            prefix = f"winograd_{_name(tile)}{kind}"
            features |= {
                f"{prefix}_forward": forward,
                f"{prefix}_input_gradient": inputs,
                f"{prefix}_weight_gradient": weights,
                f"{prefix}_forward_and_inputs": forward + inputs,
                f"{prefix}_forward_and_weights": forward + weights,
                f"{prefix}_gradients": inputs + weights,
                f"{prefix}_sum": forward + inputs + weights,
            }
    return features


def _im2col_in_training(g: LayerGeometry, batch: float) -> Layers:
    kernel, at_output, at_input = g.kernel_h * g.kernel_w, g.out_h * g.out_w, g.in_h * g.in_w
    positions, positions_back = batch * at_output, batch * at_input
    copies = {
        "im2col_forward": positions * kernel * g.in_channels,
        "im2col_input_gradient": positions_back * kernel * g.in_channels,
        "im2col_weight_gradient": positions * kernel * g.in_channels / g.groups,
    }
    forward, inputs = batch * g.macs, batch * g.in_channels * at_input * kernel * g.out_channels / g.groups
    return {
        "im2col_positions_forward": positions,
        "im2col_positions_input_gradient": positions_back,
        **copies,
        "im2col_sum": _total(copies),
        "im2col_positions_sum": 2 * positions + positions_back,
        "gemm_macs_forward": forward,
        "gemm_macs_input_gradient": inputs,
        "gemm_macs_sum": 2 * forward + inputs,
    }


def _fft_in_training(g: LayerGeometry, batch: float) -> Layers:
    at_input, at_output = _spectrum(g.in_h), _spectrum(g.out_h)
    memory = {
        "fft_weights_forward": at_input * _pairs(g),
        "fft_inputs_forward": at_input * batch * g.in_channels,
        "fft_outputs_weight_gradient": at_input * batch * g.out_channels,
        "fft_weights_input_gradient": at_output * _pairs(g),
        "fft_outputs_input_gradient": at_output * batch * g.out_channels,
    }
    forward = memory["fft_weights_forward"] + memory["fft_inputs_forward"]
    inputs = memory["fft_weights_input_gradient"] + memory["fft_outputs_input_gradient"]
    weights = memory["fft_outputs_weight_gradient"] + memory["fft_inputs_forward"]
    operations = {
        "fft_operations_forward": _fft_operations(g, batch, g.in_h),
        "fft_operations_input_gradient": _fft_operations(g, batch, g.out_h),
        "fft_operations_weight_gradient": _fft_operations(g, batch, g.in_h),
    }
    return {
        **memory,
        "fft_sum_forward": forward,
        "fft_sum_input_gradient": inputs,
        "fft_sum_weight_gradient": weights,
        "fft_sum": forward + inputs + weights,
        **operations,
        "fft_operations_sum": _total(operations),
    }


def _spectrum(size: np.ndarray) -> np.ndarray:
    """Gives the values of a real plane's spectrum, of which half is enough: n (n + 1)."""
    return np.asarray(size * (1 + size))


def _pairs(g: LayerGeometry) -> np.ndarray:
    """Counts the pairs of an input and an output channel."""
    return np.asarray(g.out_channels * g.in_channels / g.groups)


def _fft_operations(g: LayerGeometry, batch: float, size: np.ndarray) -> np.ndarray:
    planes = batch * g.in_channels + batch * g.out_channels + _pairs(g)
    transforms = size**2 * np.log2(np.maximum(size, 1)) * planes
    return np.asarray(transforms + batch * _pairs(g) * size**2)


def _winograd_memory(g: LayerGeometry, batch: float, tile: tuple[int, int]) -> Layers:
    m, r = tile
    points = (m + r - 1) ** 2
    at_input, at_output = np.ceil(g.in_h / m) ** 2, np.ceil(g.out_h / m) ** 2
    return {
        "forward": 3 * batch * g.out_channels * points * at_input,
        "inputs": 3 * batch * g.in_channels * points * at_output,
        "weights": 3 * batch * _pairs(g) * points * at_input,
    }


def _winograd_operations(g: LayerGeometry, batch: float, tile: tuple[int, int]) -> Layers:
    m, r = tile
    points, kernels = (m + r - 1) ** 2, np.ceil(g.kernel_h / r) ** 2
    at_input, at_output = np.ceil(g.in_h / m) ** 2, np.ceil(g.out_h / m) ** 2
    return {
        "forward": batch * _pairs(g) * at_input * kernels * points,
        "inputs": batch * _pairs(g) * at_output * kernels * points,
        "weights": batch * _pairs(g) * at_input * np.ceil(g.out_h / r) ** 2 * points,
    }


def _total(parts: Layers) -> np.ndarray:
    return np.asarray(np.sum(list(parts.values()), axis=0))


def _name(tile: tuple[int, int]) -> str:
    return f"f{tile[0]}{tile[1]}"


_OF_MODE: dict[str, Callable[[LayerGeometry, float], Layers]] = {INFERENCE: _inference, TRAINING: _training}
