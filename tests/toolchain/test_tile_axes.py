"""A tile over several axes becomes one an axis, whoever imported it, and nothing else is touched."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from sweep.toolchain.tvm_loader import load_tvm

pytestmark = pytest.mark.tvm


def split(shape: list[int], repeats: list[int]) -> tuple[Any, Any]:
    """A module with an operator for the tile, as of importers other than ONNX's, as programs before and after."""
    tvm = load_tvm()
    from tvm import relax

    from sweep.toolchain.passes.tile_axes import SplitTiles

    builder = relax.BlockBuilder()
    value = relax.Var("value", relax.TensorType(shape, "float32"))
    with builder.function("main", [value]):
        with builder.dataflow():
            tiled = builder.emit(relax.op.tile(value, repeats))
            output = builder.emit_output(relax.op.nn.relu(tiled))
        builder.emit_func_output(output)
    legal = relax.transform.LegalizeOps()(builder.get())
    assert isinstance(legal, tvm.IRModule)
    return legal, SplitTiles()(legal)


def shapes(module: Any) -> list[list[tuple[int, ...]]]:
    """Those of input and output of each program of a tile."""
    return [
        [tuple(int(size) for size in parameter.ty.shape) for parameter in function.params]
        for name, function in sorted(module.functions_items(), key=lambda one: str(one[0].name_hint))
        if name.name_hint.startswith("tile")
    ]


@pytest.mark.parametrize(
    ("shape", "repeats", "parts"),
    [
        ([1, 3, 4, 5], [1, 6, 4, 2], [(1, 3, 4, 5), (1, 18, 4, 5), (1, 18, 16, 5), (1, 18, 16, 10)]),
        ([3, 4], [2, 1, 5], [(3, 4), (2, 3, 4), (2, 3, 20)]),
        ([3, 4, 5], [2, 3], [(3, 4, 5), (3, 8, 5), (3, 8, 15)]),
    ],
)
def test_several_axes_are_repeated_one_after_the_other(
    shape: list[int], repeats: list[int], parts: list[tuple[int, ...]]
) -> None:
    from tvm import relax

    _, after = split(shape, repeats)
    assert shapes(after) == [list(pair) for pair in pairwise(parts)]
    for name in ("AnnotateTIROpPattern", "FuseOps", "FuseTIR"):
        after = getattr(relax.transform, name)()(after)
    assert len(shapes(after)) == len(parts) - 1, "fused, they were a program of several axes again"
    relax.analysis.well_formed(after)  # raises where it is not


@pytest.mark.parametrize("repeats", [[1, 1, 4], [1, 1, 1], [3, 1, 1, 1]])
def test_a_module_without_such_a_tile_is_the_very_same(repeats: list[int]) -> None:
    before, after = split([3, 4, 5], repeats)
    assert after.same_as(before)


def test_another_program_of_that_name_is_left_alone() -> None:
    load_tvm()
    from tvm import relax, te

    from sweep.toolchain.passes.tile_axes import SplitTiles

    builder = relax.BlockBuilder()
    value = relax.Var("value", relax.TensorType([3, 4], "float32"))

    def mirrored(data: Any) -> Any:
        return te.compute([6, 8], lambda row, column: data[2 - row % 3, column % 4], name="T_tile")

    with builder.function("main", [value]):
        builder.emit_func_output(builder.emit_te(mirrored, value, primfunc_name_hint="tile"))
    module = builder.get()
    assert SplitTiles()(module).same_as(module)
