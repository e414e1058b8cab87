"""What a plan says of a network and what the toolchain has rules for belong together."""

from __future__ import annotations

from sweep.study.importers import onnx_steps
from sweep.toolchain.models.rewriting.rewrite import rules


def test_each_operator_that_a_step_names_has_a_rule() -> None:
    named = {
        *onnx_steps._CONTROL_FLOW,
        *onnx_steps._RECURRENT,
        *onnx_steps._SEQUENCES,
        *onnx_steps._QUANTISED,
        *onnx_steps._LACKING,
        *onnx_steps._OTHERWISE,
        *("Shape", "Size"),
    }
    assert named - rules().keys() == set()


def test_an_operator_that_is_replaced_wherever_it_occurs_is_named_by_a_step() -> None:
    """Else what an older version made of a file with it would be taken for what this one makes."""
    named = {*onnx_steps._RECURRENT, *onnx_steps._QUANTISED, *onnx_steps._LACKING, *onnx_steps._CONTROL_FLOW}
    foreign = {operator for operator in rules() if operator.startswith("com.microsoft.")}
    never_imported = {"com.microsoft.SimplifiedLayerNormalization"}
    assert foreign - never_imported <= named
