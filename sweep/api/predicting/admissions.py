"""Which cells a run may spare: by the planner of its study, and by the first failure of a profiling grid."""

from __future__ import annotations

from dataclasses import replace

from sweep.api.predicting.planner_admission import planner_admission
from sweep.planning.stage import Plan
from sweep.running.admission import Admission
from sweep.running.ledger.ledger import Ledger
from sweep.running.options import RunOptions
from sweep.running.pruning.until_first_failure import EachOf, UntilFirstFailure
from sweep.study.spec import Study

__all__ = ["admitting"]


def admitting(options: RunOptions, study: Study, plan: Plan, ledger: Ledger) -> RunOptions:
    """The options of a run with the admission that its study asks for; one that the caller has set stays alone."""
    if options.admission is not None:
        return options
    policies: list[Admission] = []
    if study.planner is not None and (planner := planner_admission(study, plan, ledger)) is not None:
        policies.append(planner)
    if study.profile is not None and study.profile.until_first_failure is not None:
        policies.append(UntilFirstFailure(plan))
    return replace(options, admission=EachOf(policies)) if policies else options
