"""Integer products by the instructions that CPUs have for them, in all schedules of their designs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.toolchain.integers.conftest import HOST, answers, lowered, relax_of

pytestmark = pytest.mark.tvm

ARM = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mattr": ["+neon", "+dotprod"], "num-cores": 1}


def convolution(
    size: int, channels: int, outputs: int, window: int, stride: int = 1, dtype: str = "uint8", zero: int = 7
) -> Any:
    """Of codes with channels last; its sums are rounded to codes again."""
    from tvm import relax

    op = relax.op
    builder = relax.BlockBuilder()
    data = relax.Var("data", relax.TensorType((1, size, size, channels), dtype))
    weights = np.random.default_rng(0).integers(-128, 128, (outputs, window, window, channels)).astype(np.int8)

    def row(value: float, dtype: str = "float32") -> Any:
        return relax.const(np.full((1, 1, 1, 1), value, dtype))

    with builder.function("main", [data]):
        with builder.dataflow():
            centred = builder.emit(op.subtract(builder.emit(op.astype(data, "int16")), row(zero, "int16")))
            pads, layouts = (window // 2,) * 4, {"data_layout": "NHWC", "kernel_layout": "OHWI"}
            value = op.nn.conv2d(centred, relax.const(weights), (stride, stride), pads, out_dtype="int32", **layouts)
            value = builder.emit(op.multiply(builder.emit(op.astype(builder.emit(value), "float32")), row(1e-3)))
            value = builder.emit(op.round(builder.emit(op.maximum(value, row(0.0)))))
            value = op.astype(builder.emit(op.minimum(value, row(255.0))), "uint8")
            result = builder.emit_output(value)
        builder.emit_func_output(result)
    return builder.get()


def codes(shape: tuple[int, ...], dtype: str = "uint8") -> Any:
    limits = np.iinfo(dtype)
    return np.random.default_rng(1).integers(limits.min, limits.max + 1, shape).astype(dtype)


def dot_tasks(module: Any, target: dict[str, Any]) -> list[Any]:
    from tvm.s_tir.meta_schedule import relax_integration

    from sweep.toolchain.passes.integers.dot_targets import dot_block
    from sweep.toolchain.tvm_loader import resolve_target

    tasks = relax_integration.extract_tasks(module, resolve_target(target), {})
    return [task.dispatched[0] for task in tasks if dot_block(task.dispatched[0]["main"]) is not None]


@pytest.fixture(scope="module")
def has_vnni() -> None:
    from sweep.toolchain.passes.integers.dot_targets import dot_instructions
    from sweep.toolchain.tvm_loader import resolve_target

    if len(dot_instructions(resolve_target(HOST))) < 2:
        pytest.skip("this CPU has no AVX-512 VNNI")


@pytest.mark.usefixtures("has_vnni")
@pytest.mark.parametrize(
    ("size", "channels", "outputs", "window", "stride", "dtype"),
    [
        (6, 16, 32, 3, 1, "uint8"),
        (9, 3, 24, 7, 2, "uint8"),  # channels that fill no group, and half a register of outputs
        (5, 20, 16, 1, 1, "int8"),
        (6, 8, 10, 3, 1, "int8"),  # outputs that fill no register
    ],
)
def test_a_packed_convolution_gives_what_the_plain_one_gives(
    size: int, channels: int, outputs: int, window: int, stride: int, dtype: str
) -> None:
    module = convolution(size, channels, outputs, window, stride, dtype)
    data = [codes((1, size, size, channels), dtype)]
    plain, packed = lowered(module, 2), lowered(module, 3)
    assert (len(dot_tasks(plain, HOST)), len(dot_tasks(packed, HOST))) == (0, 1)
    [expected], [found] = answers(plain, data, 2), answers(packed, data, 3)
    assert expected.min() < expected.max(), "a test that cannot fail"
    assert np.array_equal(found, expected)


@pytest.mark.usefixtures("has_vnni")
def test_untuned_code_has_the_instruction() -> None:
    """Packed weights in the order of the program's text are read a byte at a time."""
    from tvm import relax

    from sweep.toolchain.lowering import finish
    from sweep.toolchain.tvm_loader import resolve_target

    target = resolve_target(HOST)
    module, left_out = finish(lowered(convolution(6, 16, 32, 3), 3), 3, target)
    assert left_out == []
    assert "vpdpbusd" in relax.build(module, target).mod.imports[0].inspect_source("asm")


@pytest.mark.usefixtures("has_vnni")
def test_no_convolution_is_left_out_where_the_layout_changes_before_it() -> None:
    """An input of codes is centred before it gets channels last."""
    from sweep.toolchain.mac_types import macs_by_type
    from tests.toolchain.integers.quantised_networks import codes_to_codes

    assert macs_by_type(lowered(relax_of(codes_to_codes()), 3)) == {"int8": 16 * 8 * 9 * 36}


@pytest.mark.usefixtures("has_vnni")
def test_every_design_gives_what_the_unscheduled_program_gives() -> None:
    import tvm

    from sweep.toolchain.tuning.space.design import Designs
    from sweep.toolchain.tvm_loader import resolve_target

    target = resolve_target(HOST)
    [workload] = dot_tasks(lowered(convolution(6, 8, 64, 3), 3), HOST)
    buffers = [parameter.ty for parameter in workload["main"].params]
    shapes = [tuple(int(size) for size in buffer.shape) for buffer in buffers]
    values = [
        codes(shape, str(buffer.dtype)) if "int" in str(buffer.dtype) else np.full(shape, 1e-3, np.float32)
        for shape, buffer in zip(shapes, buffers, strict=True)
    ]

    def run(module: Any) -> tuple[Any, int]:
        library = tvm.compile(module, target)
        tensors = [tvm.runtime.tensor(value) for value in (*values[:-1], np.zeros_like(values[-1]))]
        library["main"](*tensors)
        return tensors[-1].numpy(), library.mod.inspect_source("asm").count("vpdpbusd")

    expected, plain = run(workload)
    assert plain == 0
    designs = Designs(workload, target, "dot", 1)
    assert [design.size > 3 for design in designs.space.designs] == [True, True]
    points = [designs.space.point_at(index) for index in (0, designs.space.size - 2)]
    for point in (*points, *designs.suggested[:2]):
        scheduled = designs.schedule(point)
        assert scheduled is not None
        found, instructions = run(scheduled.schedule.mod)
        assert instructions > 0
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("attrs", "instruction"),
    [
        pytest.param(ARM, "sdot", marks=pytest.mark.slow, id="arm"),  # loads ARM's intrinsics, which takes 13 s
        pytest.param({"kind": "llvm", "mcpu": "alderlake", "num-cores": 1}, "vpdpbusd", id="avx"),
    ],
)
def test_other_cpus_get_their_own_instruction(attrs: dict[str, Any], instruction: str) -> None:
    import tvm

    from sweep.toolchain.tuning.space.design import Designs
    from sweep.toolchain.tvm_loader import resolve_target

    target = resolve_target(attrs)
    [workload] = dot_tasks(lowered(convolution(6, 8, 16, 3), 3, attrs), attrs)
    designs = Designs(workload, target, "dot", 1)
    scheduled = designs.schedule(designs.space.point_at(designs.space.size // 2))
    assert scheduled is not None
    assert instruction in tvm.compile(scheduled.schedule.mod, target).mod.inspect_source("asm")


@pytest.mark.parametrize("target", [{"kind": "llvm", "mcpu": "haswell"}, {**ARM, "mattr": ["+neon"]}])
def test_a_cpu_without_the_instruction_is_offered_none(target: dict[str, Any]) -> None:
    assert dot_tasks(lowered(convolution(6, 8, 16, 3), 3, target), target) == []


def test_tvms_own_integer_designs_are_not_offered() -> None:
    """It tensorises a matrix that is not packed, and its results are wrong without a word."""
    import tvm
    from tvm import te

    from sweep.toolchain.tuning.space.design import Designs
    from sweep.toolchain.tvm_loader import resolve_target

    data, weight = te.placeholder((32, 32), "uint8", "data"), te.placeholder((32, 32), "int8", "weight")
    axis = te.reduce_axis((0, 32), "k")
    total = te.compute(
        (32, 32), lambda i, j: te.sum(data[i, axis].astype("int32") * weight[j, axis].astype("int32"), axis), "dense"
    )
    module = tvm.IRModule({"main": te.create_prim_func([data, weight, total])})
    target = resolve_target({"kind": "llvm", "mcpu": "cascadelake", "num-cores": 1})
    designs = Designs(module, target, "dense", 1)
    assert designs.space.designs, "nothing is left"
    assert not any("auto_tensorize" in str(trace) for trace in designs._traces)
