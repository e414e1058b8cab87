"""Lines of AutoTVM and Ansor logs as their tuners write them, with numbers made up here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["ansor", "autotvm", "write_log"]

ARM = "llvm -keys=arm_cpu,cpu -device=arm_cpu -mattr=+neon -mtriple=aarch64-linux-gnu"
CONV = [
    ["TENSOR", [1, 24, 28, 28], "float32"],
    ["TENSOR", [48, 24, 3, 3], "float32"],
    [2, 2],
    [1, 1, 1, 1],
    [1, 1],
    "float32",
]
STEPS = [
    ["CHW", 2, "local"],
    ["SP", 2, 0, 96, [1, 12, 4], 1],
    ["RE", 2, [0, 2, 1, 3]],
    ["FU", 3, [0, 1]],
    ["AN", 3, 0, 3],
    ["PR", 2, 0, "auto_unroll_max_step$16"],
]
TASKS: dict[str, list[Any]] = {
    "v0.2": [],
    "v0.3": [[4, 16, 64, 0, 0, 0, 0, 0]],
    "v0.4": [[4, 16, 64, 0, 0, 0, 0, 0], ""],
    "v0.5": [[4, 16, 64, 0, 0, 0, 0, 0], "", 1],
    "v0.6": [[4, 16, 64, 0, 0, 0, 0, 0], "", 1, []],
}
"""What each version of Ansor's log has of a task after key and target."""


def autotvm(
    tile: int = 8,
    costs: tuple[float, ...] = (2.5e-3, 2.7e-3),
    number: int = 0,
    *,
    name: str = "conv2d_nchw_spatial_pack.arm_cpu",
    arguments: list[Any] = CONV,
    target: str = ARM,
    t: float = 1653898629.25,
    spent_s: float = 1.75,
    **changes: Any,
) -> str:
    """A line of AutoTVM 0.2; a failure has the sentinel for its times."""
    knobs = [["tile_co", "sp", [-1, tile]], ["tile_oh", "sp", [-1, 1]], ["ann_reduce", "an", ["unroll", "none"]]]
    document = {
        "input": [target, name, arguments, {}],
        "config": {"index": 11 * tile, "code_hash": None, "entity": knobs},
        "result": [costs if not number else [1e9], number, spent_s, t],
        "version": 0.2,
        "tvm_version": "0.9.0",
    }
    return json.dumps(document | changes)


def ansor(
    tile: int = 12,
    costs: tuple[float, ...] = (4e-4,),
    number: int = 0,
    *,
    version: str = "v0.6",
    key: str = '["matmul_relu", 96, 64, 32, "float32"]',
    target: str = "llvm -keys=cpu -mcpu=core-avx2",
    t: int = 1714270206,
    spent_s: float = 0.5,
    **changes: Any,
) -> str:
    """A line of Ansor; a failure has the sentinel for its times."""
    steps = json.loads(json.dumps(STEPS))
    steps[1][4][1] = tile
    document = {
        "i": [[key, target, *TASKS.get(version, [])], [[], steps]],
        "r": [costs if not number else [1e10], number, spent_s, t],
        "v": version,
    }
    return json.dumps(document | changes)


def write_log(path: Path, *lines: str) -> Path:
    """A log of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
