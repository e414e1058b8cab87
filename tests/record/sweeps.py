"""Small simulated sweeps, and what of them is in an MLflow store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sweep
from sweep.api.running import SweepRun
from sweep.record.mlflow_store import open_client

STAGES = {"import": 0, "lower": 0, "tune": 0, "build": 0, "measure": 1}


def run_simulated(folder: Path, *, uri: str | None = None, speed: float = 0, cells: int = 10) -> SweepRun:
    """Run about so many cells of simulated work in `folder`/sweep; one in twenty attempts fails."""
    study, cluster = folder / "study.yaml", folder / "cluster.yaml"
    tuners = ["none", *({"name": "random", "label": f"random-{n}", "trials_per_task": n} for n in range(1, cells // 5))]
    study.write_text(
        json.dumps(
            {
                "study": "simulated",
                "question": "What is recorded?",
                "models": ["onnx-light:squeezenet"],
                "tuners": tuners,
                "opt_levels": [0, 1, 2, 3, 4],
                "reference": [],
            }
        )
    )
    simulate = {"devices": 1, "slots": 4, "stage_s": STAGES, "failure_rate": 0.05, "speed": speed}
    cluster.write_text(
        json.dumps({"name": "simulated", "engine": "simulated", "simulate": simulate, "mlflow": {"tracking_uri": uri}})
    )
    return sweep.run(sweep.load_study(study), sweep.load_cluster(cluster), out=folder / "sweep")


def runs_in(uri: str, sweep_dir: Path) -> dict[str, Any]:
    """What a person sees of each run, by its name; the parent's is `parent`. Fails where a cell has two."""
    client = open_client(uri)
    experiment = client.get_experiment_by_name("simulated")
    found: dict[str, Any] = {}
    page = client.search_runs([experiment.experiment_id], max_results=5000)
    for run in page:
        is_cell = "mlflow.parentRunId" in run.data.tags
        name = run.info.run_name if is_cell else "parent"
        assert name not in found, f"{name} is there twice"
        hidden = ("mlflow.parentRunId", "sweep.dir", "sweep.id")
        found[name] = {
            "status": run.info.status,
            "times": (run.info.start_time, run.info.end_time),
            "tags": {key: value for key, value in run.data.tags.items() if key not in hidden},
            "params": run.data.params,
            "metrics": run.data.metrics,
            "datasets": [vars(one.dataset) for one in run.inputs.dataset_inputs],
        }
    return found
