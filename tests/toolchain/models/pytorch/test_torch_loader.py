"""Modules and exported programs of PyTorch, compiled without tuning and compared with torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.errors import ImportFailed
from sweep.toolchain.lowering import lower
from sweep.toolchain.module_files import read_module
from sweep.toolchain.tvm_loader import load_tvm, resolve_target
from tests.toolchain.models.pytorch.conftest import Import, arrays
from tests.toolchain.quick_builds import machine_of, quick

NETS = '''
import torch
from torch import nn


class Recurrent(nn.Module):
    """Keyword arguments, a constant among the inputs, outputs in a mapping, and one that is None."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 6, batch_first=True)
        self.gru = nn.GRU(6, 4, batch_first=True, bidirectional=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x, scale, *, mask):
        y, (h, c) = self.lstm(x)
        z, _ = self.gru(y)
        logits = self.head(z[:, -1]) * scale
        return {"logits": logits, "state": (h, None, c), "kept": mask.any(1), "ends": x[:, [-1, 0]]}


def recurrent():
    return Recurrent(), (torch.randn(2, 5, 4), 2.0), {"mask": torch.ones(2, 5, dtype=torch.bool)}


class Encoder(nn.Module):
    """As BERT has it: tables of tokens and positions, masked attention, a class."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(5, 16), nn.Embedding(16, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
        self.encoder, self.head = nn.TransformerEncoder(layer, 1), nn.Linear(16, 3)

    def forward(self, ids, mask):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        return self.head(self.encoder(x, src_key_padding_mask=mask == 0)[:, 0])


def encoder():
    return Encoder(), {"ids": torch.zeros(1, 6, dtype=torch.int64), "mask": torch.ones(1, 6, dtype=torch.int64)}


def alone():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


def number():
    return 3


class Otherwise(nn.Module):
    """What TVM's importer lacks, or does otherwise than torch."""

    def forward(self, x):
        whole = (x * 5).long()
        grid = torch.linspace(-1, 1, 12).reshape(1, 3, 2, 2)
        return {
            "reductions": (x.amax((1, 2)), x.amin(1), torch.logsumexp(x, 1), *x.min(1), x.prod(1)),
            "selu": nn.functional.selu(x),
            "of several axes": torch.var_mean(x, 1, correction=0),
            "distances": torch.cdist(x[0, :2], x[0, 2:]),
            "indexed": x[:, torch.tensor([0, 3]), :, torch.tensor([-1, 4])],
            "whole": (whole / 3, whole / whole.abs().clamp(min=1), (x > 0).cumsum(1), whole.any(1), x.any(3)),
            "pictures": (
                nn.functional.interpolate(x, size=(10, 5)),
                nn.functional.interpolate(x, scale_factor=(1.4, 2), mode="bilinear"),
                nn.functional.adaptive_max_pool2d(x, (3, 3)),
                nn.functional.avg_pool2d(x, 2, padding=1, divisor_override=3),
                nn.functional.unfold(x, (3, 2), padding=1, stride=2, dilation=(1, 2)),
                x.unfold(2, 3, 2),
                torch.zeros_like(x).scatter_add(3, torch.zeros_like(x, dtype=torch.int64) + 1, x),
                nn.functional.grid_sample(x, grid, align_corners=False),
            ),
        }


def otherwise():
    return Otherwise(), torch.randn(1, 4, 6, 9)


class Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count += 1
        return x + self.count


def stateful():
    return Stateful(), torch.zeros(1, 2)


class Short(nn.Module):
    """In numbers of 16 bits, with sums of thousands of positive terms; those between are of another type."""

    def __init__(self, dtype):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(512, 8, 3), nn.GroupNorm(2, 8), nn.Linear(8, 6)
        self.layers, self.dtype = nn.LayerNorm(6), dtype
        with torch.no_grad():
            self.conv.weight.abs_()
        self.to(dtype)

    def forward(self, x):
        short = x.to(self.dtype)
        wide, rows = self.conv(short.abs() + 1), self.norm(short[:, :8]).mean((2, 3))
        found = self.layers(self.head(rows)), (rows @ rows.T).softmax(-1), wide.cumsum(1)
        return [each.to(x.dtype) for each in found]


def halves():
    return Short(torch.float16), torch.randn(2, 512, 4, 4).half()


def short_inside():
    return Short(torch.bfloat16), torch.randn(2, 512, 4, 4)
'''


def errors(folder: Path, level: int = 0) -> list[float]:
    """Of compiled code on the inputs of an import, relative to the largest value of each output."""
    tvm = load_tvm(())
    target = resolve_target(quick({"kind": "llvm", "num-cores": 1}))
    options = {"opt_level": level, "layout": "NCHW", "precision": "float32"}
    machine = machine_of(lower(read_module(folder), options, target, []).module, target)
    given = [tvm.runtime.tensor(array) for array in arrays(folder, "inputs.npz")]
    outputs = [output.numpy() for output in machine["main"](*given)]
    expected = arrays(folder, "reference.npz")
    assert [(output.shape, output.dtype) for output in outputs] == [(one.shape, one.dtype) for one in expected]
    return [
        float(np.abs(output.astype(np.float64) - wanted).max() / max(1e-9, np.abs(wanted).max()))
        for output, wanted in zip(outputs, expected, strict=True)
    ]


@pytest.fixture
def nets(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The name of a module beside the study; each test has its own, since a process imports a name once."""
    name = "nets_" + "".join(letter if letter.isalnum() else "_" for letter in request.node.name)
    (tmp_path / f"{name}.py").write_text(NETS)
    return name


@pytest.mark.slow
def test_recurrent_layers_keywords_and_nested_outputs(importing: Import, nets: str, tmp_path: Path) -> None:
    result = importing(f"{nets}:recurrent", batch=3)
    assert result["inputs"] == {
        "x": {"shape": [3, 5, 4], "dtype": "float32"},
        "mask": {"shape": [3, 5], "dtype": "bool"},
    }
    assert [output["shape"] for output in result["outputs"]] == [[3, 3], [1, 3, 6], [1, 3, 6], [3], [3, 2, 4]]
    assert max(errors(tmp_path / "import")) < 1e-5


@pytest.mark.slow
def test_an_encoder_of_tokens(importing: Import, nets: str, tmp_path: Path) -> None:
    importing(f"{nets}:encoder", inputs={"ids": [2, 7], "mask": [2, 7]})
    ids, _ = arrays(tmp_path / "import", "inputs.npz")
    assert ids.max() == 4  # inside the table, and not all the same
    assert max(errors(tmp_path / "import", level=3)) < 1e-5


def test_what_the_importer_lacks_or_does_otherwise(importing: Import, nets: str, tmp_path: Path) -> None:
    importing(f"{nets}:otherwise")
    assert max(errors(tmp_path / "import")) < 1e-5


@pytest.mark.parametrize(
    ("network", "level", "bound"), [("halves", 0, 4e-3), pytest.param("short_inside", 3, 2e-2, marks=pytest.mark.slow)]
)
def test_numbers_of_16_bits_add_up_in_32(
    importing: Import, nets: str, tmp_path: Path, network: str, level: int, bound: float
) -> None:
    importing(f"{nets}:{network}")
    assert max(errors(tmp_path / "import", level)) < bound


def test_a_program_whose_batch_is_open_is_exported_at_each(importing: Import, tmp_path: Path) -> None:
    import torch

    layer = torch.nn.Sequential(torch.nn.Linear(8, 300), torch.nn.ReLU())
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(layer, (torch.randn(2, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "net.pt2")
    result = importing("net.pt2", batch=4)
    assert [one["shape"] for one in (*result["inputs"].values(), *result["outputs"])] == [[4, 8], [4, 300]]
    assert max(errors(tmp_path / "import")) < 1e-5
    with pytest.raises(ImportFailed, match="cannot be exported for these inputs"):
        importing("net.pt2", batch=65)


@pytest.mark.slow
def test_names_of_torchvision_have_weights_on_which_wrong_code_shows(importing: Import, tmp_path: Path) -> None:
    result = importing("torchvision:shufflenet_v2_x0_5", inputs={"x": [1, 3, 32, 32]})
    assert result["operators"]["conv2d"] == 56
    assert (result["formats"], result["weights"]) == (["pt2", "onnx"], "random")
    (expected,) = arrays(tmp_path / "import", "reference.npz")
    assert expected.std() > 0.1


@pytest.mark.parametrize(
    ("function", "entry", "said"),
    [
        ("number", {}, "returns int and not a torch.nn.Module"),
        ("alone", {}, "no example inputs"),
        ("stateful", {}, "keep a state"),
        ("recurrent", {"inputs": {"y": [1, 2]}}, "no input is called 'y'; the network's inputs: x, mask"),
        ("recurrent", {"inputs": {"x": [1, 2]}}, "has 3 dimensions"),
    ],
)
def test_what_cannot_be_imported_is_one_line(
    function: str, entry: dict[str, Any], said: str, importing: Import, nets: str
) -> None:
    with pytest.raises(ImportFailed) as caught:
        importing(f"{nets}:{function}", **entry)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_alone_takes_the_shapes_of_the_study(importing: Import, nets: str) -> None:
    result = importing(f"{nets}:alone", inputs={"input": [1, 3, 8, 8]})
    assert result["outputs"][0]["shape"] == [1, 4, 6, 6]
