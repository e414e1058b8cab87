"""Makes the networks of `tflite_layouts.yaml`: one that tells digits apart, in float32 and in int8, as TFLite files.

    python -m experiments.networks.make_digits          # needs torch, scikit-learn, and this repository's tests

It is trained on the part of scikit-learn's digits that a study does not evaluate on, and quantised by the ranges that
it sees there: activations a tensor, weights a channel. The files lie here, so that nobody need run this.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sweep.datasets.reading import Wanted, read_samples
from tests.tflite_networks import RELU, SAME, Byte, Network, Quantised

HERE = Path(__file__).parent
DIGITS = {"of": "sklearn", "name": "digits", "test": 0.25, "seed": 0, "preprocess": {"divide": 16}}
FIRST, SECOND, SIDE, CLASSES = 16, 32, 4, 10
NONE, VALID = 0, 1


@dataclass
class Layer:
    """A layer with weights: in TFLite's order of dimensions, and its bias."""

    operator: str
    weights: Any
    bias: Any
    axis: int
    """Of the weights' output channels."""


def trained() -> tuple[list[Layer], Any, Any]:
    """The layers; inputs to observe ranges on; the share of the held-out samples that is told right."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, FIRST, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(FIRST, FIRST, 3, padding=1, groups=FIRST),
        nn.ReLU(),
        nn.Conv2d(FIRST, SECOND, 1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(SECOND, SECOND, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(SECOND * SIDE * SIDE, CLASSES),
    )
    parts = {part: read_samples(DIGITS, {}, Wanted(part)) for part in ("train", "test")}
    data = {part: torch.tensor(samples.inputs.reshape(-1, 1, 8, 8)) for part, samples in parts.items()}
    labels = {part: torch.tensor(samples.labels) for part, samples in parts.items()}
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 40)
    for _ in range(40):
        for batch in torch.randperm(len(labels["train"])).split(32):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(data["train"][batch]), labels["train"][batch]).backward()
            optimiser.step()
        schedule.step()
    with torch.no_grad():
        right = (network(data["test"]).argmax(1) == labels["test"]).float().mean().item()
    taken = [parameter.detach().numpy() for parameter in network.parameters()]
    kinds = (("CONV_2D", (0, 2, 3, 1), 0), ("DEPTHWISE_CONV_2D", (1, 2, 3, 0), 3), ("CONV_2D", (0, 2, 3, 1), 0))
    kinds += (("CONV_2D", (0, 2, 3, 1), 0), ("FULLY_CONNECTED", (0, 1), 0))
    of_head = taken[8].reshape(CLASSES, SECOND, SIDE, SIDE)  # torch flattens with the channels first
    taken[8] = of_head.transpose(0, 2, 3, 1).reshape(CLASSES, -1)
    layers = [
        Layer(operator, np.ascontiguousarray(taken[2 * at].transpose(order)), taken[2 * at + 1], axis)
        for at, (operator, order, axis) in enumerate(kinds)
    ]
    observed = []
    with torch.no_grad():
        values = data["train"]
        for module in network:
            values = module(values)
            if isinstance(module, (nn.ReLU, nn.Linear)):
                observed.append((values.min().item(), values.max().item()))
    return layers, [(0.0, 1.0), *observed], right


def written(layers: list[Layer], ranges: list[tuple[float, float]], *, is_quantised: bool) -> bytes:
    """The file."""
    network, dtype = Network(), "int8" if is_quantised else "float32"
    steps = [_steps(*each) if is_quantised else None for each in ranges]
    shapes = [(1, 8, 8, 1), (1, 8, 8, FIRST), (1, 8, 8, FIRST), (1, 8, 8, SECOND), (1, 4, 4, SECOND)]
    source = data = network.tensor("image", shapes[0], dtype, steps[0])
    for at, layer in enumerate(layers[:4]):
        if at == 3:
            pooled = network.tensor("pooled", (1, 4, 4, SECOND), dtype, steps[3])
            options = {0: Byte(VALID), 1: 2, 2: 2, 3: 2, 4: 2}
            network.operator("MAX_POOL_2D", [source], [pooled], ("Pool2DOptions", options))
            source = pooled
        result = network.tensor(f"layer_{at + 1}", shapes[at + 1], dtype, steps[at + 1])
        options = {0: Byte(SAME), 1: 1, 2: 1, 3: Byte(RELU), 4: 1, 5: 1}
        kind = "Conv2DOptions"
        if layer.operator == "DEPTHWISE_CONV_2D":
            kind, options = "DepthwiseConv2DOptions", {0: Byte(SAME), 1: 1, 2: 1, 3: 1, 4: Byte(RELU), 5: 1, 6: 1}
        network.operator(layer.operator, [source, *_constants(network, layer, steps[at])], [result], (kind, options))
        source = result
    flat = network.tensor("flat", (1, SECOND * SIDE * SIDE), dtype, steps[4])
    network.operator("RESHAPE", [source, network.constant([1, SECOND * SIDE * SIDE])], [flat], ("ReshapeOptions", {}))
    scores = network.tensor("scores", (1, CLASSES), dtype, steps[5])
    inputs = [flat, *_constants(network, layers[4], steps[4])]
    network.operator("FULLY_CONNECTED", inputs, [scores], ("FullyConnectedOptions", {}))
    return network.written([data], [scores])


def _steps(least: float, most: float) -> Quantised:
    """An affine range that holds zero."""
    least, most = min(least, 0.0), max(most, 0.0)
    scale = (most - least) / 255
    return Quantised(scale, round(-128 - least / scale))


def _constants(network: Network, layer: Layer, data: Quantised | None) -> list[int]:
    if data is None:
        return [network.constant(layer.weights, "float32"), network.constant(layer.bias, "float32")]
    others = tuple(axis for axis in range(layer.weights.ndim) if axis != layer.axis)
    scales = np.abs(layer.weights).max(axis=others, keepdims=True) / 127
    codes = np.clip(np.round(layer.weights / scales), -127, 127).astype(np.int8)
    of_sum = scales.ravel() * float(np.asarray(data.scale))
    bias = network.constant(np.round(layer.bias / of_sum), "int32", Quantised(of_sum.tolist(), 0, 0))
    return [network.constant(codes, "int8", Quantised(scales.ravel().tolist(), 0, layer.axis)), bias]


if __name__ == "__main__":
    found, seen, share = trained()
    (HERE / "digits.tflite").write_bytes(written(found, seen, is_quantised=False))
    (HERE / "digits-int8.tflite").write_bytes(written(found, seen, is_quantised=True))
    print(f"{share:.4f} of the held-out digits are told right in float32")
