"""Ray Tune on simulated work, with its MLflow callback: `python -m benchmarks.ray_tune --cells 200`.

A trial sleeps and reports as many metrics and parameters as a cell of a sweep has. Run as a process of its own by
`benchmarks.driver`; prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

AXES = ("model", "target", "tuner", "opt_level", "layout", "precision", "batch", "device", "runtime")
METRICS = 14
"""Single values that a simulated cell has, without its repeats."""


def main() -> int:
    """Run the trials; what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--reuse-actors", action="store_true")
    asked = parser.parse_args()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # or Ray takes the host's address for the loopback's
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    from sweep.record.mlflow.tracking_store import open_client

    seconds = asked.seconds

    def work(config: dict[str, Any]) -> None:
        time.sleep(seconds)
        tune.report({f"metric_{number}": config["cell"] + number / 100 for number in range(METRICS)})

    start = time.perf_counter()
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    ray.init(num_cpus=asked.workers, _node_ip_address="127.0.0.1", **quiet)
    started_s = time.perf_counter() - start
    store = f"sqlite:///{asked.folder / 'mlflow.db'}"
    open_client(store)  # makes the tables, which would take seconds of `fit`
    callback = MLflowLoggerCallback(tracking_uri=store, experiment_name="tune")
    tuner = tune.Tuner(
        tune.with_resources(work, {"cpu": 1}),
        param_space={"cell": tune.grid_search(list(range(asked.cells))), **dict.fromkeys(AXES, "native")},
        tune_config=tune.TuneConfig(max_concurrent_trials=asked.workers, reuse_actors=asked.reuse_actors),
        run_config=tune.RunConfig(name="tune", storage_path=str(asked.folder), callbacks=[callback], verbose=0),
    )
    start = time.perf_counter()
    found = tuner.fit()
    wall_s = time.perf_counter() - start
    peak_bytes = _peak_bytes()
    ray.shutdown()
    done = len(found) - found.num_errors
    print(json.dumps({"wall_s": wall_s, "ray_start_s": started_s, "done": done, "peak_bytes": peak_bytes}), flush=True)
    return 0 if done == asked.cells else 1


def _peak_bytes() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
