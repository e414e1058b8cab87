"""Networks of PyTorch as graphs: made by their own framework, counted as the others."""

from __future__ import annotations

from pathlib import Path

import pytest

import sweep

pytest.importorskip("torch")

_SMALL = """
import torch

class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False)
        self.norm = torch.nn.BatchNorm2d(6)
        self.up = torch.nn.ConvTranspose2d(6, 2, 2, stride=2)
        self.head = torch.nn.Linear(2 * 8 * 8, 5)
        with torch.no_grad():
            self.conv.weight[:3] = 0

    def forward(self, x):
        y = self.up(torch.relu(self.norm(self.conv(x))))
        y = self.head(y.flatten(1))
        return y @ y.transpose(0, 1)

def small():
    return Small(), (torch.randn(3, 4, 8, 8),)
"""


def test_a_module_is_counted_as_its_author_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small_nets.py").write_text(_SMALL)
    monkeypatch.chdir(tmp_path)

    found = sweep.inspect("small_nets:small")

    conv, up, head = 6 * 2 * 9, 6 * 2 * 4, 128 * 5
    work = (3 * 16 * conv, 3 * 16 * up, 3 * head, 3 * 5 * 3)
    cost = found.complexity
    assert cost.macs_dense == sum(work)
    assert cost.macs_sparse == sum(work) - work[0] // 2
    assert cost.parameters == conv + 12 + up + 2 + head + 5
    assert cost.nnz == cost.weights - conv // 2
    assert found.graph.operators["conv2d.default"] == 1
    assert found.lacking == {"torch": []}
    assert [layer.operator for layer in cost.layers][:2] == ["conv2d.default", "batch_norm.default"]
    found.dump(tmp_path / "dump")
    assert (tmp_path / "dump" / "graph.png").stat().st_size > 1000


_PRODUCTS = """
import torch

class Products(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.eye(4))

    def forward(self, x):
        return torch.einsum("bi,oi->bo", x @ self.weight.T, self.weight)

def products():
    return Products(), (torch.randn(3, 4),)
"""


def test_a_product_that_is_not_counted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "product_nets.py").write_text(_PRODUCTS)
    monkeypatch.chdir(tmp_path)
    found = sweep.inspect("product_nets:products")
    assert found.graph.notes == ("the products of einsum are not counted",)
    assert (found.complexity.macs_dense, found.complexity.macs_sparse) == (3 * 4 * 4, 3 * 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [("mobilenet_v2", 3_504_872, 300_774_272), ("resnet18", 11_689_512, 1_814_073_344)],
)
def test_published_figures(name: str, parameters: int, macs: int) -> None:
    cost = sweep.inspect(f"torchvision:{name}").complexity
    assert (cost.parameters, cost.macs_dense) == (parameters, macs)
