"""What each task takes before any tuning: where a curve of the best so far begins.

`python -m benchmarks.tuning.untuned`, orders on stdin, the answer on stdout: each task's module is compiled as it is
and called a few times on one core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.results import read_json, save
from benchmarks.tuning.run import Run, sweep_environment

__all__ = ["untuned_times"]

_LIMIT_S = 1200.0
_CALLS, _REPEATS = 1, 3


def untuned_times(run: Run, target: Mapping[str, Any], core: int, folder: Path) -> dict[str, float]:
    """Workload -> seconds of its task as lowered; kept in `folder`."""
    kept = folder / "untuned.json"
    if not kept.is_file():
        orders = {"target": dict(target), "core": core, "modules": _modules(run)}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.tuning.untuned"],
            input=json.dumps(orders),
            stdout=subprocess.PIPE,
            text=True,
            timeout=_LIMIT_S,
            env=sweep_environment(),
            check=True,
        )
        folder.mkdir(parents=True, exist_ok=True)
        save(folder, "untuned", json.loads(done.stdout))
    times: dict[str, float] = read_json(kept)
    return times


def _modules(run: Run) -> dict[str, Any]:
    """Workload -> its module's text: a line of the database for stock, TVM's JSON for a sweep."""
    if run.who == "stock":
        (folder,) = run.records()
        lines = (folder / "database_workload.json").read_text(encoding="utf-8").splitlines()
        return {str(index): {"workload": json.loads(line)} for index, line in enumerate(lines)}
    (lowered,) = run.lowerings()
    return {path.stem: {"module": path.read_text(encoding="utf-8")} for path in (lowered / "tasks").glob("*.json")}


def _time_all(orders: Mapping[str, Any]) -> dict[str, float]:
    import tvm

    target = tvm.target.Target(orders["target"])
    return {name: _time_one(stored, target) for name, stored in orders["modules"].items()}


def _time_one(stored: Mapping[str, Any], target: Any) -> float:
    import numpy as np
    import tvm
    from tvm.s_tir.meta_schedule.arg_info import ArgInfo
    from tvm.s_tir.meta_schedule.database import Workload

    module = tvm.ir.load_json(stored["module"]) if "module" in stored else Workload.from_json(stored["workload"]).mod
    infos = ArgInfo.from_entry_func(module, remove_preproc=True)
    generator = np.random.default_rng(0)
    arguments = [
        tvm.runtime.tensor(generator.random([int(size) for size in info.shape]).astype(str(info.dtype)))
        for info in infos
    ]
    library = tvm.compile(module, target).jit()
    evaluator = library.time_evaluator("main", tvm.cpu(), number=_CALLS, repeat=_REPEATS)
    return float(evaluator(*arguments).median)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    os.sched_setaffinity(0, [asked["core"]])
    json.dump(_time_all(asked), sys.stdout)
