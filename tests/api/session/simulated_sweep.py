"""A study that was run on pretended devices: a folder with `study.yaml`, `cluster.yaml` and the sweep in `out`."""

from __future__ import annotations

from pathlib import Path

import sweep

__all__ = ["begun", "run_again"]

CLUSTER = "name: here\nengine: simulated\nsimulate: {devices: 1, failure_rate: 0, speed: 0}\nmlflow: {enabled: false}\n"


def begun(folder: Path, study: str) -> Path:
    """The folder, with the sweep of a study file's text in it."""
    (folder / "study.yaml").write_text(study)
    (folder / "cluster.yaml").write_text(CLUSTER)
    run_again(folder)
    return folder


def run_again(folder: Path, **options: bool) -> sweep.SweepRun:
    study, cluster = sweep.load_study(folder / "study.yaml"), sweep.load_cluster(folder / "cluster.yaml")
    return sweep.run(study, cluster, out=folder / "out", options=sweep.RunOptions(**options))
