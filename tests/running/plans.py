"""Small plans for tests of the run room: cells that share stages as real ones do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sweep.planning.stage import Plan, PlannedCell, Stage
from sweep.study.spec import Cell


def stage(stage_id: str, kind: str, *inputs: str, **options: object) -> Stage:
    hints = {"records": f"records/{options.get('tuner', 'x')}"} if kind == "tune" else {}
    return Stage(id=stage_id, kind=kind, options=options, hints=hints, inputs=inputs, label=f"{kind} {stage_id}")


def cell(number: int, device: str = "d0") -> Cell:
    return Cell(
        model=f"m{number}",
        target="native",
        tuner="none",
        opt_level=1,
        layout="NCHW",
        precision="float32",
        batch=1,
        device=device,
        runtime="tvm",
    )


def plan_of(stages: list[Stage], ends: Sequence[str | tuple[str, ...]]) -> Plan:
    """A plan whose cells end in the stages `ends`, each with all it needs; one with several has so many goals."""
    by_id = {s.id: s for s in stages}

    def closure(stage_id: str) -> list[str]:
        found: list[str] = []
        for need in by_id[stage_id].inputs:
            found.extend(x for x in closure(need) if x not in found)
        return [*found, stage_id]

    cells = []
    for number, end in enumerate(ends):
        goals = (end,) if isinstance(end, str) else end
        needed = dict.fromkeys(stage_id for goal in goals for stage_id in closure(goal))
        cells.append(PlannedCell(cell(number), tuple(needed), goals))
    return Plan(study_name="test", cells=cells, stages=by_id, naive={})


def diamond() -> Plan:
    """One import, two lowered modules, three artifacts, four measurements on two devices."""
    return plan_of(
        [
            stage("i", "import"),
            stage("l1", "lower", "i"),
            stage("l2", "lower", "i"),
            stage("b1", "build", "l1"),
            stage("t2", "tune", "l2", tuner="a"),
            stage("b2", "build", "l2", "t2"),
            stage("b3", "build", "l2"),
            stage("m1", "measure", "i", "b1", device="d0"),
            stage("m2", "measure", "i", "b2", device="d0"),
            stage("m3", "measure", "i", "b3", device="d0"),
            stage("m4", "measure", "i", "b3", device="d1"),
        ],
        ["m1", "m2", "m3", "m4"],
    )


def two_devices(second: str = "d1") -> Plan:
    """Another runtime, a tuned and an untuned cell on a device; a tuned one on a second, of a module of its own."""
    plan = plan_of(
        [
            stage("i", "import"),
            stage("m0", "measure", "i", device="d0"),
            stage("l", "lower", "i"),
            stage("b", "build", "l"),
            stage("m", "measure", "i", "b", device="d0"),
            stage("t", "tune", "l", tuner="here"),
            stage("bt", "build", "l", "t"),
            stage("mt", "measure", "i", "bt", device="d0"),
            stage("l1", "lower", "i"),
            stage("t1", "tune", "l1", tuner="there"),
            stage("bt1", "build", "l1", "t1"),
            stage("mt1", "measure", "i", "bt1", device=second),
        ],
        ["m0", "m", "mt", "mt1"],
    )
    last = replace(plan.cells[-1], cell=replace(plan.cells[-1].cell, device=second))
    return replace(plan, cells=[*plan.cells[:-1], last])
