"""Makes the small network of `formats_runtimes.yaml` in four formats, with the same seeded weights, and trained ones.

    python experiments/networks/make.py torch          # small.pt2, small.onnx and the weights; needs torch, onnxscript
    python experiments/networks/make.py keras          # small.keras from the weights; needs keras and torch
    python experiments/networks/make.py tflite         # small.tflite from the weights; needs tensorflow-cpu
    python experiments/networks/make.py digits         # digits*.onnx, trained on scikit-learn's digits; needs torch

The files lie here, so that nobody need run this: 29 to 120 kB each.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
WEIGHTS = Path(tempfile.gettempdir()) / "sweep-small-weights.npz"
CHANNELS, CLASSES, SIDE = (16, 32), 10, 32


def make_torch() -> None:
    """Convolutions, a depthwise one, pooling and a head, with the channels first."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    first, second = CHANNELS
    network = nn.Sequential(
        nn.Conv2d(3, first, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, first, 3, padding=1, groups=first),
        nn.ReLU(),
        nn.Conv2d(first, second, 1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(second, second, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(second, CLASSES),
        nn.Softmax(dim=-1),
    ).eval()
    image = (torch.randn(1, 3, SIDE, SIDE),)
    torch.export.save(torch.export.export(network, image), HERE / "small.pt2")
    torch.onnx.export(network, image, HERE / "small.onnx", input_names=["image"], external_data=False, opset_version=18)
    np.savez(WEIGHTS, **{name: value.detach().numpy() for name, value in network.named_parameters()})


def make_keras() -> None:
    """The same with the channels last, as Keras has it."""
    os.environ["KERAS_BACKEND"] = "torch"
    _keras_network().save(HERE / "small.keras")


def make_tflite() -> None:
    """Keras's by TensorFlow's converter, in float32."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _keras_network().export(folder)
        (HERE / "small.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())


def make_digits() -> None:
    """Networks that know handwritten digits, trained on what `sklearn: digits` keeps for training: one of convolutions
    in a row with 4,218 weights, one with depthwise convolutions, and one with branches that are added.
    """
    import torch
    from torch import nn

    torch.set_num_threads(1)  # sums in one order, so that the weights are the same wherever it runs

    class Residual(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(channels, channels, 3, padding=1)
            self.second = nn.Conv2d(channels, channels, 3, padding=1)

        def forward(self, data: torch.Tensor) -> torch.Tensor:
            return torch.relu(data + self.second(torch.relu(self.first(data))))

    def rectified(*sizes: int, **more: int) -> list[nn.Module]:
        return [nn.Conv2d(*sizes, **more), nn.ReLU()]

    def plain() -> list[nn.Module]:
        layers = [*rectified(1, 8, 3, padding=1), *rectified(8, 16, 3, padding=1), nn.MaxPool2d(2)]
        return [*layers, *rectified(16, 16, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10)]

    def mobile() -> list[nn.Module]:
        layers = rectified(1, 16, 3, padding=1)
        for given, made in ((16, 32), (32, 64)):
            layers += [
                *rectified(given, given, 3, padding=1, groups=given),
                *rectified(given, made, 1),
                nn.MaxPool2d(2),
            ]
        return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]

    def residual() -> list[nn.Module]:
        layers = [*rectified(1, 16, 3, padding=1), Residual(16), nn.MaxPool2d(2)]
        layers += [*rectified(16, 32, 3, padding=1), Residual(32)]
        return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)]

    _train_digits("digits", plain)
    _train_digits("digits-mobile", mobile)
    _train_digits("digits-residual", residual)


def _train_digits(name: str, layers: Callable[[], list[Any]]) -> None:
    import torch
    from torch import nn

    from sweep.datasets.preprocessing import NetworkInput
    from sweep.datasets.reading import Wanted, read_samples

    torch.manual_seed(0)
    options = {"of": "sklearn", "name": "digits", "test": 0.25, "seed": 0, "preprocess": {"divide": 16.0}}
    train, test = (read_samples(options, {}, Wanted(split), NetworkInput([1, 1, 8, 8])) for split in ("train", "test"))
    network = nn.Sequential(*layers())
    inputs, labels = torch.from_numpy(train.inputs), torch.from_numpy(train.labels)
    epochs, size = 40, 32
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for chosen in torch.randperm(len(train)).split(size):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(inputs[chosen]), labels[chosen]).backward()
            optimiser.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        right = (network(torch.from_numpy(test.inputs)).argmax(dim=1).numpy() == test.labels).mean()
    weights = sum(value.numel() for value in network.parameters())
    print(f"{name}: {weights:,} weights, {right:.2%} of {len(test)} held-out digits")
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        network,
        (inputs[:2],),
        HERE / f"{name}.onnx",
        input_names=["image"],
        output_names=["scores"],
        dynamic_shapes=[{0: batch}],
        external_data=False,
        opset_version=18,
    )


def _keras_network() -> object:
    import keras
    from keras import layers

    first, second = CHANNELS
    network = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3), batch_size=1, name="image"),
            layers.Conv2D(first, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.Conv2D(second, 1, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(second, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    with np.load(WEIGHTS) as stored:
        taken = list(stored.values())
    moved = [(2, 3, 1, 0), (2, 3, 0, 1), (2, 3, 1, 0), (2, 3, 1, 0), (1, 0)]  # kernels from torch's order of dimensions
    weights = []
    for index, order in enumerate(moved):
        weights += [taken[2 * index].transpose(order), taken[2 * index + 1]]
    network.set_weights(weights)
    return network


if __name__ == "__main__":
    {"torch": make_torch, "keras": make_keras, "tflite": make_tflite, "digits": make_digits}[sys.argv[1]]()
