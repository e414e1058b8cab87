"""Operators that are functions of simpler ones by ONNX's own definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["LACKING", "RULES", "expanded"]

LACKING = (
    "Attention",
    "BlackmanWindow",
    "CausalConvWithState",
    "Celu",
    "CenterCropPad",
    "HammingWindow",
    "HannWindow",
    "LinearAttention",
    "MeanVarianceNormalization",
    "NegativeLogLikelihoodLoss",
    "RotaryEmbedding",
    "SequenceMap",
    "SoftmaxCrossEntropyLoss",
    "SwiGLU",
    "Swish",
    "ai.onnx.preview.FlexAttention",
)
"""Those that TVM's importer lacks, or takes for another package's operator of the same name."""


def expanded(network: Rewriter, call: Call) -> Sequence[str] | None:
    """A call as the body of its function; None where ONNX has none for it."""
    from onnx import defs, helper

    domain, _, operator = call.operator.rpartition(".")
    version = network.version(domain)
    schema = defs.get_schema(operator, version, domain)
    node = helper.make_node(operator, call.inputs, call.outputs, domain=domain, **call.attributes)
    body = _body(schema, node, network, version)
    if body is None:
        return None
    attributes = {name: value.default_value for name, value in schema.attributes.items() if value.default_value.name}
    attributes.update({attribute.name: attribute for attribute in node.attribute})
    given = dict(zip(body.input, [*call.inputs, *[""] * len(body.input)], strict=False))
    names = network.inline(body.node, given, attributes)
    return [names.get(name, name) for name in body.output[: len(call.outputs)]]


def _body(schema: Any, node: Any, network: Rewriter, opset: int) -> Any:
    from onnx import FunctionProto

    if schema.has_function:
        versions = [version for version in schema.function_opset_versions if version <= opset]
        return FunctionProto.FromString(schema.get_function_with_opset_version(max(versions))) if versions else None
    if not schema.has_context_dependent_function:
        return None
    versions = [version for version in schema.context_dependent_function_opset_versions if version <= opset]
    if not versions:
        return None
    types = [network.type_bytes(name) for name in node.input]
    data = schema.get_context_dependent_function_with_opset_version(max(versions), node.SerializeToString(), types)
    return FunctionProto.FromString(data)


def _where(applies: Callable[[Rewriter, Call], bool]) -> Callable[[Rewriter, Call], Sequence[str] | None]:
    return lambda network, call: expanded(network, call) if applies(network, call) else None


def _has_more_outputs(network: Rewriter, call: Call) -> bool:
    return len([name for name in call.outputs if name]) > 1


def _is_not_over_the_last_axis(network: Rewriter, call: Call) -> bool:
    rank = network.rank(call.input(0))
    return rank is not None and call.get("axis", -1) % rank != rank - 1


def _is_of_other_floats(network: Rewriter, call: Call) -> bool:
    """TVM's importer has the form of opset 18 in 32 bits alone."""
    return network.opset < _GROUPS_OF_ANY_FLOAT and str(network.dtype(call.input(0))) != "float32"


_GROUPS_OF_ANY_FLOAT = 21

RULES = {
    **dict.fromkeys(LACKING, expanded),
    "GroupNormalization": _where(_is_of_other_floats),
    "LayerNormalization": _where(_has_more_outputs),
    "RMSNormalization": _where(_is_not_over_the_last_axis),
}
