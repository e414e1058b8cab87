"""Networks of PyTorch through a study, untuned, beside torch itself: a table for people.

    python -m tests.torch_networks                      # all of them, and writes docs/torch-networks.md
    python -m tests.torch_networks resnet18 lstm        # some; no page
    python -m tests.torch_networks --level 0 --page     # the page from the sweep that is kept, and stop

All are models of one study, in the form `torchvision:NAME`, `timm:NAME` or `module:function`, so that what is tried is
what a person would write. Those of timm are left out where timm is not installed. The sweep directory is kept in
build/torch-networks: the same again goes on with it.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import sweep
from sweep.analysis.outcome import CellOutcome
from sweep.planning.results.compiling import BuildResult, ImportResult
from sweep.planning.results.measurement import Measurement

__all__ = ["NETWORKS", "Row", "main", "page_of"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "torch-networks.md"
_SIDE, _SIDES = 64, {"torchvision:inception_v3": 96}
"""Of pictures: an untuned network of 224 takes up to a minute a call."""
_EQUAL = 1e-4
"""Of the largest value expected."""
TORCHVISION = (
    "resnet18 resnet50 mobilenet_v2 mobilenet_v3_small efficientnet_b0 shufflenet_v2_x1_0 squeezenet1_1 densenet121 "
    "googlenet inception_v3 convnext_tiny vit_b_16 swin_t"
).split()
TIMM = "convnextv2_atto efficientvit_b0 ghostnet_050 levit_128s mobilenetv4_conv_small mobilevit_xxs".split()
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
    torch.manual_seed(0)
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
    torch.manual_seed(0)
    return Recurrent("LSTM", num_layers=2, bidirectional=True), torch.randn(2, 16, 32)


def gru():
    torch.manual_seed(0)
    return Recurrent("GRU", num_layers=2), torch.randn(2, 16, 32)
'''
NETWORKS = [
    *(f"torchvision:{name}" for name in TORCHVISION),
    *(f"made_networks:{name}" for name in ("bert", "lstm", "gru")),
    *(f"timm:{name}" for name in TIMM),
]
"""As a study names them."""

_HEAD = """# Networks of PyTorch

Each is a model of one study, built at opt level {level} without tuning, run by TVM and compared with torch, which
runs the module itself: `python -m tests.torch_networks`. Weights are seeded random ones. Pictures have {side}
pixels a side, those of inception_v3 96, since untuned code takes long on larger ones. *Difference* is the greatest
of an output from torch's, *largest* the largest value of torch's outputs; equal is up to a ten-thousandth of it.
`bert` is an encoder of 4 layers with a mask and a pooler, `lstm` and `gru` have two layers, `lstm` in both
directions. Run on {day}: {versions}.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a network."""

    name: str
    shapes: str = ""
    """Of its inputs."""
    parameters: int | None = None
    macs: int | None = None
    is_imported: bool = False
    is_built: bool = False
    difference: float | None = None
    """The greatest of an output from torch's."""
    largest: float = 0.0
    """Value of torch's outputs."""
    why: str = ""
    """One line where it did not come to its end."""

    @property
    def is_equal(self) -> bool:
        """Whether it was compared, and is as near as it must be."""
        return not self.why and self.difference is not None and self.difference <= _EQUAL * self.largest


def main(arguments: Sequence[str]) -> int:
    """Print a line a network; 1 where one is not equal."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.torch_networks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="those whose name has one of these texts; all by default")
    parser.add_argument("--level", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "torch-networks", help="keeps the sweep")
    parser.add_argument("--page", action="store_true", help="write the page from the sweep that is kept, and stop")
    chosen = parser.parse_args(arguments)
    found = importlib.util.find_spec("timm") is not None
    names = [name for name in NETWORKS if found or not name.startswith("timm:")]
    names = [name for name in names if not chosen.names or any(text in name for text in chosen.names)]
    if not names:
        allowed = ", ".join(NETWORKS) + ("" if found else "; those of timm need timm, which is not installed")
        parser.error(f"no network has one of {', '.join(chosen.names)} in its name; there are {allowed}")
    out = chosen.folder / f"sweep-o{chosen.level}"
    study, cluster = _study(names, chosen.level, chosen.folder), _cluster()
    if not chosen.page:
        sweep.run(study, cluster, out=out)
    sources = {model.name: model.source for model in study.models}
    cells = sweep.outcome_of(out, study, cluster).cells
    rows = [_row(cell, sources, out) for cell in cells if cell.status != "pending"]
    if chosen.page or not chosen.names:
        PAGE.write_text(page_of(rows, chosen.level, _conditions()), encoding="utf-8")
    print("\n".join(map(_line, rows)))
    equal = sum(row.is_equal for row in rows)
    print(f"{equal} of {len(rows)} equal")
    return int(equal < len(rows))


def page_of(rows: Sequence[Row], level: int, conditions: Mapping[str, str]) -> str:
    """The page: counts, then a row a network, then a line for each that is not equal."""
    counts = [sum(getattr(row, f"is_{key}") for row in rows) for key in ("imported", "built", "equal")]
    versions = [f"{name} {version}" for name, version in conditions.items() if name != "day"]
    if not any(row.name.startswith("timm:") for row in rows):
        versions.pop()
    lines = [
        _HEAD.format(level=level, side=_SIDE, day=conditions["day"], versions=", ".join(versions)),
        f"Of {len(rows)} networks {counts[0]} are imported, {counts[1]} built, {counts[2]} equal.",
        "",
        "| network | inputs | parameters | MACs | imported | built | equal | difference | largest |",
        "|---|---|---|---|---|---|---|---|---|",
        *map(_line, rows),
    ]
    failures = [f"- {row.name}: {row.why.replace('|', '/').replace('<', '&lt;')}" for row in rows if row.why]
    if failures:
        lines += ["", "## Not equal", "", *failures]
    return "\n".join(lines) + "\n"


def _study(names: Sequence[str], level: int, folder: Path) -> sweep.Study:
    """In a folder where the module lies that has the networks of `made_networks`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "made_networks.py").write_text(NETS, encoding="utf-8")
    document = {
        "study": f"torch-networks-o{level}",
        "models": [{"path": name, "name": name.partition(":")[2], **_inputs(name)} for name in names],
        "targets": ["native"],
        "tuners": ["none"],
        "opt_levels": [level],
        "devices": ["here"],
        "runtimes": ["tvm"],
        "measure": {"repeat": 1, "max_repeat": 1, "rounds": 1, "min_repeat_ms": 0, "warmup": 0, "retakes": 0},
        "final": None,
    }
    return sweep.load_study(document, folder)


def _inputs(name: str) -> dict[str, Any]:
    if name.startswith("made_networks:"):
        return {}
    side = _SIDES.get(name, _SIDE)
    return {"inputs": {"x": [1, 3, side, side]}}


def _cluster() -> sweep.Cluster:
    """One device, `here`; everything in this process and its compile workers, without Ray and MLflow."""
    return replace(sweep.load_cluster(), engine="inline", is_mirrored=False)


def _row(cell: CellOutcome, sources: Mapping[str, str], out: Path) -> Row:
    source = sources[cell.cell.model]
    imported = cell.result(ImportResult)
    if imported is None:
        return Row(source, why=_reason(cell))
    complexity = imported.complexity or {}
    measured = cell.result(Measurement)
    with np.load(out / imported.dir / "reference.npz") as reference:
        largest = max(float(np.abs(reference[key].astype(np.float64)).max()) for key in reference.files)
    return Row(
        source,
        ", ".join(str(list(one["shape"])) for one in imported.inputs.values()),
        complexity.get("parameters"),
        complexity.get("macs_dense"),
        is_imported=True,
        is_built=cell.result(BuildResult) is not None,
        difference=None if measured is None else measured.output_max_abs_diff,
        largest=largest,
        why="" if measured is not None else _reason(cell),
    )


def _reason(cell: CellOutcome) -> str:
    return f"{cell.failed_stage}: {cell.error_class}: {' '.join(str(cell.error).split())}"


def _line(row: Row) -> str:
    shown = ["-" if row.difference is None else f"{row.difference:.1e}", f"{row.largest:.3g}"]
    marks = ["yes" if mark else "no" for mark in (row.is_imported, row.is_built, row.is_equal)]
    counts = [_count(row.parameters), _count(row.macs)]
    return f"| {' | '.join([row.name, row.shapes, *counts, *marks, *shown])} |"


def _count(number: int | None) -> str:
    """Of what is not counted, as the products of recurrent layers, nothing."""
    if not number:
        return "-"
    return f"{number / 1e9:.3g} G" if number >= 1e9 else f"{number / 1e6:.3g} M"


def _conditions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    told = {"day": datetime.now(UTC).date().isoformat()}
    for package in ("torch", "torchvision", "timm"):
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            told[package] = "not installed"
    return told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
