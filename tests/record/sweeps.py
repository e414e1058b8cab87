"""Small simulated sweeps, and what of them is in an MLflow store."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import sweep
from sweep.api.commands.run import SweepRun
from sweep.record.mlflow.tracking_store import open_client

STAGES = {"import": 0, "lower": 0, "tune": 0, "build": 0, "measure": 1}


def run_simulated(
    folder: Path, *, uri: str | None = None, speed: float = 0, cells: int = 10, is_mirrored: bool = True
) -> SweepRun:
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
    mlflow = {"enabled": is_mirrored, "tracking_uri": uri}
    cluster.write_text(json.dumps({"name": "simulated", "engine": "simulated", "simulate": simulate, "mlflow": mlflow}))
    return sweep.run(sweep.load_study(study), sweep.load_cluster(cluster), out=folder / "sweep")


def count_in(uri: str) -> int:
    """Cells that a person sees; none where there is no experiment yet."""
    client = open_client(uri)
    experiment = client.get_experiment_by_name("simulated")
    found = [] if experiment is None else client.search_runs([experiment.experiment_id], max_results=5000)
    return sum("mlflow.parentRunId" in run.data.tags for run in found)


def runs_in(uri: str, scratch: Path) -> dict[str, Any]:
    """All that a person sees of each run but its ids, by the name of its cell; the parent's is `parent`.

    Fails where a cell has two. `scratch`: for artifacts, which a server sends.
    """
    client = open_client(uri)
    experiment = client.get_experiment_by_name("simulated")
    runs = client.search_runs([experiment.experiment_id], max_results=5000)
    [parent] = [run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags]
    names = [run.data.tags.get("sweep.cell", "parent") for run in runs]
    assert len(set(names)) == len(names), "a cell is there twice"
    with ThreadPoolExecutor(4) as threads:
        contents = threads.map(lambda run: _content(client, run, parent, scratch), runs)
        return {"experiment": experiment.tags, **dict(zip(names, contents, strict=True))}


def _content(client: Any, run: Any, parent: str, scratch: Path) -> dict[str, Any]:
    run_id = run.info.run_id
    where = ("sweep.dir", "sweep.id", "mlflow.parentRunId")
    return {
        "name": run.info.run_name,
        "user": run.info.user_id,
        "status": run.info.status,
        "times": (run.info.start_time, run.info.end_time),
        "is_below": run.data.tags.get("mlflow.parentRunId") == parent,
        "tags": {key: value for key, value in run.data.tags.items() if key not in where},
        "params": run.data.params,
        "metrics": run.data.metrics,
        "history": {name: _history(client, run_id, name) for name in run.data.metrics},
        "datasets": [
            (vars(one.dataset), [(tag.key, tag.value) for tag in one.tags]) for one in run.inputs.dataset_inputs
        ],
        "artifacts": _artifacts(client, run_id, scratch),
    }


def _history(client: Any, run_id: str, name: str) -> list[tuple[int, int, float]]:
    return sorted((one.step, one.timestamp, one.value) for one in client.get_metric_history(run_id, name))


def _artifacts(client: Any, run_id: str, scratch: Path, folder: str | None = None) -> dict[str, str | None]:
    """Content by path; None for a table or report, which has the ids of runs in it."""
    found: dict[str, str | None] = {}
    for one in client.list_artifacts(run_id, folder):
        if one.is_dir:
            found |= _artifacts(client, run_id, scratch, one.path)
        elif one.path.startswith(("results/", "report/")):
            found[one.path] = None
        else:
            home = scratch / "artifacts" / run_id
            home.mkdir(parents=True, exist_ok=True)
            found[one.path] = Path(client.download_artifacts(run_id, one.path, str(home))).read_text()
    return found
