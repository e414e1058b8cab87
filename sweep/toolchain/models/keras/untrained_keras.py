"""Keras networks that nobody has trained, made such that wrong code shows in their outputs, as PyTorch's are.

MobileNetV2 had 0.001 in each of its 1,000 classes, and the blocks of ConvNeXt a scale of 1e-6. Keras runs on torch, so
its parameters are torch's too.
"""

from __future__ import annotations

from typing import Any

from sweep.toolchain.models.pytorch.untrained import fill_constants, settled_variance

__all__ = ["settle_untrained_keras"]


def settle_untrained_keras(model: Any, seed: int) -> None:
    """Fill what is constant, and give batch norms the statistics of two random pictures.

    model: of one input with fixed dimensions but for the first.
    """
    import keras
    import torch

    with torch.no_grad():
        fill_constants((variable.value for variable in model.trainable_variables), seed)
        norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
        if norms:
            _set_statistics(model, norms, torch.Generator().manual_seed(seed))


def _set_statistics(model: Any, norms: list[Any], generator: Any) -> None:
    """A look in training is how Keras has them see something; with a momentum of 0 it is all that they remember."""
    import torch

    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(torch.randn((2, *model.inputs[0].shape[1:]), generator=generator), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.moving_variance.assign(settled_variance(norm.moving_variance.value))
