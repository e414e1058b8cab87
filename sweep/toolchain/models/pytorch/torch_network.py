"""A PyTorch network of fixed shapes: to Relax, to a file for torch's runtimes, and torch's own outputs.

`network_of` is where other front ends join that make a torch module of what they read.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import ImportFailed, in_one_line
from sweep.toolchain.models.input_values import Values
from sweep.toolchain.models.loader import ImportedModel, Shapes, TensorType
from sweep.toolchain.models.pytorch.onnx_export import to_onnx
from sweep.toolchain.models.pytorch.program_checks import check_program, check_state, table_limits
from sweep.toolchain.models.pytorch.program_file import write_networks
from sweep.toolchain.models.pytorch.settled_program import settled
from sweep.toolchain.models.pytorch.torch_module import ExampleModule, exported, quietly, with_shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sweep.inspection.network_graph import NetworkGraph
    from sweep.toolchain.weights_file import WeightsFile

__all__ = ["TorchModel", "network_of"]


def network_of(example: ExampleModule, shapes: Shapes, subject: str, program: Any = None) -> TorchModel:
    """The network of a module for these shapes.

    subject: what it is called in errors. program: its export, where there is one already. Raises ImportFailed.
    """
    sized = with_shapes(example, shapes)
    return TorchModel(sized, exported(sized, subject) if program is None else program, subject)


class TorchModel(ImportedModel):
    """A network as an exported program whose shapes are fixed."""

    def __init__(self, example: ExampleModule, program: Any, subject: str) -> None:
        check_program(program, subject)
        try:
            settled_program = settled(program)
        except Exception as error:
            told = f"{type(error).__name__}: {in_one_line(error)}"
            raise ImportFailed(f"{subject} has no form in torch's core operators: {told}") from error
        check_state(settled_program, subject)
        self._example, self._program, self._settled = example, program, settled_program
        limits = table_limits(program)
        kinds = example.kinds()
        tensors = zip(example.names, example.tensors, program.graph_signature.user_inputs, strict=True)
        self.inputs = [
            replace(_type_of(name, tensor), values=_narrowed(kinds.get(name), limits.get(inner)))
            for name, tensor, inner in tensors
        ]
        self.outputs = _outputs(program)
        self.operators = _operators(program)
        stored = [*program.state_dict.values(), *_constants(program).values()]
        self.params_bytes = sum(tensor.numel() * tensor.element_size() for tensor in stored)

    def write(self, folder: Path, weights: WeightsFile) -> Sequence[str]:
        """The program as torch's runtimes get it, and in ONNX where torch can write that."""
        names = [[tensor.name for tensor in tensors] for tensors in (self.inputs, self.outputs)]
        return write_networks(self._program, to_onnx(self._program, *names), folder, weights)

    def expected_outputs(self, folder: Path, feeds: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Of the module itself, run by torch."""
        return self._example.run(feeds)

    def graph(self) -> NetworkGraph:
        """The program as its author wrote it; its importer sees it in core operators."""
        from sweep.inspection.readers.torch_graph import graph_of_program

        seen = graph_of_program(self._settled).operators
        return replace(graph_of_program(self._program), seen_by_importer=tuple(seen))

    def relax(self) -> Any:
        """As TVM's own importer of exported programs has it. Raises ImportFailed."""
        frontend = importlib.import_module("tvm.relax.frontend.torch")
        try:
            with quietly():
                return frontend.from_exported_program(self._settled, run_ep_decomposition=False)
        except Exception as error:
            raise ImportFailed(f"TVM cannot import the network: {in_one_line(error)}") from error


def _type_of(name: str, tensor: Any) -> TensorType:
    return TensorType(name, [int(size) for size in tensor.shape], str(tensor.dtype).removeprefix("torch."))


def _outputs(program: Any) -> list[TensorType]:
    nodes = {node.name: node for node in program.graph.nodes}
    return [
        _type_of(f"output_{index}", nodes[name].meta["val"])
        for index, name in enumerate(program.graph_signature.user_outputs)
    ]


def _operators(program: Any) -> dict[str, int]:
    calls = (node.target for node in program.graph.nodes if node.op == "call_function")
    names = (str(getattr(target, "_opname", None) or getattr(target, "__name__", target)) for target in calls)
    return dict(Counter(name for name in names if name != "getitem").most_common())


def _constants(program: Any) -> dict[str, Any]:
    import torch

    return {name: value for name, value in program.constants.items() if isinstance(value, torch.Tensor)}


def _narrowed(values: Values | None, rows: int | None) -> Values | None:
    """An index stays inside its table, whatever else is said of it."""
    if rows is None:
        return values
    low, high = (0, 8) if values is None or values.limits is None else values.limits
    return Values(limits=(max(0, low), max(1, min(high, rows))))
