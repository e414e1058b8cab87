"""Predictors that are fitted to the cells of sweeps."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from sweep.api.predicting.device_models import evaluate_predictor_on_sweeps, fit_predictor_to_sweeps
from sweep.api.predicting.rows_of_sweeps import rows_of_sweeps, variants_in
from sweep.errors import StudyError
from sweep.predict.observations import Variable
from tests.api.made_sweep import MadeCell, make_sweep

BATCHES = (1, 2, 4, 8, 16)


def sweep_of(folder: Path, cells: list[MadeCell], channels: int = 8) -> Path:
    make_sweep(folder, cells)
    for home in (folder / "artifacts" / "import").iterdir():
        onnx.save(network(channels), home / "model.onnx")
    return folder


def network(channels: int) -> onnx.ModelProto:
    data, out = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, count, 16, 16])
        for name, count in (("x", 3), ("y", channels))
    )
    weights = helper.make_tensor("w", TensorProto.FLOAT, [channels, 3, 3, 3], [0.0] * channels * 27)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    return helper.make_model(helper.make_graph([node], "g", [data], [out], [weights]))


def test_a_predictor_is_fitted_to_sweeps(tmp_path: Path) -> None:
    cells = [MadeCell(model=model, batch=batch, ms=float(batch)) for model in ("a", "b") for batch in BATCHES]
    done = fit_predictor_to_sweeps([sweep_of(tmp_path / "s", cells)], tmp_path / "p.json", runtime="tvm")
    assert done.as_dict()["networks"] == ["a", "b"]
    assert done.as_dict()["rows"] == len(cells)
    assert (tmp_path / "p.json").is_file()


def test_a_predictor_is_evaluated_on_sweeps_with_networks_or_devices_held_out(tmp_path: Path) -> None:
    cells = [
        MadeCell(model=model, batch=batch, ms=batch * factor, device=device)
        for model in ("a", "b", "c")
        for batch in BATCHES
        for device, factor in (("here", 1.0), ("slow", 2.0))
    ]
    folders, file = [sweep_of(tmp_path / "s", cells)], tmp_path / "p.json"
    fit_predictor_to_sweeps(folders, file, runtime="tvm", device="here")
    found, left_out, remark = evaluate_predictor_on_sweeps(
        file, folders, how="leave-one-network-out", runtime="tvm", device="here"
    )
    assert (set(found.by_network), found.total.rows, left_out, remark) == ({"a", "b", "c"}, 15, 0, None)
    assert found.mean_over_networks is not None
    assert found.mean_over_networks < 0.2, "all are the same network"
    found, _, _ = evaluate_predictor_on_sweeps(file, folders, how="leave-one-device-out", runtime="tvm")
    errors = {device: one.mean_absolute_relative_error for device, one in found.by_device.items()}
    assert errors == {"here": pytest.approx(1.0, abs=0.2), "slow": pytest.approx(0.5, abs=0.1)}
    with pytest.raises(StudyError, match=r"--device: is needed, since the cells of tvm are of here, slow"):
        evaluate_predictor_on_sweeps(file, folders, runtime="tvm")


def test_the_least_of_those_that_can_be_relied_on_counts(tmp_path: Path) -> None:
    cells = [
        MadeCell(batch=2, ms=4.0, spread=0.0),
        MadeCell(tuner="xgb", batch=2, ms=3.0, spread=0.0),
        MadeCell(tuner="random", batch=2, ms=2.0, is_tainted=True),
        MadeCell(tuner="replay", batch=2, ms=1.0, unchecked="onnxruntime refuses it"),
        MadeCell(batch=None, ms=9.0),
    ]
    layers, observed = rows_of_sweeps([sweep_of(tmp_path / "s", cells)], Variable.LATENCY, "tvm", None)
    assert observed.ids == ["net@0%x2"]
    assert observed.value.tolist() == pytest.approx([3.0])
    assert layers["net", 0.0].out_channels.tolist() == [8.0]


def test_other_networks_of_one_name_stay_apart(tmp_path: Path) -> None:
    folders = [sweep_of(tmp_path / name, [MadeCell()], channels) for name, channels in (("s", 8), ("t", 8), ("u", 16))]
    layers, observed = rows_of_sweeps(folders, Variable.LATENCY, "tvm", None)
    assert observed.networks == ["net", f"net of {tmp_path / 'u'}"]
    assert [one.out_channels.tolist() for one in layers.values()] == [[8.0], [16.0]]


def test_a_variant_is_a_level_of_the_network_that_it_comes_from() -> None:
    rows = [
        {"model": "net", "variant_of": None, "parameters": 1000},
        {"model": "net-l1-30", "variant_of": "net", "parameters": 700, "parameters_removed": 0.3},
        {"model": "twice", "variant_of": "net-l1-30", "parameters": 350, "parameters_removed": 0.5},
        {"model": "learned", "variant_of": "net", "parameters": 1000, "parameters_removed": None},
        {"model": "alone", "variant_of": "excluded", "parameters": 10, "parameters_removed": 0.25},
    ]
    assert variants_in(rows) == {
        "net": ("net", 0.0),
        "net-l1-30": ("net", 30.0),
        "twice": ("net", 65.0),
        "learned": ("net", 0.0),
        "alone": ("excluded", 25.0),
    }


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    folder = sweep_of(tmp_path / "s", [MadeCell()])
    with pytest.raises(StudyError, match=r"--out: is in a folder that is not there, .*nowhere"):
        fit_predictor_to_sweeps([folder], tmp_path / "nowhere" / "p.json", runtime="tvm")


TRAINED, OBSERVED = ("mode", "training"), ("variable", "memory")


def test_a_mode_has_its_own_rows_and_memory_comes_from_who_observes_it(tmp_path: Path) -> None:
    cells = [
        MadeCell(runtime="torch", ms=1.0, spread=0.0, memory_bytes=300 << 20),
        MadeCell(runtime="torch", ms=5.0, spread=0.0, memory_bytes=400 << 20, more=(TRAINED,)),
        MadeCell(runtime="torch", memory_bytes=7 << 20, more=(TRAINED, OBSERVED)),
        MadeCell(runtime="torch", batch=2, memory_bytes=9 << 20, more=(TRAINED, OBSERVED)),
    ]
    folder = sweep_of(tmp_path / "s", cells)
    told = {
        (mode, variable): rows_of_sweeps([folder], variable, "torch", None, mode)[1].value.tolist()
        for mode in ("inference", "training")
        for variable in Variable
    }
    assert told == {
        ("inference", Variable.LATENCY): [pytest.approx(1.0)],
        ("training", Variable.LATENCY): [pytest.approx(5.0)],
        ("inference", Variable.MEMORY): [300.0],
        ("training", Variable.MEMORY): [7.0, 9.0],
    }
    with pytest.raises(StudyError, match="--mode"):
        rows_of_sweeps([folder], Variable.LATENCY, "torch", None, "dreaming")


def test_a_predictor_of_training_has_the_features_of_training(tmp_path: Path) -> None:
    batches = (1, 2, 4, 8, 16, 32, 64, 128)
    cells = [MadeCell(runtime="torch", batch=batch, ms=float(batch), more=(TRAINED,)) for batch in batches]
    done = fit_predictor_to_sweeps(
        [sweep_of(tmp_path / "s", cells)], tmp_path / "p.json", runtime="torch", mode="training"
    )
    assert (done.as_dict()["mode"], done.as_dict()["rows"]) == ("training", len(cells))
