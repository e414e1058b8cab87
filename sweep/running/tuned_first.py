"""Has a run begin with one network that is tuned, where other work would take its cores, and says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sweep.analysis.formatting import plural
from sweep.planning.stage import Plan
from sweep.running.first_answer import first_answer
from sweep.running.ledger.ledger import Ledger
from sweep.running.options import RunOptions
from sweep.study.cluster.cluster import Cluster

__all__ = ["tuned_first"]


def tuned_first(
    options: RunOptions, cluster: Cluster, plan: Plan, ledger: Ledger, say: Callable[[str], None]
) -> RunOptions:
    """The options, with what waits for the first tuned answer; as they are where nothing does.

    say: is told how many cells wait, for what, and for how long at most.
    """
    if cluster.engine != "ray":  # no other engine has several things under way
        return options
    done = ledger.state.done
    cores = {device.key: device.cores for device in cluster.devices}
    first = first_answer(plan, done, cores, options.max_seconds)
    if first is None:
        return options
    cells = sum(any(stage in first.waiting for stage in planned.stages) for planned in plan.cells)
    waits, label = "waits" if cells == 1 else "wait", plan.stages[first.stage].label
    say(f"{plural(cells, 'cell')} {waits} up to {first.most_s:.0f} s for a first time of: {label}")
    return replace(options, first=first)
