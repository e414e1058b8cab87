"""Measures an overlay: first the times of its candidates on every device, then the networks built from them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path

from sweep.analysis.overlay.metric import Judgement
from sweep.analysis.overlay.overlay import Overlay
from sweep.api.overlay.layers import LayerWork
from sweep.api.overlay.network import NetworkWork
from sweep.api.overlay.overlay import Question, look
from sweep.api.overlay.overlay_targets import common_workloads, targets_of
from sweep.api.overlay.schedules import Schedules
from sweep.api.overlay.stage_runner import StageRunner, Watcher
from sweep.api.session.engine_session import EngineSession
from sweep.files.maker import loads
from sweep.files.sweep_dir import SweepDir
from sweep.running.contract import Engine
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.saved_plan import restore
from sweep.study.cluster.cluster import Cluster
from sweep.study.precisions import precision_of

__all__ = ["measure_missing"]


def measure_missing(
    folder: Path, cluster: Cluster, question: Question, *, out: Path, watcher: Watcher, network: bool = True
) -> Overlay:
    """Measure what an overlay of a sweep lacks, and give it.

    Each candidate is built for each device's own target and measured there, unless it was; those that decide a layer
    are measured again in turns. Then the network is built from the merged log and from each device's own best, and
    both are measured, in turns too. The records are the sweep's, so the same call again does what is missing.

    out: where the overlay's files go. network: whether the network is measured; it is not for a single layer.

    Raises:
        StudyError: what is asked for is not there, or cannot be measured.
        LedgerError: a run has the folder, or an earlier version wrote its plan.
        DeviceLost: a device does not come up, or stays away; what was measured is kept.
    """
    allowed = "a folder that `sweep run` made: imported logs have times and no schedules"
    SweepDir(folder).require_as("DIR", allowed=allowed)
    home = folder.absolute()
    sweep = restore(home)
    with ExitStack() as closing:
        ledger = closing.enter_context(Ledger(home))  # a run would write the same folder, and take the same devices
        what = f"what is compiled with the networks and schedules of {home}"
        logging.getLogger(__name__).warning("%s", loads(what, home, ledger.state.conditions.get("host")))
        choice = look(home, question).choice
        targets = targets_of(home, choice, cluster, ledger.state)
        common = common_workloads(targets)
        alone = replace(cluster, devices=tuple(target.device for target in targets))
        cells = {planned.cell.id: planned.cell for planned in sweep.plan.cells}
        cell_of = {key: cells[cell_id] for key, cell_id in choice.cell_of.items()}

        @cache
        def engine() -> Engine:
            return closing.enter_context(EngineSession(alone, home))

        runner = StageRunner(home, sweep.study, ledger, cell_of, engine, watcher)
        LayerWork(home, targets, runner).run(lambda: _layers_now(home, question, common))
        known = look(home, question)
        if not network or question.layer is not None:
            return known.overlay
        precision = precision_of(str(known.choice.axes["precision"]), sweep.plan.described)
        work = NetworkWork(home, out.absolute(), sweep.plan.stages, runner, precision.tolerance)
        networks = work.run(known.overlay, targets, Schedules(home, known.records))
        return replace(known.overlay, networks=networks)


def _layers_now(home: Path, question: Question, common: frozenset[str]) -> tuple[Sequence[Judgement], Schedules]:
    known = look(home, question, common)
    return known.overlay.layers, Schedules(home, known.records)
