"""All nine networks of the onnx package, tuned by one `sweep run` in a time budget, against ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from benchmarks.results import conditions, print_table, read_json, save
from benchmarks.tuning.ours import start_sweep, write_study
from benchmarks.tuning.timeline import Trial, best_times, read_lines
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool

__all__ = ["MODELS", "bench_zoo", "flops"]

MODELS = (
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
)
_HEAVIEST = 5
_BESIDE_TUNING_MINUTES = 60.0
"""Imports, builds and measurements of nine models, before a run that hangs is ended."""


def bench_zoo(folder: Path, minutes: float, models: Sequence[str], options: Mapping[str, Any]) -> None:
    """Run the study in `folder` (or go on with it), and print what came of it.

    minutes: of tuning, all models together.
    """
    before = conditions(minutes=minutes, models=list(models), threads=1, options=dict(options))
    sources = [f"onnx-light:{name}" for name in models]
    # The models are tuned as one pool, and the tuner's time limit is the pool's
    budget = {"hours": minutes / 60.0, **options}
    print(f"sweep run of {len(models)} models, {minutes:g} minutes of tuning; see {folder / 'output.txt'}", flush=True)
    for untuned in (False, True):  # the untuned ones later, for they hold the device for minutes
        study = write_study(folder, sources, budget, reference=["onnxruntime"], untuned=untuned)
        with start_sweep(study, folder) as child:
            child.wait(60.0 * (minutes + _BESIDE_TUNING_MINUTES))
    rows = _read(folder / "sweep")
    ratios = [row["ratio"] for row in rows if row["ratio"]]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None
    heavy = _heaviest(folder / "sweep", max(rows, key=lambda row: row["ratio"] or 0.0)["model"]) if ratios else []
    save(folder, "zoo", {"conditions": before, "models": rows, "geometric_mean": mean, "heaviest_of_worst": heavy})
    header = ["model", "sweep ms", "ONNX Runtime ms", "ratio", "untuned ms", "speed-up", "valid trials", "tuning s"]
    print_table(
        "zoo: best latency on one thread against ONNX Runtime on the same core",
        [*header, "status"],
        [list(row.values()) for row in rows],
    )
    if mean is not None:
        print(f"geometric mean of {len(ratios)} ratios: {mean:.3f}")
    if heavy:
        title = f"the heaviest tasks of the worst, {heavy[0]['model']}"
        print_table(
            title, ["task", "weight", "best ms", "total ms", "GFLOPS"], [list(row.values())[1:] for row in heavy]
        )


def _read(sweep_dir: Path) -> list[dict[str, Any]]:
    """A row a model, from results.parquet."""
    import pandas

    table = pandas.read_parquet(sweep_dir / "results.parquet")
    rivals = {row.model: row.latency_ms_median for row in table[table.runtime == "onnxruntime"].itertuples()}
    plain = {row.model: row.latency_ms_median for row in table[table.tuner == "none"].itertuples()}
    rows = []
    for row in table[table.tuner == "xgb"].itertuples():
        ours, rival = _number(row.latency_ms_median), _number(rivals.get(row.model))
        untuned = _number(plain.get(row.model))
        rows.append(
            {
                "model": row.model,
                "sweep_ms": ours,
                "onnxruntime_ms": rival,
                "ratio": ours / rival if ours and rival else None,
                "untuned_ms": untuned,
                "speed_up": untuned / ours if ours and untuned else None,
                "valid": _number(row.tuning_valid),
                "tuning_s": _number(row.tuning_s),
                "status": row.status if row.status == "done" else f"{row.status}: {row.error_class}",
            }
        )
    return rows


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _heaviest(sweep_dir: Path, model: str) -> list[dict[str, Any]]:
    """The tasks that take most of a model's time, by their best trial times weight."""
    lowered = _lowering_of(sweep_dir, model)
    trials = [
        Trial(line["workload"], line["t"], line["run_secs"])
        for path in sweep_dir.glob("records/*/*/trials.jsonl")
        for line in read_lines(path)
    ]
    best = best_times(trials)
    found = read_json(lowered / "lowering.json")["tasks"]
    tasks = [task for task in found if task["workload"] in best]
    if len(tasks) < len(found):
        print(f"{model}: {len(found) - len(tasks)} of {len(found)} tasks have no valid trial and are untuned")
    tasks.sort(key=lambda task: -task["weight"] * best[task["workload"]])
    heavy = tasks[:_HEAVIEST]
    with CompilePool() as forge:
        paths = {task["workload"]: str(lowered / "tasks" / f"{task['workload']}.json") for task in heavy}
        counted: Future[dict[str, Any]] = forge.submit(
            CompileJob("benchmarks.tuning.zoo:flops"), {"modules": paths}, 300
        )
        operations = counted.result()
    return [
        {
            "model": model,
            "task": task["name"],
            "weight": task["weight"],
            "best_ms": best[task["workload"]] * 1e3,
            "total_ms": task["weight"] * best[task["workload"]] * 1e3,
            "gflops": operations[task["workload"]] / best[task["workload"]] / 1e9,
        }
        for task in heavy
    ]


def _lowering_of(sweep_dir: Path, model: str) -> Path:
    plan = read_json(sweep_dir / "plan.json")
    stages = next(cell["stages"] for cell in plan["cells"] if model in cell["name"].split() and len(cell["stages"]) > 2)
    lower = next(stage for stage in stages if plan["stages"][stage]["kind"] == "lower")
    return sweep_dir / "artifacts" / "lower" / str(lower)


def flops(modules: Mapping[str, str]) -> dict[str, float]:
    """Floating-point operations of each module, by name; runs in a child of the forge."""
    import tvm
    from tvm.s_tir.analysis import estimate_tir_flops

    return {
        name: float(estimate_tir_flops(tvm.ir.load_json(Path(path).read_text(encoding="utf-8"))))
        for name, path in modules.items()
    }
