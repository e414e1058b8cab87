"""What `sweep inspect` prints for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sweep.analysis.formatting import plural
from sweep.inspection.model_inspection import Inspection
from sweep.inspection.network_graph import Tensor
from sweep.inspection.operator_support import OperatorTable
from sweep.suggestions import listed

__all__ = ["coverage_text", "inspection_text"]

_SHOWN_LAYERS = 20


def inspection_text(found: Inspection, *, all_layers: bool = False) -> str:
    """The network in lines: what it is, what it takes, what it costs, and who lacks what."""
    return "\n".join([*_head(found), "", *_layer_lines(found, all_layers), "", *_operator_lines(found), *_notes(found)])


def coverage_text(tables: Sequence[OperatorTable]) -> str:
    """Each importer's operators by what it does with them."""
    lines = []
    for table in tables:
        told = ", ".join(f"{count} {way}" for way, count in table.counts().items() if count)
        lines.append(f"{table.importer} ({plural(len(table.known), 'operator')}: {told})")
        heads = list(table.rows()[0])
        width = max(len(row["operator"]) for row in table.rows())
        lines.append("  " + "  ".join(f"{head:<{width if head == 'operator' else 22}}" for head in heads).rstrip())
        for row in table.rows():
            cells = (f"{value:<{width if head == 'operator' else 22}}" for head, value in row.items())
            lines.append("  " + "  ".join(cells).rstrip())
        lines.append("")
    return "\n".join(lines).rstrip()


def _head(found: Inspection) -> Iterator[str]:
    graph, cost = found.graph, found.complexity
    opsets = ", ".join(f"{domain} {version}" for domain, version in graph.opsets.items())
    made = f", made by {graph.producer}" if graph.producer else ""
    yield f"{found.model}: {graph.format}{f', opset {opsets}' if opsets else ''}{made}"
    for title, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        for tensor in tensors:
            yield f"  {title:<11}{_shown(tensor)}"
    sparse = "" if not cost.sparsity else f", of which {cost.sparsity:.1%} of the weights are zero"
    yield f"  {'parameters':<11}{cost.parameters:,}{sparse}"
    without = f" ({cost.macs_sparse:,} without zero weights)" if cost.macs_sparse != cost.macs_dense else ""
    yield f"  {'MACs':<11}{cost.macs_dense:,}{without}; FLOPs are twice as many"
    if cost.peak_activation_bytes is not None:
        yield f"  {'memory':<11}{cost.peak_activation_bytes:,} bytes for values at their peak, weights left out"


def _shown(tensor: Tensor) -> str:
    shape = "of any shape" if tensor.shape is None else f"[{', '.join(map(str, tensor.shape))}]"
    return f"{tensor.name} {shape} {tensor.dtype or 'of an unknown type'}"


def _layer_lines(found: Inspection, all_layers: bool) -> Iterator[str]:
    layers = [layer for layer in found.complexity.layers if layer.macs_dense or layer.weights]
    if not layers:
        yield "no layer multiplies matrices, as far as shapes are known"
        return
    total = found.complexity.macs_dense or 1
    kept = layers if all_layers else sorted(layers, key=lambda layer: -layer.macs_dense)[:_SHOWN_LAYERS]
    order = [layer for layer in layers if layer in kept]
    width = min(max(len(layer.name) for layer in order), 48)
    yield (
        f"{'layer':<{width}}  {'operator':<18} {'output':<20} {'weights':>12} {'zero':>6} {'MACs':>15} "
        f"{'share':>6} {'activations':>12}"
    )
    for layer in order:
        zero = f"{1 - layer.nonzeros / layer.weights:.1%}" if layer.weights else "-"
        shape = "x".join(map(str, layer.output_shape or ("?",)))
        values = "-" if layer.activations is None else f"{layer.activations:,}"
        yield (
            f"{layer.name[-width:]:<{width}}  {layer.operator:<18} {shape:<20} {layer.weights:>12,} {zero:>6} "
            f"{layer.macs_dense:>15,} {layer.macs_dense / total:>6.1%} {values:>12}"
        )
    if len(order) < len(layers):
        yield f"with the most MACs: {len(order)} of {plural(len(layers), 'layer')}; --layers shows all"


def _operator_lines(found: Inspection) -> Iterator[str]:
    counts = found.graph.operators
    yield f"operators: {', '.join(f'{operator} {count}' for operator, count in counts.items())}"
    if found.rewritten:
        yield f"rewritten before TVM imports them: {listed(found.rewritten)}"
    for name, lacks in found.lacking.items():
        who = f"the importer {name}" if name == found.graph.format else name
        yield f"{who} lacks: {listed(lacks) if lacks else 'none of them'}"


def _notes(found: Inspection) -> Iterator[str]:
    yield from (f"note: {note}" for note in found.graph.notes)
