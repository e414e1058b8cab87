"""An overlay's run in MLflow: written for a sweep's whole overlay, and never in its way."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.overlay.overlay import Overlay
from sweep.errors import RecordError
from sweep.files.sweep_dir import SweepDir
from sweep.running.ledger.saved_plan import read_plan

if TYPE_CHECKING:
    from sweep.api.overlay.overlay import Question

__all__ = ["record"]


def record(found: Overlay, folder: Path, files: Path, question: Question, tracking_uri: str | None) -> str | None:
    """Write the run, and say where; None for imported logs and for a single layer. tracking_uri: None for the store of
    the sweep. A store that is away is warned of: the files have everything.
    """
    if question.layer is not None or not SweepDir(folder).is_sweep:
        return None
    from sweep.record.mlflow.overlay_run import OverlayRun, record_overlay

    asked = question.asked
    params = {
        "devices": ", ".join(found.merged.devices),
        "model": asked.model,
        "opt_level": asked.opt_level,
        "only": asked.only,
        "best": question.best,
        "weights": question.weights,
        "criterion": str(question.criterion),
    }
    known = {name: str(value) for name, value in params.items() if value is not None}
    run = OverlayRun(folder.absolute(), str(read_plan(folder)["study"]), files.absolute(), known)
    try:
        run_id = record_overlay(found, run, tracking_uri)
    except RecordError as error:
        logging.getLogger(__name__).warning("the overlay is not in MLflow: %s", error)
        return None
    return f"MLflow run: {files.name} ({run_id})"
