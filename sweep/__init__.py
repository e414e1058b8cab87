"""Distributed batch sweeps of model x target x tuner x opt-level for Apache TVM on Ray.

The public API is what the command line does, as functions: `sweep.load_study`, `sweep.plan`, `sweep.run`,
`sweep.open_results` and the others of `__all__`, which `sweep.api` lists by command. It is loaded on first use, so that
`import sweep` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sweep.installation import __version__

if TYPE_CHECKING:
    from sweep.analysis.comparing.comparison import CellComparison
    from sweep.analysis.comparing.shared_cells import SharedCell, SweepComparison
    from sweep.analysis.statistics import Verdict
    from sweep.api.commands.best import BestCell, best
    from sweep.api.commands.compare import compare, compare_more
    from sweep.api.commands.exec import execute
    from sweep.api.commands.export import export, export_zoo
    from sweep.api.commands.farm import farm_down, farm_status, farm_up
    from sweep.api.commands.import_logs import LogSource, import_logs
    from sweep.api.commands.init import FirstFiles, init
    from sweep.api.commands.mirror import mirror
    from sweep.api.commands.overlay import measure_overlay, overlay, overlay_question
    from sweep.api.commands.read import (
        explain,
        load_cluster,
        load_study,
        open_results,
        open_table,
        outcome_of,
        plan,
        save_study,
        standing,
    )
    from sweep.api.commands.report import print_report, runtime_ratios, write_report
    from sweep.api.commands.run import SweepRun, run
    from sweep.api.commands.submit import submit
    from sweep.api.commands.ui import ui_server
    from sweep.api.comparing.sweep_dirs import compare_sweep_dirs_more
    from sweep.api.comparing.sweep_history import history
    from sweep.api.gating.against_baseline import Gated, gate
    from sweep.api.inspecting.inspected_model import Inspection, inspect
    from sweep.api.predicting.device_models import (
        evaluate_predictor,
        evaluate_predictor_on_sweeps,
        fit_predictor_to_sweeps,
        fit_predictor_to_tables,
        predict_network,
    )
    from sweep.api.predicting.predicted_plan import PredictedPlan, predict_plan
    from sweep.api.rooflines.measuring import Rooflines, measure_rooflines
    from sweep.api.session.artifact_paths import cell_files, sweeps_below
    from sweep.api.session.claim import default_sweep_dir
    from sweep.api.written_studies.single_model_study import SingleModelStudy, write_study
    from sweep.doctor import diagnose
    from sweep.inspection.dumping.network_dump import load_dump
    from sweep.running.options import RunOptions
    from sweep.study.cluster.cluster import Cluster
    from sweep.study.gate import cluster_json_schema, study_json_schema
    from sweep.study.spec import Study

__all__ = [
    "BestCell",
    "CellComparison",
    "Cluster",
    "FirstFiles",
    "Gated",
    "Inspection",
    "LogSource",
    "PredictedPlan",
    "Rooflines",
    "RunOptions",
    "SharedCell",
    "SingleModelStudy",
    "Study",
    "SweepComparison",
    "SweepRun",
    "Verdict",
    "__version__",
    "best",
    "cell_files",
    "cluster_json_schema",
    "compare",
    "compare_more",
    "compare_sweep_dirs_more",
    "default_sweep_dir",
    "diagnose",
    "evaluate_predictor",
    "evaluate_predictor_on_sweeps",
    "execute",
    "explain",
    "export",
    "export_zoo",
    "farm_down",
    "farm_status",
    "farm_up",
    "fit_predictor_to_sweeps",
    "fit_predictor_to_tables",
    "gate",
    "history",
    "import_logs",
    "init",
    "inspect",
    "load_cluster",
    "load_dump",
    "load_study",
    "measure_overlay",
    "measure_rooflines",
    "mirror",
    "open_results",
    "open_table",
    "outcome_of",
    "overlay",
    "overlay_question",
    "plan",
    "predict_network",
    "predict_plan",
    "print_report",
    "run",
    "runtime_ratios",
    "save_study",
    "standing",
    "study_json_schema",
    "submit",
    "sweeps_below",
    "ui_server",
    "write_report",
    "write_study",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module("sweep.api").public(name)
    raise AttributeError(f"module 'sweep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
