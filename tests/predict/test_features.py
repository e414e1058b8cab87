"""Geometry of networks and the features that are computed from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from sweep.errors import StudyError
from sweep.predict.analytical_features import INFERENCE, TRAINING, analytical_features, feature_names
from sweep.predict.layer_geometry import read_layers, stack_layers
from sweep.predict.network_layers import layers_of_onnx
from sweep.predict.physical_terms import physical_terms
from tests.predict.devices import convolution, dense, write_tables

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


@pytest.mark.parametrize(
    ("network", "weights", "macs"),
    [("resnet50", 25_502_912, 4_089_184_256), ("vgg19", 143_652_544, 19_632_062_464)],
)
def test_published_networks_have_the_size_that_is_published(network: str, weights: int, macs: int) -> None:
    # ResNet-50: 25.56 M parameters with those of norms and biases, 4.09 G MACs; VGG-19: 143.67 M and 19.6 G
    geometry = layers_of_onnx(LIGHT / f"light_{network}.onnx")
    assert (int(geometry.weights.sum()), int(geometry.macs.sum())) == (weights, macs)


@pytest.mark.parametrize(("mode", "count"), [(INFERENCE, 15), (TRAINING, 56)])
def test_each_mode_has_its_number_of_features(mode: str, count: int) -> None:
    geometry = stack_layers([convolution(3, 8, 3, 16), dense(8, 10)])
    assert len(set(feature_names(mode))) == count
    assert analytical_features(geometry, 2, mode).shape == (count,)


def test_features_of_one_convolution_by_hand() -> None:
    geometry = stack_layers([convolution(4, 8, 3, 6, groups=2)])
    of = dict(zip(feature_names(INFERENCE), analytical_features(geometry, 5, INFERENCE), strict=True))
    assert of["tensor_weights"] == 8 * 2 * 9
    assert of["tensor_inputs"] == 5 * 4 * 36
    assert of["tensor_sum"] == of["tensor_weights"] + of["tensor_inputs"] + 5 * 8 * 36
    assert of["im2col_forward"] == 5 * 36 * 9 * 4
    assert of["gemm_macs_forward"] == 5 * 8 * 36 * 9 * 2
    assert of["fft_weights_forward"] == 6 * 7 * 8 * 2
    assert of["winograd_f43_forward"] == 3 * 5 * 8 * 36 * 4  # two tiles of 4 each way, of 36 points
    assert of["winograd_f32_operations_forward"] == 5 * 8 * 2 * 4 * 4 * 16


def test_gradients_are_in_the_sums_of_training() -> None:
    geometry = stack_layers([convolution(4, 8, 3, 6), dense(8, 10)])
    of = dict(zip(feature_names(TRAINING), analytical_features(geometry, 3, TRAINING), strict=True))
    assert of["gemm_macs_sum"] == 2 * of["gemm_macs_forward"] + of["gemm_macs_input_gradient"]
    assert of["fft_sum"] == of["fft_sum_forward"] + of["fft_sum_input_gradient"] + of["fft_sum_weight_gradient"]
    parts = ("forward", "input_gradient", "weight_gradient")
    assert of["winograd_f43_sum"] == sum(of[f"winograd_f43_{part}"] for part in parts)


def test_branches_that_start_at_one_tensor_keep_it_once() -> None:
    fire = stack_layers([convolution(96, 16, 1, 55), convolution(16, 64, 1, 55), convolution(16, 64, 3, 55)])
    assert fire.reads_new_values.tolist() == [True, True, False]
    once = physical_terms(fire, 1)["kept_inputs_mib"]
    assert once == pytest.approx((96 + 16) * 55 * 55 * 4 / 2**20)


def test_33_channels_cost_what_64_do() -> None:
    narrow = physical_terms(stack_layers([convolution(33, 64, 3, 8)]), 1)["padded_macs"]
    assert narrow == pytest.approx(physical_terms(stack_layers([convolution(64, 64, 3, 8)]), 1)["padded_macs"])


@pytest.mark.parametrize(("channels", "unaligned"), [(64, 0), (60, 60 * 8 * 8)])
def test_a_depthwise_convolution_whose_channels_fill_no_registers_counts_once_more(
    channels: int, unaligned: int
) -> None:
    terms = physical_terms(stack_layers([convolution(channels, channels, 3, 8, groups=channels)]), 1)
    assert terms["depthwise_outputs"] == channels * 8 * 8
    assert terms["unaligned_depthwise_outputs"] == unaligned


@pytest.mark.parametrize(("channels", "unblocked"), [(60, 0), (62, 1)])
def test_channels_in_no_blocks_of_four_are_told(channels: int, unblocked: int) -> None:
    dense = physical_terms(stack_layers([convolution(8, channels, 3, 8)]), 1)
    assert dense["unblocked_macs"] == unblocked * dense["macs"]
    depthwise = physical_terms(stack_layers([convolution(channels, channels, 3, 8, groups=channels)]), 1)
    assert depthwise["unblocked_depthwise_outputs"] == unblocked * depthwise["depthwise_outputs"]


def test_products_of_long_sums_count_nearly_whole_and_those_of_short_ones_little() -> None:
    short, long = (physical_terms(stack_layers([convolution(n, 8, 1, 8)]), 1) for n in (16, 4096))
    assert short["long_sum_macs"] / short["macs"] == pytest.approx(16 / (16 + 256))
    assert long["long_sum_macs"] / long["macs"] == pytest.approx(4096 / (4096 + 256))


def test_a_matrix_product_over_positions_counts_each_of_them(tmp_path: Path) -> None:
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "attention",
        [helper.make_tensor_value_info("x", float32, ["batch", 128, 32])],
        [helper.make_tensor_value_info("y", float32, None)],
        [onnx.numpy_helper.from_array(np.ones((32, 64), np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, ir_version=10), tmp_path / "net.onnx")
    geometry = layers_of_onnx(tmp_path / "net.onnx")
    assert int(geometry.macs.sum()) == 128 * 32 * 64


def test_tables_give_the_geometry_that_was_written(tmp_path: Path) -> None:
    layers, _ = write_tables(tmp_path, ("plain",))
    geometry = read_layers(layers)["plain", 50.0]
    assert geometry.out_channels.tolist()[:2] == [16.0, 16.0]
    assert geometry.is_dense.tolist()[-1]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("op", "conv3d", "layers.csv:3: op: 'conv3d'; allowed: conv2d, dense"),
        ("stride", "0", "layers.csv:3: stride: 0.0; allowed: a number of at least 1"),
        ("in_h", "", "layers.csv:3: in_h: nothing; allowed: a number of at least 1"),
        ("groups", "many", "layers.csv:3: groups: 'many'; allowed: a number of at least 1"),
    ],
)
def test_a_wrong_value_is_told_with_its_line(tmp_path: Path, column: str, value: str, expected: str) -> None:
    layers, _ = write_tables(tmp_path, ("plain",))
    lines = layers.read_text(encoding="utf-8").splitlines()
    cells = lines[2].split(",")
    cells[lines[0].split(",").index(column)] = value
    lines[2] = ",".join(cells)
    layers.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(StudyError) as raised:
        read_layers(layers)
    assert str(raised.value).endswith(expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "cannot be read as CSV"),
        (b"\xff\xfe\x00", "cannot be read as CSV"),
        (b"network\n", "'level_percent' is missing"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "layers.csv").write_bytes(content)
    with pytest.raises(StudyError, match=expected) as raised:
        read_layers(tmp_path / "layers.csv")
    assert "\n" not in str(raised.value)
