"""PyTorch trains what was exported to infer: its norms and dropout in their form in training, its loss falls."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.devices.measuring.blocks import MeasuringPlace
from sweep.devices.runtimes.child_process import measure_in_child
from sweep.errors import MeasureFailed, OutOfMemory, OverTimeLimit
from sweep.files.npz import save_arrays
from sweep.study.profile_options import ProfilePoint
from sweep.study.runtimes import SessionRequest
from sweep.study.spec import Measure

torch = pytest.importorskip("torch")
MEASURE = {**Measure(repeat=3, rounds=1, min_repeat_ms=1, timeout_s=60).options, "max_repeat": 3}
PLACE = MeasuringPlace(cores=(min(os.sched_getaffinity(0)),), threads=1, best_kernel_s=None)


class Net(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Needs some 2 MB a sample and layer; only what it trains with shows whether its forms are those of training."""

    def __init__(self, drop: float = 0.0) -> None:
        super().__init__()
        self.wide = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.norm, self.drop = torch.nn.BatchNorm2d(8), torch.nn.Dropout(drop)
        self.last = torch.nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        return self.last(self.drop(torch.relu(self.norm(self.wide(x))).mean((2, 3))))


def leave(folder: Path, batch: int = 4) -> Path:
    """What an import leaves of it."""
    torch.manual_seed(0)
    net, x = Net().eval(), torch.randn(batch, 3, 256, 256)
    torch.export.save(torch.export.export(net, (x,)), folder / "model.pt2")
    save_arrays(folder / "inputs.npz", {"x": x.numpy()})
    save_arrays(folder / "reference.npz", {"output_0": net(x).detach().numpy()})
    return folder


def measured(folder: Path, point: ProfilePoint) -> dict[str, Any]:
    return measure_in_child("torch", folder, MEASURE, PLACE, 1e-3, point=point)


def test_steps_are_timed_and_the_loss_falls(tmp_path: Path) -> None:
    result = measured(leave(tmp_path), ProfilePoint("training"))
    assert len(result["run_secs"]) == 3
    assert result["output_max_abs_diff"] < 1e-4, "what it infers before the first step is what the network answers"
    seen = result["conditions"]
    assert seen["trained_parameters"] == 8 * 27 + 8 + 16 + 36
    first, last = seen["losses"]
    assert last < first


def test_norms_and_dropout_are_in_their_form_in_training(tmp_path: Path) -> None:
    from sweep.devices.runtimes.torch_training import TrainingSession, set_to_training

    program = torch.export.load(leave(tmp_path, batch=2) / "model.pt2")
    assert set_to_training(program.module()) == 2
    decomposed = program.run_decompositions()
    assert set_to_training(decomposed.module()) >= 1, "also of norms in torch's core operators"
    session = TrainingSession(SessionRequest(tmp_path, torch.get_num_threads(), ()), program)
    inputs = {"x": np.random.default_rng(0).standard_normal((2, 3, 256, 256)).astype("float32") + 3}
    kept = {name: value.clone() for name, value in session._network.state_dict().items()}
    session.clock(inputs, lambda: None)(1, 1)
    changed = {name for name, value in session._network.state_dict().items() if not torch.equal(value, kept[name])}
    assert {"norm.running_mean", "norm.running_var", "wide.weight", "last.bias"} <= changed


@pytest.mark.slow
def test_a_limit_of_memory_is_kept(tmp_path: Path) -> None:
    leave(tmp_path)
    layer = 4 * 8 * 256 * 256 * 4
    result = measured(tmp_path, ProfilePoint("training", "memory", {"memory_limit_bytes": 40.0 * layer}))
    assert 3 * layer < result["peak_memory_bytes"] < 20 * layer
    assert result["peak_memory_method"] == "VmHWM"
    with pytest.raises(OutOfMemory, match="memory_limit_bytes are 8388608"):
        measured(tmp_path, ProfilePoint("training", "memory", {"memory_limit_bytes": float(layer)}))


@pytest.mark.slow
def test_training_needs_more_memory_than_to_infer(tmp_path: Path) -> None:
    leave(tmp_path)
    memory = {
        mode: measured(tmp_path, ProfilePoint(mode, "memory"))["peak_memory_bytes"]
        for mode in ("inference", "training")
    }
    assert 1.2 * memory["inference"] < memory["training"]


@pytest.mark.slow
def test_a_call_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(OverTimeLimit, match="time_limit_s"):
        measured(leave(tmp_path), ProfilePoint("inference", "latency", {"time_limit_s": 1e-4}))


@pytest.mark.slow
def test_without_parameters_there_is_nothing_to_train(tmp_path: Path) -> None:
    x = torch.ones(1, 4)
    torch.export.save(torch.export.export(torch.nn.ReLU(), (x,)), tmp_path / "model.pt2")
    save_arrays(tmp_path / "inputs.npz", {"input": x.numpy()})
    with pytest.raises(MeasureFailed, match="no parameter to train"):
        measured(tmp_path, ProfilePoint("training"))
