"""An engine with a small plan to work on, as a driver would use it: start, then poll until the attempt has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan, Stage
from sweep.running.contract import Attempt, Done, Engine, Failed, Progress, Report

STUDY = """
study: tiny
models: [tiny.onnx]
tuners: [none, {name: random, trials_per_task: 2, number: 1, repeat: 1, min_repeat_ms: 0}]
opt_levels: [1, 3]
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0}
"""
CLUSTER = "{{name: test, engine: {engine}, devices: [{{key: here, cores: [-1]}}]}}"

LIMIT_S = 120.0
"""Everything here takes seconds; a machine with other work on it may take many times that."""


@dataclass
class Shop:
    """An engine, the plan and what came of the stages so far."""

    name: str
    engine: Engine
    plan: Plan
    sweep_dir: Path
    results: dict[str, StageResult] = field(default_factory=dict)
    """By stage, each of its last attempt that ended well: a build that is made again leaves other bytes."""

    def stages(self, kind: str) -> list[Stage]:
        """The plan's stages of a kind."""
        return [stage for stage in self.plan.stages.values() if stage.kind == kind]

    def attempt(self, stage: Stage, number: int = 1) -> Attempt:
        """An attempt at a stage, with what it needs done before."""
        for need in stage.inputs:
            self.finish(self.plan.stages[need])
        return Attempt(stage, number, {self.plan.stages[need].kind: self.results[need] for need in stage.inputs})

    def perform(self, *attempts: Attempt) -> list[Report]:
        """Start attempts and take all reports until each has ended, and what comes right after."""
        for attempt in attempts:
            self.engine.start(attempt)
        reports: list[Report] = []
        deadline = time.monotonic() + LIMIT_S
        while sum(not isinstance(report, Progress) for report in reports) < len(attempts):
            assert time.monotonic() < deadline, f"no end of {attempts}; so far {reports}"
            reports.extend(self.engine.poll(0.5))
        reports.extend(self.engine.poll(0.1))
        self.results.update({report.stage_id: report.result for report in reports if isinstance(report, Done)})
        return reports

    def finish(self, stage: Stage) -> StageResult:
        """The stage's result; performed if it was not yet."""
        if stage.id not in self.results:
            (end,) = ends(self.perform(self.attempt(stage)))
            assert isinstance(end, Done), end
        return self.results[stage.id]


def ends(reports: list[Report]) -> list[Done | Failed]:
    return [report for report in reports if not isinstance(report, Progress)]


def changed(stage: Stage, stage_id: str, **options: Any) -> Stage:
    """A stage of another content."""
    return replace(stage, id=stage_id, options={**stage.options, **options})
