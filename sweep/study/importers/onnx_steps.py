"""Which steps of the rewriting of ONNX networks apply to a file, told from its nodes alone.

A network that no step applies to is imported as it always was, and the id of its import stays what it was. One that
some do has their names among the options of its import, so that what an earlier version made of it is not taken for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sweep.study.importers.onnx_outline import Outline, OutlineNode, outline_of

__all__ = ["STEPS", "steps_of"]

_SCALAR_VALUES = ("value_float", "value_int", "value_string")


def _is_scalar(node: OutlineNode) -> bool:
    """Whether it is a constant without dimensions: once folded, it had one."""
    if node.operator != "Constant":
        return False
    return node.attributes.get("value") == 0 or any(name in node.attributes for name in _SCALAR_VALUES)


def _any(applies: Callable[[OutlineNode], bool]) -> Callable[[Outline], bool]:
    return lambda outline: any(map(applies, outline.nodes))


STEPS: dict[str, Callable[[Outline], bool]] = {
    "scalars": _any(_is_scalar),
}
"""Name -> whether the step changes what is made of a network. In this order they stand in a plan."""


def steps_of(path: Path) -> list[str]:
    """Names of the steps that apply to a file; none for one that is no ONNX model. Raises OSError."""
    outline = outline_of(path)
    return [] if outline is None else [name for name, applies in STEPS.items() if applies(outline)]
