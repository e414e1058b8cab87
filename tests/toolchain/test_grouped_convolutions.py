"""Convolutions of one position in several groups as products, and shuffles of channels before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.toolchain.tuning.designs.test_depthwise_designs import HOST
from tests.variants import only

pytestmark = pytest.mark.tvm

GROUPS, SIZE = 4, 6


@dataclass(frozen=True, slots=True)
class Unit:
    """Of ShuffleNet: a grouped convolution, a shuffle, a depthwise convolution and a grouped one, with biases."""

    channels: int
    is_read_twice: bool = False
    """What comes between the shuffle and the second one."""
    window: int = 1


def network(unit: Unit) -> Any:
    """Of its file's layout, channels second."""
    from tvm import relax

    random, channels, half = np.random.default_rng(0), unit.channels, unit.window // 2

    def constant(*shape: int) -> Any:
        return relax.const(random.normal(0, 1, shape).astype(np.float32))

    builder = relax.BlockBuilder()
    data = relax.Var("data", relax.TensorType((1, channels, SIZE, SIZE), "float32"))

    def grouped(value: Any, window: int, groups: int) -> Any:
        weights = constant(channels, channels // groups, window, window)
        pads = [window // 2] * 4
        value = builder.emit(relax.op.nn.conv2d(value, weights, padding=pads, groups=groups))
        return builder.emit(relax.op.add(value, constant(1, channels, 1, 1)))

    with builder.function("main", [data]):
        with builder.dataflow():
            value = builder.emit(relax.op.nn.relu(grouped(data, 2 * half + 1, GROUPS)))
            for shape in ((1, GROUPS, channels // GROUPS, SIZE, SIZE), (1, channels, SIZE, SIZE)):
                value = builder.emit(relax.op.reshape(value, shape))
                if len(shape) > len(data.ty.shape):
                    value = builder.emit(relax.op.permute_dims(value, (0, 2, 1, 3, 4)))
            between = builder.emit(relax.op.nn.relu(grouped(value, 3, channels)))
            value = grouped(between, 1, GROUPS)
            result = builder.emit_output(relax.op.add(value, between if unit.is_read_twice else data))
        builder.emit_func_output(result)
    return builder.get()


def lowered(unit: Unit, level: int, **axes: str) -> Any:
    from sweep.toolchain.lowering import lower
    from sweep.toolchain.tvm_loader import resolve_target

    result = lower(network(unit), {"opt_level": level, **axes}, resolve_target(HOST))
    assert (result.level, result.left_out) == (level, ())
    return result.module


def answer(module: Any) -> Any:
    import tvm

    from sweep.toolchain.tvm_loader import resolve_target

    shape = [int(size) for size in module["main"].params[0].ty.shape]
    data = tvm.runtime.tensor(np.random.default_rng(1).normal(0, 1, shape).astype(np.float32))
    machine = tvm.relax.VirtualMachine(tvm.compile(module, resolve_target(HOST)), tvm.cpu())
    return machine["main"](data).numpy()


def blocks(module: Any) -> str:
    return str(module.script(show_meta=False))


UNITS = {
    "no whole vectors": Unit(4 * 10),
    "groups that a shuffle leaves whole": Unit(4 * 12),
    "vectors that share in no tile": Unit(4 * 56),
    "read twice": Unit(4 * 12, is_read_twice=True),
}


@pytest.mark.parametrize("unit", only(("no whole vectors", "read twice"), UNITS))
def test_it_gives_what_the_network_gives(unit: Unit) -> None:
    module = lowered(unit, 3)
    text = blocks(module)
    assert "grouped_sums" in text
    assert "nchw" not in text
    expected = answer(lowered(unit, 0))
    np.testing.assert_allclose(answer(module), expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).max()))


def test_a_shuffle_is_no_copy_unless_something_else_reads_what_it_gives() -> None:
    """Beside the turns of the network's input and output."""
    units = (UNITS["no whole vectors"], UNITS["read twice"])
    counts = [blocks(lowered(unit, 3)).count('T.sblock("T_reshape') for unit in units]
    assert counts[0] == 0 < counts[1]


def test_number_types_between_leave_a_shuffle_no_copy() -> None:
    text = blocks(lowered(UNITS["no whole vectors"], 3, precision="float16"))
    assert "grouped_sums" in text
    assert 'T.sblock("T_reshape' not in text


def test_narrow_groups_of_windows_beside_them_leave_all_as_it_is() -> None:
    text = blocks(lowered(Unit(4 * 12, window=3), 3))
    assert "grouped_sums" not in text
    assert "group_conv2d_nchw" in text


@pytest.mark.parametrize(("outputs", "sums"), [(6, 8), (34, 40), (68, 72), (96, 96), (136, 144)])
def test_groups_are_vectors_that_share_in_tiles(outputs: int, sums: int) -> None:
    from sweep.toolchain.passes.groups import grouped_convolutions

    assert grouped_convolutions.sums_of(outputs) == sums


def test_a_shuffle_is_undone() -> None:
    from tvm import relax

    from sweep.toolchain.passes.groups.shuffled_channels import Shuffle

    shuffle, before = Shuffle(3, 2), np.arange(6.0)
    shuffled = before.reshape(3, 2).T.ravel()
    assert [int(shuffle.source_of(channel)) for channel in range(6)] == shuffled.tolist()
    assert shuffle.undone(relax.const(shuffled), -1).value.numpy().tolist() == before.tolist()
