"""Loads exported programs, and modules that a factory or a person's function makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.errors import ImportFailed, SweepError, in_one_line
from sweep.toolchain.models.loader import Shapes
from sweep.toolchain.models.pytorch.factories import MadeModule, from_function, from_timm, from_torchvision
from sweep.toolchain.models.pytorch.torch_module import ExampleModule, load_torch, quietly, with_shapes
from sweep.toolchain.models.pytorch.torch_network import TorchModel, network_of

__all__ = ["FactoryLoader", "ProgramLoader"]


@dataclass(frozen=True, slots=True)
class LoadedProgram:
    """A program as its file has it."""

    name: str
    program: Any


class ProgramLoader:
    """Reads what `torch.export.save` writes."""

    def load(self, path: Path, options: Mapping[str, Any]) -> LoadedProgram:
        """The program. Torch evaluates expressions in it. Raises ImportFailed."""
        torch = load_torch()
        try:
            with quietly():
                return LoadedProgram(path.name, torch.export.load(path))
        except Exception as error:
            raise ImportFailed(
                f"{path.name} is damaged, or of another version of torch: {type(error).__name__}: {in_one_line(error)}"
            ) from error

    def specialise(self, loaded: LoadedProgram, shapes: Shapes) -> TorchModel:
        """The program as it is, or exported again with its open dimensions set. Raises ImportFailed."""
        program = loaded.program
        example, declared = _example_of(program)
        sized = with_shapes(example, shapes)
        for name, tensor, size in zip(sized.names, sized.tensors, declared, strict=True):
            if any(isinstance(own, int) and own != there for own, there in zip(size, tensor.shape, strict=True)):
                raise ImportFailed(
                    f"{loaded.name} was exported for {name!r} of {_shown(size)}, not {list(tensor.shape)}: "
                    "export it with dynamic_shapes, or give module:function"
                )
        is_open = any(isinstance(own, str) for size in declared for own in size)
        return network_of(sized, shapes, loaded.name, None if is_open or _has_constants(program) else program)


def _example_of(program: Any) -> tuple[ExampleModule, list[list[int | str]]]:
    """The program as a module, and the shape of each of its tensors, texts where it is open."""
    import torch
    from torch.export.graph_signature import InputKind, TensorArgument

    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    specs = [one for one in program.graph_signature.input_specs if one.kind is InputKind.USER_INPUT]
    given = torch.utils._pytree.tree_leaves(program.example_inputs) if program.example_inputs else None
    if given is None or len(given) != len(specs):
        given = [None] * len(specs)
    leaves, names, declared = [], [], []
    for spec, own in zip(specs, given, strict=True):
        if not isinstance(spec.arg, TensorArgument):
            leaves.append(getattr(spec.arg, "value", None))
            continue
        value = values[spec.arg.name]
        sizes = [size if isinstance(size, int) else str(size) for size in value.shape]
        declared.append(sizes)
        names.append(spec.arg.name)
        hints = [size if isinstance(size, int) else int(size.node.hint or 1) for size in value.shape]
        leaves.append(own if isinstance(own, torch.Tensor) else torch.zeros(hints, dtype=value.dtype))
    if not names:
        raise ImportFailed("the network takes no tensor")
    with quietly():
        module = program.module()
    return ExampleModule(module, leaves, program.call_spec.in_spec, names), declared


def _has_constants(program: Any) -> bool:
    """Whether it takes or gives what is no tensor, which a Relax function does not."""
    from torch.export.graph_signature import InputKind, OutputKind, TensorArgument

    signature = program.graph_signature
    taken = (one.arg for one in signature.input_specs if one.kind is InputKind.USER_INPUT)
    given = (one.arg for one in signature.output_specs if one.kind is OutputKind.USER_OUTPUT)
    return not all(isinstance(argument, TensorArgument) for argument in (*taken, *given))


def _shown(size: Sequence[int | str]) -> str:
    return f"[{', '.join(map(str, size))}]"


@dataclass(frozen=True, slots=True)
class Factory:
    """What makes a module, and how."""

    path: Path
    """The file of a person's function."""
    source: str
    """As written: `torchvision:resnet18`."""
    weights: str
    """random, as-is, or the name of those that its package has kept."""


class FactoryLoader:
    """Makes modules of torchvision, timm and a person's functions."""

    def load(self, path: Path, options: Mapping[str, Any]) -> Factory:
        """Nothing yet: what is made may depend on the shapes."""
        load_torch()
        return Factory(path, str(options["factory"]), str(options.get("weights", "as-is")))

    def specialise(self, loaded: Factory, shapes: Shapes) -> TorchModel:
        """The module that it makes from the seed, exported for these shapes. Raises ImportFailed."""
        torch = load_torch()
        prefix, _, name = loaded.source.partition(":")
        torch.manual_seed(shapes.seed)
        try:
            if prefix == "torchvision":
                made = from_torchvision(name, loaded.weights, shapes)
            elif prefix == "timm":
                made = from_timm(name, shapes)
            else:
                made = from_function(loaded.path, loaded.source, shapes)
            example = _example(made)
        except (SweepError, MemoryError):
            raise
        except Exception as error:
            told = f"{type(error).__name__}: {in_one_line(error)}"
            raise ImportFailed(f"{loaded.source} makes no module: {told}") from error
        network = network_of(example, shapes, loaded.source)
        network.weights_origin = None if loaded.weights == "as-is" else loaded.weights
        return network


def _example(made: MadeModule) -> ExampleModule:
    made.module.eval()
    for parameter in made.module.parameters():
        parameter.requires_grad_(False)
    return ExampleModule.of(made.module, made.args, made.kwargs)
