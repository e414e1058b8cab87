"""Sweeps that never ran, with payloads as real stages leave them: for tests of whatever reads outcomes."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sweep.analysis.outcome import CellOutcome, SweepOutcome
from sweep.planning.results.compiling import BuildResult, ImportResult, LowerResult
from sweep.planning.results.disturbance import Disturbance
from sweep.planning.results.measurement import MeasuredBlock, Measurement
from sweep.planning.results.stage_result import StageResult
from sweep.planning.results.tuning_result import TunedTask, TuneResult
from sweep.study.spec import Cell

BASE_MS = {"squeezenet": 16.0, "shufflenet": 9.5, "resnet50": 142.0}
TUNER_FACTOR = {"none": 1.0, "random": 0.21, "xgb": 0.135}
OPT_FACTOR = {0: 1.35, 1: 1.12, 2: 1.08, 3: 1.0, 4: 0.97}
DEVICE_FACTOR = {"local-1": 1.0, "local-2": 0.58}
REFERENCE_FACTOR = 0.064
TAINT = "2 foreign threads wanted the cores"
STARTED_T = 1_760_000_000.0


def sweep_outcome(
    sweep_dir: Path,
    *,
    models: Sequence[str] = ("squeezenet",),
    opt_levels: Sequence[int] = (0, 3),
    devices: Sequence[str] = ("local-1", "local-2"),
    troubles: bool = True,
    **changes: Any,
) -> SweepOutcome:
    """3 tuners x opt_levels x devices for each model, and a cell of ONNX Runtime a device.

    troubles: the first xgb cell of each model fails in tuning, and the last of all is skipped.
    """
    cells = [
        outcome
        for model in models
        for device in devices
        for outcome in (*_tvm_cells(model, device, opt_levels), _rival_cell(model, device))
    ]
    if troubles:
        cells = _with_troubles(cells)
    outcome = SweepOutcome(
        study="cpu-quickstart",
        question="What do tuning and opt level buy for SqueezeNet on this machine?",
        cells=cells,
        started_t=STARTED_T,
        ended_t=STARTED_T + 431.5,
        interrupted=False,
        baseline="onnxruntime",
        stage_counts={
            "import": {"done": len(models)},
            "lower": {"done": len(models) * len(opt_levels)},
            "tune": {"done": 7, "failed": 1} if troubles else {"done": 8},
            "build": {"done": 11},
            "measure": {"done": 13},
        },
        stage_seconds={"import": 1.9, "lower": 1.9, "tune": 190.0, "build": 62.0, "measure": 44.2},
        sweep_dir=sweep_dir,
        conditions={
            "host": "bench-01",
            "cpu_model": "AMD EPYC 7B13",
            "cores": 2,
            "memory_bytes": 24 << 30,
            "governor": None,
            "os": "Linux 6.1",
            "versions": {"tvm": "0.27.0", "onnxruntime": "1.31.1", "sweep": "0.1.0"},
        },
    )
    return replace(outcome, **changes)


def tainted(outcome: CellOutcome) -> CellOutcome:
    """The same cell, twice as fast, disturbed in both of its blocks."""
    before = measured(outcome)
    values = tuple(value / 2 for value in before.run_secs)
    disturbance = Disturbance.from_sentence(TAINT)
    aside = MeasuredBlock(0, values[:3], stopped_by="time", tainted=(disturbance,))
    measure = replace(before, run_secs=values, tainted=(disturbance,), block=1, set_aside=(aside,))
    return replace(outcome, status="tainted", error=TAINT, stages={**outcome.stages, "measure": measure})


def measured(outcome: CellOutcome) -> Measurement:
    """The measurement of a cell that has one."""
    found = outcome.result(Measurement)
    assert found is not None
    return found


def tuned(outcome: CellOutcome) -> TuneResult:
    """The tuning of a cell that was tuned."""
    found = outcome.result(TuneResult)
    assert found is not None
    return found


def _cell(model: str, device: str, **axes: Any) -> Cell:
    given = {"target": "native", "layout": "NCHW", "precision": "float32", "batch": 1, "runtime": "tvm"} | axes
    return Cell(model=model, device=device, **given)


def _tvm_cells(model: str, device: str, opt_levels: Sequence[int]) -> Iterator[CellOutcome]:
    for opt_level in opt_levels:
        for tuner in TUNER_FACTOR:
            cell = _cell(model, device, tuner=tuner, opt_level=opt_level)
            median_ms = BASE_MS[model] * TUNER_FACTOR[tuner] * OPT_FACTOR[opt_level] * DEVICE_FACTOR[device]
            stages: dict[str, StageResult] = {
                "import": import_result(model),
                "lower": lower_result(model, opt_level),
                "build": build_result(cell, tuned=tuner != "none"),
                "measure": measure_result(median_ms / 1e3, cell.name, device),
            }
            seconds = {"import": 1.9, "lower": 0.8 + opt_level / 10, "build": 6.2, "measure": 3.4}
            if tuner != "none":
                stages["tune"] = tune = tune_result(cell, median_ms / 1e3)
                seconds["tune"] = tune.tuning_s or 0.0
            yield CellOutcome(cell, "done", None, None, None, stages, seconds, attempts=len(stages))


def with_runtime(outcome: SweepOutcome, runtime: str, factor: float) -> SweepOutcome:
    """With a cell more for each model and device: of a runtime that takes this share of the untuned time."""
    places = dict.fromkeys((one.cell.model, one.cell.device) for one in outcome.cells)
    added = [_rival_cell(model, device, runtime, factor) for model, device in places]
    return replace(outcome, cells=[*outcome.cells, *added])


def _rival_cell(model: str, device: str, runtime: str = "onnxruntime", factor: float = REFERENCE_FACTOR) -> CellOutcome:
    cell = _cell(model, device, target="-", tuner="-", opt_level=None, runtime=runtime)
    seconds = BASE_MS[model] * factor * DEVICE_FACTOR[device] / 1e3
    measure = replace(measure_result(seconds, cell.name, device), runtime_version="1.31.1")
    stages: dict[str, StageResult] = {"import": import_result(model), "measure": measure}
    return CellOutcome(cell, "done", None, None, None, stages, {"import": 1.9, "measure": 2.1}, attempts=2)


def _with_troubles(cells: list[CellOutcome]) -> list[CellOutcome]:
    failed = {
        "error_class": "TuneFailed",
        "error": "no valid trial for task fused_conv2d_add_relu: 32 of 32 candidates failed to build "
        "(error: LLVM module verification failed)",
        "failed_stage": "tune",
    }
    seen: set[str] = set()
    for index, outcome in enumerate(cells):
        if outcome.cell.tuner == "xgb" and outcome.cell.model not in seen:
            seen.add(outcome.cell.model)
            kept = {kind: outcome.stages[kind] for kind in ("import", "lower")}
            cells[index] = replace(
                outcome, status="failed", stages=kept, stage_seconds={"import": 1.9, "lower": 0.8}, **failed
            )
    skipped = max(index for index, outcome in enumerate(cells) if outcome.cell.runtime == "tvm")
    cells[skipped] = replace(
        cells[skipped],
        status="skipped",
        error="the budget of 2 h was spent before it started",
        stages={},
        stage_seconds={},
        attempts=0,
    )
    return cells


def import_result(model: str) -> ImportResult:
    return ImportResult.from_json(
        {
            "dir": f"artifacts/import/{_hex(model)}",
            "inputs": {"data": {"shape": [1, 3, 224, 224], "dtype": "float32"}},
            "outputs": [{"name": "prob", "shape": [1, 1000], "dtype": "float32"}],
            "params_bytes": 4_943_648,
            "operators": {"Conv": 26, "Relu": 26, "MaxPool": 3, "Concat": 8},
            "reference": True,
            "reference_error": None,
            "import_s": 1.7,
        }
    )


def lower_result(model: str, opt_level: int) -> LowerResult:
    tasks = [
        {"workload": _hex(f"{model} {i}"), "name": f"fused_conv2d{i}", "weight": 1, "trivial": False} for i in (0, 1)
    ]
    return LowerResult.from_json(
        {
            "dir": f"artifacts/lower/{_hex(f'{model} {opt_level}')}",
            "functions": 41,
            "tasks": tasks,
            "target_json": '{"kind": "llvm"}',
            "lower_s": 0.7,
        }
    )


def tune_result(cell: Cell, best_s: float, trials: int = 64) -> TuneResult:
    random = np.random.default_rng(zlib.crc32(cell.name.encode()))
    reach = np.minimum.accumulate(best_s * (1 + 6 * np.exp(-np.arange(trials) / 14) * random.uniform(0.6, 1.4, trials)))
    seconds = np.cumsum(random.uniform(0.25, 0.6, trials))
    falls = [i for i in range(2, trials - 6) if i == 2 or reach[i] < reach[i - 1]]
    curve = [[i + 1, float(seconds[i]), float(reach[i])] for i in falls]
    return TuneResult.from_json(
        {
            "records_dir": f"records/{_hex(cell.target)}/{cell.tuner}-{cell.device}",
            "trials": trials,
            "valid": trials - 3,
            "failed": {"BuildFailed": 2, "MeasureTimeout": 1},
            "tasks": [
                task_result("0", best_s / 2, 32, failed={"BuildFailed": 1}).to_json(),
                task_result("1", best_s / 2, 32, failed={"BuildFailed": 1, "MeasureTimeout": 1}).to_json(),
            ],
            "naive_trials": trials,
            "warm_started": 0,
            "search_s": 6.1,
            "build_s": 12.0,
            "measure_s": 9.4,
            "validate_s": 1.5,
            "utilisation": {"search": 0.76, "build": 0.58, "device": 0.45},
            "tuning_s": float(seconds[-1]),
            "curve": curve,
        }
    )


def task_result(name: str, best_s: float | None, trials: int, **changes: Any) -> TunedTask:
    """One of a tune stage's tasks; without `best_s` none of its trials was valid."""
    failed = changes.get("failed", {})
    payload = {
        "workload": _hex(name),
        "name": f"fused_conv2d{name}",
        "weight": 1,
        "trivial": False,
        "flops": 56e6,
        "trials": trials,
        "valid": trials - sum(failed.values()),
        "best_s": best_s,
        "screening_s": None if best_s is None else best_s * 0.97,
        "gap": None if best_s is None else 0.03,
        "reused": False,
        "failed": failed,
    }
    return TunedTask.from_json(payload | changes)


def with_untuned_task(outcome: CellOutcome) -> CellOutcome:
    """A tuned cell one of whose two tasks never gave a valid trial, as it is built all the same."""
    tune, build = tuned(outcome), outcome.result(BuildResult)
    assert build is not None
    tasks = (tune.tasks[0], task_result("1", None, 32, failed={"BuildFailed": 32}))
    stages: dict[str, StageResult] = {
        "tune": replace(tune, valid=31, failed={"BuildFailed": 33}, tasks=tasks, curve=()),
        "build": replace(build, tuned_tasks=1, untuned_tasks=1),
    }
    return replace(outcome, stages={**outcome.stages, **stages})


def build_result(cell: Cell, tuned: bool) -> BuildResult:
    return BuildResult.from_json(
        {
            "dir": f"artifacts/build/{_hex(cell.name)}",
            "lib": "lib.so",
            "artifact_bytes": 5_400_000 + 1000 * (cell.opt_level or 0),
            "build_s": 6.1,
            "tuned_tasks": 2 if tuned else 0,
            "untuned_tasks": 0 if tuned else 2,
            "target_json": '{"keys": ["cpu"], "kind": "llvm", "mcpu": "znver3", "num-cores": 1}',
            "tvm_version": "0.27.0",
        }
    )


def measure_result(median_s: float, name: str, device: str, repeat: int = 10) -> Measurement:
    random = np.random.default_rng(zlib.crc32(name.encode()))
    spread = 1 + random.gamma(2.0, 0.006, repeat)
    return Measurement.from_json(
        {
            "run_secs": (median_s * spread / np.median(spread)).tolist(),
            "number": max(1, int(0.1 / median_s)),
            "warmup_secs": [median_s * 1.21],
            "stopped_by": "interval",
            "reference_before_s": [7.9e-3, 8.0e-3, 8.1e-3],
            "reference_after_s": [8.0e-3, 8.0e-3, 8.2e-3],
            "reference_best_s": 7.9e-3,
            "tainted": [],
            "block": 0,
            "set_aside": [],
            "output_max_abs_diff": 3.1e-6,
            "output_cosine_distance": 1.2e-9,
            "conditions": {
                "host": "bench-01",
                "cpu_model": "AMD EPYC 7B13",
                "cores": [1],
                "governor": None,
                "threads": 1,
                "load1_before": 0.4,
                "load1_after": 0.5,
                "at_before": STARTED_T + 300,
                "at_after": STARTED_T + 303,
            },
            "peak_memory_bytes": 48 << 20,
            "runtime_version": "0.27.0",
        }
    )


def write_trials(sweep_dir: Path, *, torn: bool = False) -> Path:
    """A log of three trials, one of them failed; `torn`: with half a line after them."""
    log = sweep_dir / "records" / "0123456789ab" / "xgb-local-1" / "trials.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    shared = {"workload": "ff00", "task": "conv", "tuner": "xgb", "device": "local-1", "target": {"kind": "llvm"}}
    good = [shared | {"trial": i, "t": STARTED_T + i, "run_secs": [1e-3, 1.1e-3], "error_class": None} for i in (0, 1)]
    bad = shared | {"trial": 2, "t": STARTED_T + 2, "run_secs": None, "error_class": "BuildFailed", "error": "no"}
    good[1] |= {"design": 0, "record": 1, "origin": "warm start"}
    text = "".join(json.dumps(record) + "\n" for record in (*good, bad))
    contenders = [{"record": 1, "screening_s": 1.05e-3, "median_s": 1.08e-3}]
    validation = json.dumps({"workload": "ff00", "winner": 1, "contenders": contenders})
    log.with_name("validations.jsonl").write_text(validation + "\n" + ('{"workload": "ff' if torn else ""))
    log.write_text(text + ('{"workload": "ff' if torn else ""))
    return log


def _hex(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
