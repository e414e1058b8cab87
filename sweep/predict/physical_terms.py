"""What a device has to do for a network, in a few sums: traffic, arithmetic and buffers.

A predictor that has few terms with a meaning, and weights that cannot be negative, goes on where trees stop: beyond the
networks that it was fitted on. `docs/decisions` has the figures of both on published measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweep.predict.analytical_features import INFERENCE, TRAINING
from sweep.predict.layer_geometry import LayerGeometry
from sweep.predict.observations import Variable

__all__ = ["IS_SIZE", "LATER", "Terms", "coordinates", "physical_terms", "terms_of"]

VECTOR = 32
"""Channels that kernels compute at once: 33 cost what 64 do."""
REGISTER = 8
"""Values of float32 in a register of AVX2. Runtimes that block channels by it, as ONNX Runtime does, compute depthwise
convolutions of other numbers of channels in a slower way."""
PACK = 4
"""Where the number of channels is no multiple of it, ONNX Runtime takes longer on a CPU with AVX2, as if by other
kernels."""
FEW_CHANNELS = 64
"""Below this number of output channels a matrix product keeps only part of its units busy."""
WINOGRAD_TILE = 36 / 16
"""Values of a transformed 6x6 tile of F(4,3) for each of the 4x4 that it gives."""
LOOKAHEAD = 256
"""Additions of one sum after which a core no longer sees the next sum, which it could work on meanwhile. Loops as a
compiler makes them of an untuned schedule add up one sum after the other; of long sums each addition waits for the one
before."""
MIB_OF_FLOAT = 4 / 2**20


@dataclass(frozen=True, slots=True)
class Terms:
    """Which terms a variable has, and what is expected of their weights before anything is measured."""

    names: tuple[str, ...]
    expected: tuple[float, ...] | None
    """Weights to stay near, one a term; None where only measurements can tell."""
    floor: str
    """The term that the least value is proportional to."""
    has_ceiling: bool
    """Whether values stop growing at the top, as memory does where the allocator gives back what it keeps."""
    sets: tuple[tuple[str, ...], ...] = ()
    """Which terms count together: those of the first set, unless those of another tell networks that are held out
    clearly better. None: all count."""

    def among(self, chosen: int) -> np.ndarray:
        """Which terms are of a set; shape [terms]."""
        return np.array([not self.sets or name in self.sets[chosen] for name in self.names])


OF_LOOPS = ("macs", "long_sum_macs")
OF_LAYOUT = ("unblocked_macs", "unblocked_depthwise_outputs")
LATER = ("unaligned_depthwise_outputs", *OF_LOOPS, *OF_LAYOUT)
"""Terms that files of earlier versions do not have, or the first of them alone: the others are 0 there, and get no
weight."""
TRAFFIC = ("weights", "inputs", "outputs")
KERNELS = (*TRAFFIC, "padded_macs", "few_channel_macs", "depthwise_outputs")
BLOCKED = (*KERNELS, "unaligned_depthwise_outputs")
"""Of kernels that compute blocks of channels in registers, as libraries and tuned schedules do."""
BLOCKED_LAYOUT = (*KERNELS, *OF_LAYOUT)
"""Of a runtime that keeps tensors in blocks of channels where their number allows it, and else takes other kernels."""
LOOPS = (*TRAFFIC, *OF_LOOPS)
"""Of loops that add up one sum after the other, as untuned schedules do."""
LATENCY = Terms((*KERNELS, *LATER), None, floor="layers", has_ceiling=False, sets=(BLOCKED, BLOCKED_LAYOUT, LOOPS))
MEMORY = ("one", "weights_mib", "kept_inputs_mib", "outputs_mib", "largest_output_mib", "winograd_mib")
MEMORY_EXPECTED = {
    TRAINING: (1250.0, 3.0, 1.0, 1.0, 1.0, 0.3),
    INFERENCE: (100.0, 1.0, 0.05, 0.05, 2.0, 0.05),
}
"""A training step keeps weights, gradients and momentum, and each layer's input and output; a forward pass keeps the
weights and the largest tensors. The first is what the runtime takes for itself, in MiB."""


def terms_of(variable: Variable, mode: str) -> Terms:
    """Gives the terms of a variable in a mode, `inference` or `training`."""
    if variable is Variable.LATENCY:
        return LATENCY
    return Terms(MEMORY, MEMORY_EXPECTED[mode], floor="one", has_ceiling=True)


def physical_terms(geometry: LayerGeometry, batch: float) -> dict[str, float]:
    """Computes all terms of a network at a batch size: values, multiply-accumulates and MiB of float32."""
    g, depthwise = geometry, geometry.is_depthwise
    inputs, outputs, macs = batch * g.inputs, batch * g.outputs, batch * g.macs
    in_blocks = np.ceil(g.in_channels / VECTOR) * VECTOR / g.in_channels
    out_blocks = np.ceil(g.out_channels / VECTOR) * VECTOR / g.out_channels
    unblocked = g.out_channels % PACK != 0
    by_winograd = (g.kernel_h == 3) & (g.stride == 1) & ~depthwise
    return {
        "one": 1.0,
        "layers": float(len(g)),
        "weights": float(g.weights.sum()),
        "inputs": float(inputs.sum()),
        "outputs": float(outputs.sum()),
        "padded_macs": float((macs * in_blocks * out_blocks)[~depthwise].sum()),
        "few_channel_macs": float((macs / np.minimum(FEW_CHANNELS, g.out_channels)).sum()),
        "depthwise_outputs": float(outputs[depthwise].sum()),
        "unaligned_depthwise_outputs": float(outputs[depthwise & (g.out_channels % REGISTER != 0)].sum()),
        "unblocked_macs": float(macs[~depthwise & unblocked].sum()),
        "unblocked_depthwise_outputs": float(outputs[depthwise & unblocked].sum()),
        "macs": float(macs.sum()),
        "long_sum_macs": float((macs * g.additions / (g.additions + LOOKAHEAD)).sum()),
        "weights_mib": float(g.weights.sum()) * MIB_OF_FLOAT,
        "kept_inputs_mib": float(inputs[g.reads_new_values].sum()) * MIB_OF_FLOAT,
        "outputs_mib": float(outputs.sum()) * MIB_OF_FLOAT,
        "largest_output_mib": float(outputs.max()) * MIB_OF_FLOAT,
        "winograd_mib": float((inputs + outputs)[by_winograd].sum()) * WINOGRAD_TILE * MIB_OF_FLOAT,
    }


SIZES = ("weights", "kept_inputs_mib", "outputs_mib", "macs")
COORDINATES = (*SIZES, "winograd_mib", "largest_output_mib")
IS_SIZE = np.array([name in SIZES for name in COORDINATES] + [True])
"""Which coordinates say how large a network is; the batch is the last. The others say how it is built."""


def coordinates(terms: dict[str, float], batch: float) -> np.ndarray:
    """Places a network among others: logarithms of its sizes at batch 1, and of the batch; shape [7].

    Two networks that are near each other here err alike, so that one's error tells something of the other's.
    """
    per_sample = [terms[name] / (1.0 if name == "weights" else batch) for name in COORDINATES]
    smallest = 1e-3  # of networks without a 3x3 convolution
    return np.log(np.maximum([*per_sample, batch], smallest))
