"""A PyTorch module with example inputs, whose inputs and outputs have names and an order, and its export."""

from __future__ import annotations

import importlib
import inspect
import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from sweep.analysis.formatting import plural
from sweep.errors import ImportFailed, in_one_line
from sweep.toolchain.models.input_values import Values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweep.toolchain.models.loader import Shapes

__all__ = ["ExampleModule", "exported", "input_names", "load_torch", "quietly", "with_shapes"]

_INSTALL = "needs torch, which is not installed: pip install 'tvm-sweep[torch]'"


def load_torch() -> Any:
    """The torch package, with one thread. Raises ImportFailed where it is not installed."""
    try:
        torch = importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise ImportFailed(_INSTALL) from error
    torch.set_num_threads(1)  # a compile worker is one of several; and values do not hang on their number then
    return torch


@contextmanager
def quietly() -> Iterator[None]:
    """Neither gradients nor warnings, nor what torch logs of a file that it raises an error about."""
    import torch

    log = logging.getLogger("torch.export")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


@dataclass(frozen=True, slots=True)
class ExampleModule:
    """What is called, and with what."""

    module: Any
    """Takes the inputs as its author wrote them."""
    leaves: Sequence[Any]
    """Example inputs, positional and by keyword, flattened: tensors, and constants between them."""
    spec: Any
    """How they are put together, by torch's pytree."""
    names: Sequence[str]
    """Of the tensors among the leaves."""

    @staticmethod
    def of(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], names: Sequence[str] = ()) -> ExampleModule:
        """names: of the tensors; by default those of the parameters of `forward`. Raises ImportFailed."""
        from torch.utils import _pytree as pytree

        leaves, spec = pytree.tree_flatten((tuple(args), dict(kwargs)))
        found = ExampleModule(module, leaves, spec, names or input_names(module, args, kwargs))
        if not found.tensors:
            raise ImportFailed("the network takes no tensor")
        return found

    @property
    def tensors(self) -> list[Any]:
        """Those among the leaves."""
        import torch

        return [leaf for leaf in self.leaves if isinstance(leaf, torch.Tensor)]

    def call(self, *tensors: Any) -> tuple[Any, ...]:
        """The outputs that are tensors, for such inputs."""
        import torch
        from torch.utils import _pytree as pytree

        waiting = iter(tensors)
        leaves = [next(waiting) if isinstance(leaf, torch.Tensor) else leaf for leaf in self.leaves]
        args, kwargs = pytree.tree_unflatten(leaves, self.spec)
        outputs = pytree.tree_leaves(self.module(*args, **kwargs))
        return tuple(output for output in outputs if isinstance(output, torch.Tensor))

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """The outputs as torch computes them, one operator after the other."""
        import torch

        with quietly():
            outputs = self.call(*(torch.from_numpy(feeds[name]) for name in self.names))
        return [output.detach().numpy() for output in outputs]

    def kinds(self) -> dict[str, Values]:
        """What integer inputs may hold, by the examples: as far as these go. A constant one tells nothing."""
        found = {}
        for name, tensor in zip(self.names, self.tensors, strict=True):
            if tensor.dtype.is_floating_point or tensor.dtype.is_complex or not tensor.numel():
                continue
            low, high = int(tensor.min()), int(tensor.max())
            if low < high and str(tensor.dtype) != "torch.bool":
                found[name] = Values(limits=(low, high + 1))
        return found


def input_names(module: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
    """A name for each tensor: that of its parameter of `forward`, and where it stands in what was given there.

    Raises ImportFailed where the inputs do not fit the parameters.
    """
    import torch
    from torch.utils import _pytree as pytree

    try:
        signature = inspect.signature(module.forward)
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ImportFailed(f"the example inputs do not fit forward of {type(module).__name__}: {error}") from error
    names: list[str] = []
    ordered = [*_positional(signature, args), *((name, kwargs[name]) for name in kwargs)]
    for name, value in ordered:
        for path, leaf in pytree.tree_flatten_with_path(value)[0]:
            if isinstance(leaf, torch.Tensor):
                parts = re.findall(r"[A-Za-z0-9_]+", pytree.keystr(path))
                names.append("_".join([name, *parts]))
    return names


def _positional(signature: inspect.Signature, args: Sequence[Any]) -> list[tuple[str, Any]]:
    """Each positional value with its name; further ones of `*args` are numbered."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    named = [parameter.name for parameter in signature.parameters.values() if parameter.kind in kinds]
    rest = next((p.name for p in signature.parameters.values() if p.kind is inspect.Parameter.VAR_POSITIONAL), "arg")
    return [(named[i] if i < len(named) else f"{rest}_{i - len(named)}", value) for i, value in enumerate(args)]


def with_shapes(example: ExampleModule, shapes: Shapes) -> ExampleModule:
    """The same module, with example inputs of the shapes that are asked for. Raises ImportFailed."""
    import torch

    for name in shapes.inputs:
        if name not in example.names:
            known = ", ".join(example.names)
            raise ImportFailed(f"inputs: no input is called {name!r}; the network's inputs: {known}")
    sizes = {}
    for name, tensor in zip(example.names, example.tensors, strict=True):
        size = list(shapes.inputs.get(name, tensor.shape))
        if len(size) != tensor.dim():
            raise ImportFailed(
                f"inputs: {name!r} has {plural(tensor.dim(), 'dimension')}: {list(tensor.shape)}, not {size}"
            )
        sizes[name] = size
    if shapes.batch is not None:
        _set_batch(sizes, shapes)
    resized = iter(
        tensor if list(tensor.shape) == sizes[name] else _resized(tensor, sizes[name])
        for name, tensor in zip(example.names, example.tensors, strict=True)
    )
    leaves = [next(resized) if isinstance(leaf, torch.Tensor) else leaf for leaf in example.leaves]
    return replace(example, leaves=leaves)


def _set_batch(sizes: dict[str, list[int]], shapes: Shapes) -> None:
    named = shapes.batch_dims
    for name, size in sizes.items():
        for index in (0,) if named is None else named.get(name, ()):
            if index >= len(size):
                raise ImportFailed(f"batch {shapes.batch}: the input {name!r} has no dimension {index}: {size}")
            size[index] = int(shapes.batch or 1)


def _resized(tensor: Any, size: Sequence[int]) -> Any:
    """An example of another shape: its own values, over and over."""
    import torch

    if not tensor.numel() or 0 in size:
        return torch.zeros(size, dtype=tensor.dtype)
    count = 1
    for dimension in size:
        count *= dimension
    values = tensor.flatten()
    return values.repeat(-(-count // values.numel()))[:count].reshape(tuple(size)).clone()


def exported(example: ExampleModule, subject: str) -> Any:
    """A `torch.export` program of fixed shapes that takes the tensors in order and gives tensors.

    subject: for the error. Raises ImportFailed.
    """
    import torch

    class Flat(torch.nn.Module):
        """Inputs and outputs in a row, whatever the module's own are put together from."""

        def __init__(self) -> None:
            super().__init__()
            self.network = example.module

        def forward(self, *tensors: Any) -> tuple[Any, ...]:
            return example.call(*tensors)

    network = Flat()
    network.training = False  # not by eval(), which a program that was read refuses
    try:
        with quietly():
            return torch.export.export(network, tuple(example.tensors))
    except Exception as error:
        told = f"torch.export: {type(error).__name__}: {in_one_line(error)}"
        raise ImportFailed(f"{subject} cannot be exported for these inputs: {told}") from error
