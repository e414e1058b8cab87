"""A sweep directory written by hand: cells with the latencies that a test wants, and a library that is none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sweep.running.ledger.ledger import Ledger
from sweep.study.spec import Cell

__all__ = ["TARGET", "MadeCell", "make_sweep", "write_pairs"]

TARGET = {"kind": "llvm", "num-cores": 1}
REPEATS = 12
DISTURBED = [{"kind": "kernel_slowed", "measured": 0.2, "bound": 0.05, "text": "the sentinel kernel took 20 % longer"}]


@dataclass(frozen=True)
class MadeCell:
    """One cell; `ms` None: it was not measured."""

    tuner: str = "none"
    ms: float | None = 1.0
    spread: float = 0.01
    model: str = "net"
    device: str = "here"
    runtime: str = "tvm"
    batch: int | None = 1
    is_tainted: bool = False
    is_flushed: bool = False
    unchecked: str | None = None
    """Why its import has no expected output."""
    target: dict[str, Any] = field(default_factory=lambda: TARGET)
    more: tuple[tuple[str, str | int], ...] = ()
    """Further axes, where they are not at their default."""
    memory_bytes: int | None = None
    rounds: int = 1
    """Blocks that its repeats were taken in."""

    @property
    def cell(self) -> Cell:
        compiled = self.runtime == "tvm"
        return Cell(
            model=self.model,
            target="native" if compiled else "-",
            tuner=self.tuner if compiled else "-",
            opt_level=3 if compiled else None,
            layout="NCHW",
            precision="float32",
            batch=self.batch,
            device=self.device,
            runtime=self.runtime,
            more=self.more,
        )


def make_sweep(folder: Path, cells: Sequence[MadeCell]) -> Path:
    """A finished sweep of these cells; the stages of each are its own."""
    folder.mkdir(parents=True)
    plan: dict[str, Any] = {"study": "made", "question": "?", "models": {}, "cells": [], "stages": {}}
    plan |= {"naive_stages": {}, "left_out": []}
    with Ledger(folder) as ledger:
        ledger.append("run_started", conditions={"versions": {"apache-tvm-ffi": "0.1.14"}})
        for number, made in enumerate(cells):
            ids = [f"i{number}", f"b{number}", f"m{number}"]
            kinds = ["import", "build", "measure"]
            if made.runtime != "tvm":
                ids, kinds = [ids[0], ids[2]], ["import", "measure"]
            plan["models"][made.model] = {"source": f"{made.model}.onnx", "sha256": "0" * 64}
            cell = made.cell
            plan["cells"].append({"id": cell.id, "name": cell.name, **cell.to_json(), "stages": ids})
            for stage, kind in zip(ids, kinds, strict=True):
                plan["stages"][stage] = {"kind": kind, "label": stage, "inputs": []}
                if kind == "measure" and made.ms is None:
                    continue
                result = _RESULTS[kind](folder, number, made)
                ledger.append("stage_done", stage=stage, kind=kind, result=result, seconds=1.0, attempt=1)
        ledger.append("run_ended", status="done")
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def write_pairs(folder: Path, first: Cell, second: Cell, first_s: float, second_s: float, count: int = 40) -> None:
    """What `sweep compare --measure-more` leaves: blocks of both in turns, which take these times."""
    noise = np.random.default_rng(0)
    with Ledger(folder) as ledger:
        for _ in range(count):
            times = [seconds * float(noise.normal(1, 0.001)) for seconds in (first_s, second_s)]
            blocks = [{"run_secs": [seconds] * 3, "number": 1, "conditions": {}, "tainted": []} for seconds in times]
            ledger.append("pair_measured", cells=[first.id, second.id], blocks=blocks)


def _import(folder: Path, number: int, made: MadeCell) -> dict[str, Any]:
    home = folder / "artifacts" / "import" / f"i{number}"
    home.mkdir(parents=True)
    np.savez(home / "inputs.npz", x=np.arange(6, dtype="float32").reshape(2, 3))
    if made.unchecked is None:
        np.savez(home / "reference.npz", output_0=np.ones((2, 1), "float32"))
    output = {"name": "y", "shape": [2, 1], "dtype": "float32"}
    about = {"reference": made.unchecked is None, "reference_error": made.unchecked}
    return {"dir": f"artifacts/import/i{number}", "inputs": {}, "outputs": [output], **about}


def _build(folder: Path, number: int, made: MadeCell) -> dict[str, Any]:
    home = folder / "artifacts" / "build" / f"b{number}"
    home.mkdir(parents=True)
    (home / "lib.so").write_bytes(content := f"library {number}".encode())
    metadata = {
        "inputs": [{"name": "x", "shape": [2, 3], "dtype": "float32"}],
        "outputs": [{"shape": [2, 1], "dtype": "float32"}],
        "lib_sha256": hashlib.sha256(content).hexdigest(),
    }
    (home / "metadata.json").write_text(json.dumps(metadata))
    target = json.dumps(made.target)
    return {"dir": f"artifacts/build/b{number}", "lib": "lib.so", "target_json": target, "tvm_version": "0.27.0.post1"}


def _measure(folder: Path, number: int, made: MadeCell) -> dict[str, Any]:
    assert made.ms is not None
    noise = np.random.default_rng(number)
    seconds = [made.ms * 1e-3 * float(noise.normal(1, made.spread)) for _ in range(REPEATS)]
    tainted = DISTURBED if made.is_tainted else []
    conditions = {"host": "lab", "runtime_threads": 1, "cache_flush_bytes": (64 << 20) * made.is_flushed}
    difference = 1e-6 if made.unchecked is None else None
    about = {"output_max_abs_diff": difference, "tainted": tainted, "conditions": conditions}
    about |= {"peak_memory_bytes": made.memory_bytes}
    if dict(made.more).get("variable") == "memory":
        return {"run_secs": [], **about}
    if made.rounds > 1:
        size = REPEATS // made.rounds
        parts = [seconds[begin : begin + size] for begin in range(0, REPEATS, size)]
        about["blocks"] = [{"block": index, "run_secs": part} for index, part in enumerate(parts)]
    return {"run_secs": seconds, "number": 1, **about}


_RESULTS = {"import": _import, "build": _build, "measure": _measure}
