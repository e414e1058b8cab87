"""Keras networks that nobody has trained, made such that wrong code shows in their outputs.

As for PyTorch's factories: batch norms that have seen nothing leave what they get as it is, so that MobileNetV2 had
0.001 in each of its 1,000 classes, whatever the code was.
"""

from __future__ import annotations

from typing import Any

__all__ = ["settle_untrained_keras"]


def settle_untrained_keras(model: Any, seed: int) -> None:
    """Give batch norms the statistics of two random pictures, scales near 1 and offsets near 0.

    model: of one input with fixed dimensions but for the first.
    """
    import keras
    import numpy as np

    draw = np.random.default_rng(seed)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # one look is all that it remembers
        if norm.scale:
            norm.gamma.assign(draw.uniform(0.5, 1.5, norm.gamma.shape))
        if norm.center:
            norm.beta.assign(draw.normal(0.0, 0.1, norm.beta.shape))
    model(draw.normal(size=(2, *model.inputs[0].shape[1:])).astype("float32"), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        spread = keras.ops.convert_to_numpy(norm.moving_variance)
        # Halfway to the mean of the channels: one may be near 0, and dividing by it raises rounding errors
        norm.moving_variance.assign((spread + spread.mean()) / 2)
