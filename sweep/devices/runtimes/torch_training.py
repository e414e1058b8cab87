"""PyTorch training a network as it was exported: forward, backward, and a step of stochastic gradient descent.

Whoever exports a network to infer has fixed its form: batch normalisation by the statistics that it keeps, and no
dropout. Both are set to their form in training here. All parameters of floats are trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch.utils import _pytree as pytree

from sweep.devices.measuring.call_clock import timed_calls
from sweep.devices.measuring.timing import Clock
from sweep.errors import MeasureFailed
from sweep.files.npz import load_arrays
from sweep.study.runtimes import Session, SessionRequest

__all__ = ["LEARNING_RATE", "TrainingSession", "loss_of", "set_to_training"]

LEARNING_RATE = 1e-3
"""Small, so that a network of random weights does not run to infinity within a measurement."""
_IN_TRAINING = {"aten.batch_norm": 5, "aten.dropout": 2, "aten.dropout_": 2, "aten.feature_dropout": 2}
"""Operators by their place of the argument that says whether they are in training."""
_KEPT_STATISTICS = "aten._native_batch_norm_legit_no_training"


class TrainingSession(Session):
    """`run` gives what the network infers, for as long as no step was taken; a call of the clock is a step."""

    def __init__(self, request: SessionRequest, program: Any) -> None:
        torch.set_num_threads(request.threads)
        torch.set_num_interop_threads(1)
        torch.manual_seed(0)
        self._network: Any = program.module(check_guards=False)
        self._order = list(load_arrays(request.import_dir / "inputs.npz"))
        self._weights = [tensor for tensor in self._network.parameters() if tensor.is_floating_point()]
        if not self._weights:
            raise MeasureFailed("the network has no parameter to train")
        for tensor in self._weights:
            tensor.requires_grad_(True)
        self._losses: list[float] = []
        self._is_set = False
        self.version = str(torch.__version__)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        with torch.no_grad():
            return [output.numpy() for output in pytree.tree_leaves(self._network(*self._tensors(inputs)))]

    def clock(self, inputs: Mapping[str, NDArray[Any]], flush: Callable[[], None]) -> Clock:
        if not self._is_set:
            set_to_training(self._network)
            self._is_set = True
        optimiser, tensors = torch.optim.SGD(self._weights, lr=LEARNING_RATE), self._tensors(inputs)

        def step() -> None:
            optimiser.zero_grad(set_to_none=True)
            loss = loss_of(self._network(*tensors))
            loss.backward()
            optimiser.step()
            self._losses = [*self._losses[:1], float(loss.detach())]

        return timed_calls(step, flush)

    def conditions(self) -> Mapping[str, Any]:
        return {
            "runtime_threads": torch.get_num_threads(),
            "optimiser": f"SGD, learning rate {LEARNING_RATE:g}",
            "trained_parameters": sum(tensor.numel() for tensor in self._weights),
            "losses": list(self._losses),
        }

    def close(self) -> None:
        """Its process ends right after."""

    def _tensors(self, inputs: Mapping[str, NDArray[Any]]) -> list[Any]:
        return [torch.from_numpy(inputs[name]) for name in self._order]


def loss_of(outputs: Any) -> Any:
    """A scalar to descend: cross-entropy against made-up labels for scores of classes, else the mean of squares.

    Raises MeasureFailed where no output depends on a parameter in a way that has a derivative.
    """
    leaves = [
        leaf
        for leaf in pytree.tree_leaves(outputs)
        if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and leaf.requires_grad
    ]
    if not leaves:
        raise MeasureFailed("no output of the network depends on its parameters by a derivative")
    if len(leaves) == 1 and leaves[0].dim() == 2 and leaves[0].shape[1] > 1:
        labels = torch.arange(leaves[0].shape[0]) % leaves[0].shape[1]
        return torch.nn.functional.cross_entropy(leaves[0].float(), labels)
    return torch.stack([leaf.float().square().mean() for leaf in leaves]).sum()


def set_to_training(network: Any) -> int:
    """Set batch normalisation and dropout of a graph module to their form in training; how many there were."""
    found = 0
    for node in list(network.graph.nodes):
        name = str(node.target).removesuffix(".default") if node.op == "call_function" else ""
        if name in _IN_TRAINING and len(node.args) > _IN_TRAINING[name]:
            place = _IN_TRAINING[name]
            node.args = (*node.args[:place], True, *node.args[place + 1 :])
            found += 1
        elif name == _KEPT_STATISTICS:
            *tensors, momentum, eps = node.args
            node.target = torch.ops.aten._native_batch_norm_legit.default
            node.args = (*tensors, True, momentum, eps)
            found += 1
    network.recompile()
    return found
