"""The public API: what the command line does, as functions.

    import sweep

    study = sweep.load_study("experiments/quickstart.yaml")
    cluster = sweep.load_cluster("clusters/local.yaml")
    ended = sweep.run(study, cluster, options=sweep.RunOptions(only="tuner=none|xgb", max_seconds=3600))
    sweep.open_results(ended.sweep_dir).to_pandas()

    command         function
    init            init
    inspect         inspect, load_dump (--out)
    plan            plan, explain, predict_plan (--predictor)
    run             run
    tune            write_study of a SingleModelStudy, then run
    submit          submit
    status, where   standing, cell_files, sweeps_below
    report          open_results, open_table, runtime_ratios, print_report, write_report
    compare         compare, compare_more (--measure-more), compare_sweep_dirs_more (of two sweeps)
    gate            gate
    history         history
    exec            execute
    export          best, export, export_zoo
    overlay         overlay, measure_overlay (--measure)
    roofline        measure_rooflines
    import-logs     import_logs
    mirror, ui      mirror, ui_server
    farm            farm_up, farm_status, farm_down
    predictor       fit_predictor_to_sweeps (or _to_tables), evaluate_predictor (or _on_sweeps), predict_network
    schema          study_json_schema, cluster_json_schema
    doctor          diagnose

A study may be a mapping as well, and be saved:

    study = sweep.load_study({"study": "mine", "models": ["net.onnx"], "opt_levels": [0, 3]})
    sweep.save_study(study, "study.yaml")

Errors are of the tree in `sweep.errors`. Each name is loaded on first use: some take numpy, pyarrow or Ray.

This room puts the others together: it alone knows farm, engine, ledger, MLflow and report at once.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["public"]

_HOMES = {
    "sweep.api.commands.best": ("BestCell", "best"),
    "sweep.api.commands.compare": ("compare", "compare_more"),
    "sweep.api.commands.exec": ("execute",),
    "sweep.api.commands.export": ("export", "export_zoo"),
    "sweep.api.commands.farm": ("farm_down", "farm_status", "farm_up"),
    "sweep.api.gating.against_baseline": ("Gated", "gate"),
    "sweep.api.commands.import_logs": ("LogSource", "import_logs"),
    "sweep.api.commands.init": ("FirstFiles", "init"),
    "sweep.api.inspecting.inspected_model": ("Inspection", "inspect"),
    "sweep.inspection.dumping.network_dump": ("load_dump",),
    "sweep.api.commands.mirror": ("mirror",),
    "sweep.api.commands.overlay": ("measure_overlay", "overlay", "overlay_question"),
    "sweep.api.commands.read": (
        "explain",
        "load_cluster",
        "load_study",
        "open_results",
        "open_table",
        "outcome_of",
        "plan",
        "save_study",
        "standing",
    ),
    "sweep.api.commands.report": ("print_report", "runtime_ratios", "write_report"),
    "sweep.api.commands.run": ("SweepRun", "run"),
    "sweep.api.rooflines.measuring": ("Rooflines", "measure_rooflines"),
    "sweep.api.written_studies.single_model_study": ("SingleModelStudy", "write_study"),
    "sweep.api.commands.submit": ("submit",),
    "sweep.api.commands.ui": ("ui_server",),
    "sweep.api.predicting.device_models": (
        "evaluate_predictor",
        "evaluate_predictor_on_sweeps",
        "fit_predictor_to_sweeps",
        "fit_predictor_to_tables",
        "predict_network",
    ),
    "sweep.api.predicting.predicted_plan": ("PredictedPlan", "predict_plan"),
    "sweep.api.comparing.sweep_dirs": ("compare_sweep_dirs_more",),
    "sweep.api.comparing.sweep_history": ("history",),
    "sweep.api.session.artifact_paths": ("cell_files", "sweeps_below"),
    "sweep.api.session.claim": ("default_sweep_dir",),
    "sweep.analysis.comparing.comparison": ("CellComparison",),
    "sweep.analysis.comparing.shared_cells": ("SharedCell", "SweepComparison"),
    "sweep.analysis.statistics": ("Verdict",),
    "sweep.running.options": ("RunOptions",),
    "sweep.study.cluster.cluster": ("Cluster",),
    "sweep.study.gate": ("cluster_json_schema", "study_json_schema"),
    "sweep.study.spec": ("Study",),
    "sweep.doctor": ("diagnose",),
}
"""Module of each name."""


def public(name: str) -> Any:
    """What `sweep` has under a name. Raises AttributeError where there is no such name."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'sweep' has no attribute {name!r}")


def __getattr__(name: str) -> Any:
    """The same for `sweep.api`, but for `overlay`, which is a package here."""
    return public(name)
