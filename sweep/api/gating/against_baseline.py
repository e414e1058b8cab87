"""Holds a study against a baseline: builds its cells with the baseline's schedules, and compares both in turns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.api.commands.run import SweepRun, run
from sweep.api.comparing.sides import opened_side
from sweep.api.comparing.sweep_dirs import MINUTES, compare_sweep_dirs, compare_sweep_dirs_more
from sweep.api.gating.fixed_schedules import adopt_schedules
from sweep.api.session.claim import claim
from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.running.options import RunOptions
from sweep.study.reading.line_numbers import tells_lines

if TYPE_CHECKING:
    from sweep.analysis.comparing.shared_cells import SweepComparison
    from sweep.report.live.progress_view import ProgressView
    from sweep.study.cluster.cluster import Cluster
    from sweep.study.spec import Study

__all__ = ["FAIL_ON", "Gated", "gate"]

FAIL_ON = "slower > 5%"
"""The rule, where none is given."""


@dataclass(frozen=True, slots=True)
class Gated:
    """How a gate ended: the run of the study, and its cells over those of the baseline."""

    run: SweepRun
    comparison: SweepComparison
    adopted: int
    """Tune stages whose schedules are the baseline's."""


@tells_lines
def gate(
    study: Study,
    cluster: Cluster,
    baseline: Path | str,
    *,
    out: Path | str | None = None,
    fail_on: str = FAIL_ON,
    minutes: float = MINUTES,
    own_schedules: bool = False,
    options: RunOptions | None = None,
    view: ProgressView | None = None,
) -> Gated:
    """Run a study with the schedules of a baseline, and say which cells became slower.

    baseline: a sweep directory, or the URI or a zip file of one. out: the sweep directory, `sweeps/<study>-gate` by
    default. minutes: for measuring both sides in turns; 0 compares the times of the two sweeps. own_schedules: tune
    anew, so that the tuner's luck is part of the difference.

    Raises:
        StudyError: as `run` and `compare`; `out` is the baseline; or nothing can be measured again.
        LedgerError: a ledger cannot be read, or a run has the folder.
        SweepError: the farm or a measurement failed.
    """
    sweep_dir = Path(out or Path("sweeps") / f"{study.name}-gate").absolute()
    only = options.only if options is not None else None
    with opened_side(baseline, "--baseline", is_whole=True) as old:
        if old.is_bundle:
            allowed = "a sweep directory, or the URI or a zip file of one"
            problem = "is a bundle, which has no schedules"
            raise StudyError(problem, key="--baseline", value=str(baseline), allowed=allowed)
        if sweep_dir.resolve() == old.folder.resolve():
            raise StudyError("is the baseline", key="--out", value=str(out), allowed="another folder")
        adopted = 0
        if not own_schedules:
            plan = make_plan(study, cluster)
            claim(sweep_dir, study, fresh=False)
            adopted = adopt_schedules(plan, sweep_dir, old.folder)
        ended = run(study, cluster, out=sweep_dir, options=options, view=view)
        if ended.status == "interrupted":
            raise KeyboardInterrupt
        place = old.folder if old.is_copy else baseline
        say = (lambda text: None) if view is None else view.tell
        if minutes > 0:
            found = compare_sweep_dirs_more(
                place, sweep_dir, cluster, minutes=minutes, fail_on=fail_on, only=only, say=say
            )
        else:
            found = compare_sweep_dirs(place, sweep_dir, fail_on=fail_on, only=only)
    return Gated(ended, replace(found, baseline=old.side.name), adopted)
