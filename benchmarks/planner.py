"""How long a plan takes, and what it saves over a nested loop that does every cell's stages anew.

The measure of time is a loop that does nothing but encode and hash each cell's stages, with their options ready made:
what a plan takes, and what `sweep plan` takes, which counts the stages without making them, is given as a multiple of
that, from the same run, all in CPU seconds. Planning should be linear: what a cell costs in
time and memory does not grow with the number of cells.
"""

from __future__ import annotations

import gc
import hashlib
import json
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sweep.planning.planner import make_plan
from sweep.planning.sharing.counted_plan import count_plan
from sweep.planning.stage import Plan
from sweep.planning.summary import explain_counted
from sweep.study.gate import load_cluster, load_study
from sweep.study.grid import MAX_CELLS

__all__ = ["Timing", "bench_planner", "time_planner"]

MODELS = (
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
)
CPUS = ("nehalem", "core-avx2", "x86-64-v3", "x86-64")
TUNERS, LEVELS = 10, 5
BATCHES_AND_DEVICES = {1_000: (1, 1), 10_000: (2, 3), 100_000: (5, 10), 1_000_000: (25, 20)}
"""Cells asked for -> values of the two axes that make up the number; the other axes give 2,000 (500 for the first)."""
LARGEST = 100_000
"""Unless it is asked for: a million takes half a minute and more than a gigabyte."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One size of grid."""

    cells: int
    stages: int
    naive_stages: int
    counting_s: float
    """What `sweep plan` does of a grid of which nothing is done."""
    counting_bytes: int
    plan_s: float
    hashing_s: float
    peak_bytes: int
    """Of the process so far: sizes are timed from small to large."""


def time_planner(size: int) -> Timing:
    """Plan a study of about `size` cells once, and encode its stages with no sharing once."""
    batches, devices = BATCHES_AND_DEVICES[size]
    with tempfile.TemporaryDirectory() as folder:
        study_file, cluster_file = Path(folder) / "study.yaml", Path(folder) / "cluster.yaml"
        study_file.write_text(json.dumps(_study(size, batches)), encoding="utf-8")
        cluster_file.write_text(
            json.dumps({"name": "bench", "engine": "simulated", "simulate": {"devices": devices}}), encoding="utf-8"
        )
        study, cluster = load_study(study_file), load_cluster(cluster_file)
    gc.collect()
    start = time.process_time()
    counted = count_plan(study, cluster)
    assert counted is not None
    summary = explain_counted(counted)
    counting_s, counting_bytes = time.process_time() - start, _peak_bytes()
    start = time.process_time()
    plan = make_plan(study, cluster)
    plan_s = time.process_time() - start
    assert sum(kind.unique for kind in summary.kinds) == len(plan.stages)
    return Timing(
        cells=len(plan.cells),
        stages=len(plan.stages),
        naive_stages=sum(plan.naive.values()),
        counting_s=counting_s,
        counting_bytes=counting_bytes,
        plan_s=plan_s,
        hashing_s=_time_hashing(plan),
        peak_bytes=_peak_bytes(),
    )


def _study(size: int, batches: int) -> dict[str, object]:
    models = MODELS if size > 1_000 else MODELS[:4]
    return {
        "study": "planner-bench",
        "models": [f"onnx-light:{name}" for name in models],
        "targets": ["native", *(f"llvm -mcpu={name}" for name in CPUS)],
        "tuners": ["none"]
        + [{"name": "random", "label": f"random-{n}", "trials_per_task": n} for n in range(1, TUNERS)],
        "opt_levels": list(range(LEVELS)),
        "axes": {"batch": list(range(1, batches + 1))},
        **({"reference": []} if size == MAX_CELLS else {}),
    }


def _time_hashing(plan: Plan) -> float:
    start = time.process_time()
    for cell in plan.cells:
        for stage_id in cell.stages:
            stage = plan.stages[stage_id]
            text = json.dumps([stage.kind, dict(stage.options), list(stage.inputs)], sort_keys=True, default=dict)
            hashlib.sha256(text.encode()).hexdigest()
    return time.process_time() - start


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def bench_planner(largest: int = LARGEST) -> None:
    """Print a table: one line a size, up to the largest."""
    print("planner: time of `sweep plan` and of the plan itself, and stages it saves over a nested loop")
    heads = (
        "cells",
        "sweep plan",
        "/ hashing",
        "peak",
        "plan",
        "a cell",
        "/ hashing",
        "peak",
        "stages",
        "naive",
        "saved",
    )
    print(" ".join(f"{head:>10}" for head in heads))
    for size in (size for size in BATCHES_AND_DEVICES if size <= largest):
        timing = time_planner(size)
        told = (
            f"{timing.cells:,}",
            f"{timing.counting_s:.2f} s",
            f"{timing.counting_s / timing.hashing_s:.3f}",
            f"{timing.counting_bytes / 1e6:.0f} MB",
            f"{timing.plan_s:.2f} s",
            f"{timing.plan_s / timing.cells * 1e6:.1f} us",
            f"{timing.plan_s / timing.hashing_s:.2f}",
            f"{timing.peak_bytes / 1e6:.0f} MB",
            f"{timing.stages:,}",
            f"{timing.naive_stages:,}",
            f"{1 - timing.stages / timing.naive_stages:.0%}",
        )
        print(" ".join(f"{each:>10}" for each in told))
