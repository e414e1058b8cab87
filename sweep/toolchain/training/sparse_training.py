"""Trains a network on labelled samples, and takes its smallest weights away on a schedule.

From the seed alone: the order of samples is that of the seed and the epoch, and torch computes in one thread.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.datasets.reading import Samples
from sweep.errors import ImportFailed
from sweep.suggestions import listed
from sweep.toolchain.training.checkpoint import read_checkpoint, write_checkpoint
from sweep.toolchain.training.onnx_module import OnnxModule
from sweep.toolchain.training.sparse_schedule import SparseSchedule, rates_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Trained", "TrainingData", "train"]

_CHECKPOINT_S = 2.0
_POINTS = 60
"""Of a curve."""
_CLIPPED = 5.0
"""Norm of a step's gradient at most: untrained networks start with large ones."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Samples to learn from, and those that it is judged by."""

    train: Samples
    test: Samples
    batch: int


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of it."""

    weights: Mapping[str, NDArray[Any]]
    curve: list[list[float]]
    """Step, mean loss since the point before, accuracy on the test samples, sparsity."""
    layers: Mapping[str, float]
    """Share of each layer's weights that are zero."""
    resumed_at: int
    """The step that it went on from; 0 where it began."""


class _Run:
    """One training, of which a checkpoint holds all that changes."""

    def __init__(self, module: OnnxModule, data: TrainingData, told: Mapping[str, Any], seed: int) -> None:
        import torch

        self.module, self.data, self.seed = module, data, seed
        names = ("pretrain_steps", "sparse_steps", "finetune_steps", "frequency")
        self.schedule = SparseSchedule(*(int(told[name]) for name in names))
        self.rates = _rates(module, told)
        self.masks = {name: torch.ones_like(module.tensors[name], dtype=torch.bool) for name in module.layers}
        parameters = [module.tensors[name] for name in module.learned]
        self.optimizer = torch.optim.AdamW(parameters, lr=float(told["learning_rate"]), weight_decay=1e-4)
        self.rate, self.step, self.losses = float(told["learning_rate"]), 0, [0.0, 0.0]
        self.curve: list[list[float]] = []

    def resume(self, saved: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.module.load({name: tensor.numpy() for name, tensor in saved["tensors"].items()})
        self.masks = dict(saved["masks"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.losses, self.curve = int(saved["step"]), list(saved["losses"]), list(saved["curve"])

    def save(self, path: Path) -> None:
        """Write one."""
        import torch

        tensors = {name: torch.from_numpy(value) for name, value in self.module.state().items()}
        content = {"tensors": tensors, "masks": self.masks, "optimizer": self.optimizer.state_dict()}
        write_checkpoint(path, {**content, "step": self.step, "losses": self.losses, "curve": self.curve})

    def advance(self) -> None:
        """One step, with what goes after it and, now and then, a point of the curve."""
        import torch
        from torch.nn import functional as f

        inputs, labels = self._batch()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * self.schedule.speed(self.step)
        self.optimizer.zero_grad()
        loss = f.cross_entropy(self.module.logits(inputs, is_training=True), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([self.module.tensors[name] for name in self.module.learned], _CLIPPED)
        self.optimizer.step()
        self.step += 1
        self.losses = [self.losses[0] + float(loss.detach()), self.losses[1] + 1]
        if not np.isfinite(self.losses[0]):
            raise ImportFailed(f"train: the loss is no number after {self.step} steps; a lower learning_rate may help")
        if (share := self.schedule.share(self.step)) is not None:
            self._prune(share)
        self._mask()
        every = max(1, self.schedule.steps // _POINTS)
        if self.step % every == 0 or self.step == self.schedule.steps:
            point = [self.step, self.losses[0] / max(1.0, self.losses[1]), self.accuracy(), self.sparsity()]
            self.curve.append([float(value) for value in point])
            self.losses = [0.0, 0.0]

    def accuracy(self) -> float:
        """On the test samples."""
        import torch

        right = 0
        with torch.no_grad():
            for inputs, labels in self.data.test.batches(self.data.batch, pads=True):
                found = self.module.logits(torch.from_numpy(np.ascontiguousarray(inputs))).argmax(dim=1).numpy()
                right += int((found[: len(labels)] == labels).sum())
        return right / len(self.data.test)

    def layers(self) -> dict[str, float]:
        """Share of each layer's weights that are zero."""
        import torch

        tensors = self.module.tensors
        return {name: 1 - int(torch.count_nonzero(tensors[name])) / tensors[name].numel() for name in self.masks}

    def sparsity(self) -> float:
        """Of all layers."""
        sizes = {name: mask.numel() for name, mask in self.masks.items()}
        zeros = sum(share * sizes[name] for name, share in self.layers().items())
        return float(zeros / max(1, sum(sizes.values())))

    def _batch(self) -> tuple[Any, Any]:
        import torch

        count, size = len(self.data.train), self.data.batch
        epoch, place = divmod(self.step, count // size)
        order = np.random.default_rng([self.seed, epoch]).permutation(count)[place * size : (place + 1) * size]
        inputs = np.ascontiguousarray(self.data.train.inputs[order])
        return torch.from_numpy(inputs), torch.from_numpy(np.ascontiguousarray(self.data.train.labels[order]))

    def _prune(self, share: float) -> None:
        """The smallest weights of each layer go; those that are gone are the smallest."""
        import torch

        for name, rate in zip(self.module.layers, self.rates, strict=True):
            values = self.module.tensors[name].detach().abs().reshape(-1)
            gone = torch.argsort(values, stable=True)[: round(share * rate * values.numel())]
            mask = torch.ones_like(values, dtype=torch.bool)
            mask[gone] = False
            self.masks[name] = mask.reshape(self.masks[name].shape)

    def _mask(self) -> None:
        import torch

        with torch.no_grad():
            for name, mask in self.masks.items():
                self.module.tensors[name].mul_(mask)


def train(module: OnnxModule, data: TrainingData, told: Mapping[str, Any], seed: int, checkpoint: Path) -> Trained:
    """The network trained as the options of a variant say. Raises ImportFailed.

    checkpoint: is gone on from where it is there, and written every 2 s; the caller removes it.
    """
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(seed)
    _check(module, data)
    run = _Run(module, data, told, seed)
    if (saved := read_checkpoint(checkpoint)) is not None:
        run.resume(saved)
    began_at, written = run.step, time.monotonic()
    while run.step < run.schedule.steps:
        run.advance()
        if time.monotonic() - written > _CHECKPOINT_S:
            run.save(checkpoint)
            written = time.monotonic()
    return Trained(module.state(), run.curve, run.layers(), began_at)


def _rates(module: OnnxModule, told: Mapping[str, Any]) -> list[float]:
    rates = told.get("rates") or {}
    shapes = {name: tuple(module.tensors[name].shape) for name in module.layers}
    exclude_first, distribution = bool(told.get("exclude_first")), str(told.get("distribution", "by-size"))
    try:
        level = float(told["level"])
        return rates_of(shapes, level, rates, exclude_first=exclude_first, distribution=distribution)
    except ValueError as error:
        raise ImportFailed(
            f"train: rates names {str(error)!r}, which is no layer; there are {listed(module.layers)}"
        ) from None


def _check(module: OnnxModule, data: TrainingData) -> None:
    import torch

    with torch.no_grad():
        classes = int(module.logits(torch.from_numpy(np.ascontiguousarray(data.train.inputs[: data.batch]))).shape[1])
    highest = int(max(data.train.labels.max(), data.test.labels.max()))
    if highest >= classes:
        raise ImportFailed(f"train: the data set has a class {highest}, and the network gives {classes} numbers")
