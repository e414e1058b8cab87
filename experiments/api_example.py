"""From Python: first the untuned cells, then the tuned ones for as long as there is time, then the best of each device.

python experiments/api_example.py [STUDY] [CLUSTER] [HOURS]
"""

from __future__ import annotations

import sys
from pathlib import Path

import sweep

ROOT = Path(__file__).parents[1]


def main(study_file: Path, cluster_file: Path, hours: float) -> None:
    study, cluster = sweep.load_study(study_file), sweep.load_cluster(cluster_file)
    plan = sweep.plan(study, cluster)
    print(f"{study.name}: {len(plan.cells)} cells in {len(plan.stages)} stages")

    coarse = sweep.run(study, cluster, options=sweep.RunOptions(only="tuner=none|-"))
    print(f"coarse: {coarse.status}, {coarse.executed} attempts")
    fine = sweep.run(study, cluster, options=sweep.RunOptions(max_seconds=3600 * hours))
    print(f"fine: {fine.status}, {fine.executed} attempts" + (f", {fine.stopped}" if fine.stopped else ""))

    table = sweep.open_results(fine.sweep_dir).to_pandas()
    done = table[table.status == "done"].sort_values("latency_ms_median")
    for key, cells in done.groupby("device"):
        best = cells.iloc[0]
        print(f"{key}: {best.cell_name} at {best.latency_ms_median:.3g} ms")


if __name__ == "__main__":
    main(
        Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "experiments" / "quickstart.yaml"),
        Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "clusters" / "simulated.yaml"),
        float(sys.argv[3]) if len(sys.argv) > 3 else 1.0,
    )
