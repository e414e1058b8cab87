"""The public API: what the command line does, as functions.

    import sweep

    study = sweep.load_study("experiments/quickstart.yaml")
    cluster = sweep.load_cluster("clusters/local.yaml")
    ended = sweep.run(study, cluster, options=sweep.RunOptions(only="tuner=none|xgb", max_seconds=3600))
    sweep.open_results(ended.sweep_dir).to_pandas()

Errors are of the tree in `sweep.errors`.

This room puts the others together: it alone knows farm, engine, ledger, MLflow and report at once.
"""

from sweep.api.commands.read import load_cluster, load_study, open_results, open_table, outcome_of, plan, standing
from sweep.api.commands.run import SweepRun, run
from sweep.api.session.claim import default_sweep_dir
from sweep.running.options import RunOptions

__all__ = [
    "RunOptions",
    "SweepRun",
    "default_sweep_dir",
    "load_cluster",
    "load_study",
    "open_results",
    "open_table",
    "outcome_of",
    "plan",
    "run",
    "standing",
]
