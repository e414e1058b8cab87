"""An ONNX network as a torch module: its stored tensors are what is trained, and go back where they came from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.errors import ImportFailed
from sweep.suggestions import listed
from sweep.toolchain.models.variants.unstructured_pruning import layer_weights
from sweep.toolchain.training.onnx_functions import FUNCTIONS, attributes_of

__all__ = ["OnnxModule"]

_SCALED = {"Conv": (1, 2), "Gemm": (1, 2), "MatMul": (0, 1), "BatchNormalization": (1, 2), "Add": (0, 1)}
"""Places of inputs that are learned, where they are stored; of an addition those that are no single number."""
_MOMENTUM = 0.1


class OnnxModule:
    """Runs a settled network of one input and one output in torch, for training and without."""

    def __init__(self, model: Any) -> None:
        """Raises ImportFailed for what it cannot train, all operators in one line."""
        import torch
        from onnx import numpy_helper

        nodes, graph = list(model.graph.node), model.graph
        unknown = sorted({node.op_type for node in nodes} - FUNCTIONS.keys() - {"BatchNormalization"})
        if unknown:
            raise ImportFailed(f"train: the network has operators that are not trained here: {listed(unknown)}")
        if len(graph.input) != 1 or len(graph.output) != 1:
            raise ImportFailed(
                f"train: a network of one input and one output is trained, and this one has {len(graph.input)} and "
                f"{len(graph.output)}"
            )
        self._nodes = [(node.op_type, list(node.input), list(node.output), attributes_of(node)) for node in nodes]
        self._input, output = graph.input[0].name, graph.output[0].name
        last = next(node for node in nodes if output in node.output)
        self._logits = last.input[0] if last.op_type in ("Softmax", "LogSoftmax") else output
        self.layers = layer_weights(model)
        """Names of the kernels and matrices, in the order of their layers."""
        learned = self._learned(nodes)
        self.tensors: dict[str, Any] = {}
        """By name, all that the network stores."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for tensor in graph.initializer:
                value = torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
                is_learned = tensor.name in learned and value.is_floating_point() and value.numel() > 1
                self.tensors[tensor.name] = value.requires_grad_(is_learned) if is_learned else value
        self.learned = [name for name, value in self.tensors.items() if value.requires_grad]
        """Those that training changes by their gradients."""
        self._moving = {name for node in nodes if node.op_type == "BatchNormalization" for name in node.input[3:5]}

    @staticmethod
    def _learned(nodes: list[Any]) -> set[str]:
        return {
            node.input[place]
            for node in nodes
            for place in _SCALED.get(node.op_type, ())
            if place < len(node.input) and node.input[place]
        }

    def logits(self, data: Any, *, is_training: bool = False) -> Any:
        """What it gives for a batch, before a softmax: [samples, classes]."""
        values: dict[str, Any] = {**self.tensors, self._input: data}
        for operator, inputs, outputs, told in self._nodes:
            given = [values[name] if name else None for name in inputs]
            if operator == "BatchNormalization":
                made = self._normalised(given, told, is_training)
            else:
                made = FUNCTIONS[operator](given, told)
            values.update(zip(outputs, made if isinstance(made, tuple) else (made,), strict=False))
            if self._logits in outputs:
                break
        return values[self._logits].flatten(1)

    def _normalised(self, given: list[Any], told: Mapping[str, Any], is_training: bool) -> Any:
        from torch.nn import functional as f

        data, scale, shift, mean, variance = given
        return f.batch_norm(data, mean, variance, scale, shift, is_training, _MOMENTUM, told.get("epsilon", 1e-5))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """What training has changed, by name."""
        names = [*self.learned, *sorted(self._moving)]
        return {name: self.tensors[name].detach().numpy().copy() for name in names}

    def load(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take what `state` gave."""
        import torch

        with torch.no_grad():
            for name, value in state.items():
                self.tensors[name].copy_(torch.from_numpy(np.array(value)))
