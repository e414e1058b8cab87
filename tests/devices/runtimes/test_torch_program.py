"""PyTorch and torch.compile in their own processes, on what a real import has left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.devices.measuring.blocks import MeasuringPlace
from sweep.devices.runtimes import torch_program
from sweep.devices.runtimes.child_process import measure_in_child
from sweep.errors import MeasureFailed, OutputMismatch
from sweep.files.npz import load_arrays, save_arrays
from sweep.study.spec import Measure
from tests.toolchain.models.pytorch.conftest import importing

__all__ = ["importing"]
MEASURE = {**Measure(repeat=3, rounds=1, min_repeat_ms=1, timeout_s=60).options, "max_repeat": 3}
NETS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.large, self.table = nn.Linear(1100, 2000), nn.Embedding(9, 1100)

    def forward(self, ids, scale):
        return {"y": self.large(self.table(ids)).relu() * scale, "ids": ids + 1}


def make():
    return Net(), {"ids": torch.tensor([[1, 8, 3]]), "scale": torch.ones(1, 1)}
"""


@pytest.fixture
def imported(importing: Any, tmp_path: Path) -> Path:
    """Of some 9 MB, so that its weights lie beside it."""
    (tmp_path / "nets_of_torch.py").write_text(NETS)
    assert importing("nets_of_torch:make")["formats"] == ["pt2", "onnx"]
    assert len(list((tmp_path / "import").glob("weights-*"))) == 1
    assert (tmp_path / "import" / "model.pt2").stat().st_size < 1e5
    return tmp_path / "import"


def measured(runtime: str, folder: Path) -> dict[str, Any]:
    place = MeasuringPlace(cores=(min(os.sched_getaffinity(0)),), threads=1, best_kernel_s=None)
    return measure_in_child(runtime, folder, MEASURE, place, 1e-3)


def test_torch_and_onnx_runtime_run_what_an_import_left(imported: Path) -> None:
    for runtime in ("torch", "onnxruntime"):
        result = measured(runtime, imported)
        assert len(result["run_secs"]) == 3, runtime
        assert result["output_max_abs_diff"] < 1e-4, runtime
    expected = load_arrays(imported / "reference.npz")
    save_arrays(imported / "reference.npz", {**expected, "output_0": expected["output_0"] + 1})
    with pytest.raises(OutputMismatch):
        measured("torch", imported)


@pytest.mark.slow
def test_inductor_compiles_outside_of_the_measurement(imported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = measured("torch-compile", imported)
    assert result["output_max_abs_diff"] < 1e-4
    assert result["conditions"]["runtime_threads"] == 1
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MeasureFailed, match=r"needs a C\+\+ compiler"):
        measured("torch-compile", imported)


def test_without_a_compiler_there_is_no_such_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    assert torch_program._missing_compiler() == "needs a C++ compiler, and neither g++ nor clang++ is there"


@pytest.mark.slow
def test_a_program_that_gives_a_lone_tensor_gives_all_of_it(tmp_path: Path) -> None:
    """As `torch.export` writes most networks: to iterate over the tensor took it apart."""
    torch = pytest.importorskip("torch")
    program = torch.export.export(torch.nn.ReLU(), (torch.ones(1, 4),))
    torch.export.save(program, tmp_path / "model.pt2")
    save_arrays(tmp_path / "inputs.npz", {"input": np.ones((1, 4), "float32")})
    save_arrays(tmp_path / "reference.npz", {"output_0": np.ones((1, 4), "float32")})
    assert measured("torch", tmp_path)["output_max_abs_diff"] == 0.0
