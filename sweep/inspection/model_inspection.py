"""A model that was looked at: its graph, what its layers cost, and who lacks which of its operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sweep.inspection.counting.complexity import Complexity, complexity_of
from sweep.inspection.network_graph import NetworkGraph, Tensor
from sweep.inspection.operator_support import REWRITTEN, OperatorTable

__all__ = ["Inspection"]


@dataclass(frozen=True)
class Inspection:
    """A network that was looked at. What takes time is counted when it is asked for."""

    model: str
    """As it was written."""
    path: Path
    graph: NetworkGraph
    table: OperatorTable | None
    """None where nothing is known of its format's operators."""

    @cached_property
    def complexity(self) -> Complexity:
        """What its layers cost."""
        return complexity_of(self.graph)

    @property
    def lacking(self) -> dict[str, list[str]]:
        """Importer or runtime -> operators of the network that it lacks."""
        return self.table.lacking(self._operators) if self.table else {}

    @property
    def rewritten(self) -> list[str]:
        """Operators of the network that the importer rewrites before TVM sees them."""
        table = self.table
        return [each for each in self._operators if table.support(each) == REWRITTEN] if table else []

    @property
    def _operators(self) -> Sequence[str]:
        return self.graph.seen_by_importer or tuple(self.graph.operators)

    def dump(self, folder: Path | str) -> list[Path]:
        """Writes graph.json, parameters.npz, graph.svg and graph.png into a folder; returns them.

        Raises StudyError: the folder has other files, or cannot be written.
        """
        from sweep.inspection.dumping.network_dump import write_dump

        return write_dump(self.path, self.model, self.graph, self.complexity, Path(folder))

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        graph, cost = self.graph, self.complexity
        return {
            "model": self.model,
            "path": str(self.path),
            "format": graph.format,
            "producer": graph.producer,
            "opsets": dict(graph.opsets),
            "inputs": [_declared(tensor) for tensor in graph.inputs],
            "outputs": [_declared(tensor) for tensor in graph.outputs],
            "nodes": len(graph.nodes),
            "operators": dict(graph.operators),
            "rewritten": self.rewritten,
            "lacking": self.lacking,
            **cost.totals(),
            "layers": [asdict(layer) for layer in cost.layers],
            "notes": list(graph.notes),
        }


def _declared(tensor: Tensor) -> dict[str, Any]:
    shape = None if tensor.shape is None else list(tensor.shape)
    open_ones = [index for index, size in enumerate(shape or ()) if isinstance(size, str)]
    return {"name": tensor.name, "shape": shape, "dtype": tensor.dtype, "open_dimensions": open_ones}
