"""Networks of PyTorch, compiled without tuning and compared with torch: a table for people.

python -m tests.torch_networks                          # all of them, each in a process of its own
python -m tests.torch_networks --level 3 resnet18 lstm
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["NETWORKS", "main"]

_SIDES = {"inception_v3": 96, "vit_b_16": 64, "densenet121": 64}
"""Of pictures, where they are not 64: an untuned network of 224 takes up to a minute a call."""
TORCHVISION = (
    "resnet18 resnet50 mobilenet_v2 mobilenet_v3_small efficientnet_b0 shufflenet_v2_x1_0 squeezenet1_1 densenet121 "
    "googlenet inception_v3 convnext_tiny vit_b_16 swin_t"
).split()
NETS = '''
import torch
from torch import nn


class Bert(nn.Module):
    """Its base form in small: 4 layers of 128, 4 heads, a pooler."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions, self.kinds = nn.Embedding(1000, 128), nn.Embedding(64, 128), nn.Embedding(2, 128)
        self.norm = nn.LayerNorm(128, eps=1e-12)
        layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True, activation="gelu")
        self.encoder, self.pooler = nn.TransformerEncoder(layer, 4), nn.Linear(128, 128)

    def forward(self, input_ids, attention_mask, token_type_ids):
        x = self.tokens(input_ids) + self.positions(torch.arange(input_ids.shape[1])) + self.kinds(token_type_ids)
        x = self.encoder(self.norm(x), src_key_padding_mask=attention_mask == 0)
        return {"last_hidden_state": x, "pooler_output": torch.tanh(self.pooler(x[:, 0]))}


def bert():
    ids = torch.randint(0, 1000, (2, 16))
    mask = torch.ones(2, 16, dtype=torch.int64)
    mask[1, 12:] = 0
    return Bert(), {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.randint(0, 2, (2, 16))}


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.cells = getattr(nn, kind)(32, 64, batch_first=True, **options)

    def forward(self, x):
        return self.cells(x)


def lstm():
    return Recurrent("LSTM", num_layers=2, bidirectional=True), torch.randn(2, 16, 32)


def gru():
    return Recurrent("GRU", num_layers=2), torch.randn(2, 16, 32)
'''
NETWORKS = {name: f"torchvision:{name}" for name in TORCHVISION} | {
    name: f"torch_networks_made:{name}" for name in ("bert", "lstm", "gru")
}


def main() -> int:
    """Print a line a network; 1 where one is not equal."""
    parser = argparse.ArgumentParser(prog="python -m tests.torch_networks", description=__doc__)
    parser.add_argument("networks", nargs="*", help="default: all")
    parser.add_argument("--level", type=int, default=0, help="opt level of the code (default: %(default)s)")
    parser.add_argument("--one", action="store_true", help="in this process, as JSON")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(_tried(asked.networks[0], asked.level)))
        return 0
    print("| network | input | relative error | import s | build s |\n|---|---|---|---|---|", flush=True)
    wrong = 0
    for name in asked.networks or NETWORKS:
        command = [sys.executable, "-m", "tests.torch_networks", name, "--one", "--level", str(asked.level)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            row = {"input": "", "error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
        else:
            row = json.loads(done.stdout.splitlines()[-1])
        is_equal = row.get("relative_error", 1.0) < 1e-4
        wrong += not is_equal
        told = row.get("error") or f"{row['relative_error']:.1e}{'' if is_equal else ' WRONG'}"
        times = " | ".join(f"{row[key]:.1f}" if key in row else "" for key in ("import_s", "build_s"))
        print(f"| {name} | {row['input']} | {told} | {times} |", flush=True)
    return int(wrong > 0)


def _tried(name: str, level: int) -> dict[str, Any]:
    from sweep.study.importers.importer_registry import importer_named
    from sweep.study.model_file import read_model
    from sweep.study.model_form import ModelForm
    from sweep.toolchain.lowering import lower
    from sweep.toolchain.models.network_import import import_network
    from sweep.toolchain.module_files import read_module
    from sweep.toolchain.tvm_loader import load_tvm, resolve_target

    tvm = load_tvm(())
    from tvm import relax

    side = _SIDES.get(name, 64)
    inputs: dict[str, Any] = {"x": [1, 3, side, side]} if name in TORCHVISION else {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "torch_networks_made.py").write_text(NETS)
        model = read_model(ModelForm(path=NETWORKS[name], inputs=inputs), folder / "study.yaml", "models[0]")
        shapes = {key: list(shape) for key, shape in model.inputs.items()}
        options = {"inputs": shapes, "seed": 0, **model.options}
        hints = {"path": str(model.path), "loader": importer_named(model.importer).loader}
        result = import_network(options, hints, folder)
        began = time.perf_counter()
        target = {"kind": "llvm", "num-cores": 1}
        how = {"opt_level": level, "layout": "NCHW", "precision": "float32"}
        lowered = lower(read_module(folder), how, resolve_target(target), []).module
        machine = relax.VirtualMachine(relax.build(lowered, tvm.target.Target(target)), tvm.cpu())
        build_s = time.perf_counter() - began
        given, expected = (np.load(folder / name) for name in ("inputs.npz", "reference.npz"))
        outputs = machine["main"](*(tvm.runtime.tensor(given[key]) for key in given.files))
        error = max(
            float(np.abs(output.numpy().astype(np.float64) - expected[key]).max() / np.abs(expected[key]).max())
            for output, key in zip(outputs, expected.files, strict=True)
        )
    shown = ", ".join(str(one["shape"]) for one in result["inputs"].values())
    return {"input": shown, "relative_error": error, "import_s": result["import_s"], "build_s": build_s}


if __name__ == "__main__":
    sys.exit(main())
