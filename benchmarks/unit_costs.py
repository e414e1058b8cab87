"""What one event, one cell, one call costs: the numbers from which larger clusters are reckoned.

Each is the median over many, on simulated work in this process, but for Ray's, which is an actor in a Ray of its own.
"""

from __future__ import annotations

import itertools
import json
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.driver import study_of
from benchmarks.results import conditions, save
from sweep.engine.simulated import SimulatedEngine
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from sweep.record.mlflow.bulk_writer import BulkWriter
from sweep.record.mlflow.client_writer import ClientWriter, Writer
from sweep.record.mlflow.run_draft import ModelFile, RunDraft, draft_of
from sweep.record.mlflow.tracking_store import open_client
from sweep.running.contract import needs_of
from sweep.running.driver import drive
from sweep.running.events import StageDone, Start, Tick
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.sweep_outcome import cell_outcome
from sweep.running.machine import Machine
from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import load_cluster, load_study
from sweep.study.spec import Study

__all__ = ["UnitCost", "bench_costs"]

_CELLS = 1_000
_CALLS = 500
_SAMPLE = 50
_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class UnitCost:
    """One of them."""

    what: str
    value: float
    unit: str


def bench_costs(folder: Path) -> list[UnitCost]:
    """Measure all of them, print a table and save it."""
    with tempfile.TemporaryDirectory() as scratch:
        costs = []
        for cost in itertools.chain(_of_the_driver(Path(scratch)), _of_ray()):
            print(f"{cost.what:<50} {cost.value:>10.4g} {cost.unit}", flush=True)
            costs.append(cost)
    found = {cost.what: {"value": cost.value, "unit": cost.unit} for cost in costs}
    save(folder, "costs", {"costs": found, "conditions": conditions(cells=_CELLS)})
    return costs


def _of_the_driver(folder: Path) -> Iterator[UnitCost]:
    study, cluster = _files(folder)
    start = time.perf_counter()
    plan = make_plan(study, cluster)
    yield UnitCost("planning a cell", (time.perf_counter() - start) / len(plan.cells) * 1e6, "us")
    yield UnitCost("a decision of the machine", _decision_s(plan) * 1e6, "us")
    yield from _of_the_ledger(folder / "ledger")
    start = time.perf_counter()
    with Ledger(folder / "sweep") as ledger:
        drive(plan, SimulatedEngine(cluster), ledger, folder / "sweep")
        driven_s = time.perf_counter() - start
        outcomes = [cell_outcome(plan, planned, ledger.state) for planned in plan.cells]
    yield UnitCost("the driver, a cell (three stages, six lines)", driven_s / len(plan.cells) * 1e3, "ms")
    yield UnitCost("memory that a cell leaves in the driver", _grown_bytes(plan, cluster, folder / "again"), "bytes")
    drafts: list[RunDraft] = []
    model = ModelFile("network", "bench", "0" * 32)
    start = time.perf_counter()
    drafts += [draft_of(outcome, model, str(folder), 0.0) for outcome in outcomes if outcome.status != "pending"]
    yield UnitCost("a cell as a run, not yet written", (time.perf_counter() - start) / len(drafts) * 1e3, "ms")
    client = open_client(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("bench", artifact_location=(folder / "artifacts").as_uri())
    writers: dict[str, tuple[Writer, int]] = {
        "a run in MLflow (SQLite), 64 in one go": (BulkWriter(client._tracking_client.store), len(drafts)),
        "a run in MLflow (SQLite), by its client": (ClientWriter(client), _SAMPLE),
    }
    for what, (writer, count) in writers.items():
        start = time.perf_counter()
        for first in range(0, count, 64):
            writer.write(experiment, "0" * 32, drafts[first : min(first + 64, count)])
        yield UnitCost(what, (time.perf_counter() - start) / count * 1e3, "ms")


def _of_the_ledger(folder: Path) -> Iterator[UnitCost]:
    line: dict[str, Any] = {"stage": "0" * 16, "kind": "build", "attempt": 1, "seconds": 1.0, "worker": "bench"}
    line["result"] = {"numbers": [0.1] * 40}
    with Ledger(folder) as ledger:

        def append(lines: int) -> None:
            with ledger.together():
                for _ in range(lines):
                    ledger.append("stage_done", **line)

        for lines, what in ((1, "a line of the ledger, on the disk"), (_TOGETHER, f"the same, {_TOGETHER} of a poll")):
            each = [_timed(lambda lines=lines: append(lines)) for _ in range(_CALLS)]  # type: ignore[misc]
            yield UnitCost(what, statistics.median(each) / lines * 1e6, "us")


def _grown_bytes(plan: Plan, cluster: Cluster, folder: Path) -> float:
    """By a cell; in a run of its own, since to look at each allocation takes longer than the rest."""
    with Ledger(folder) as ledger:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        drive(plan, SimulatedEngine(cluster), ledger, folder)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    return grown / len(plan.cells)


def _decision_s(plan: Plan) -> float:
    """A stage's end in, and what to do next out."""
    machine = Machine(plan, needs=needs_of, capacity={"compile": 16, "tune": 16, "device:sim-0": 16})
    running = [one.stage_id for one in machine.handle(Tick(0.0)) if isinstance(one, Start)]
    each = []
    while running:
        event = StageDone(running.pop(), 0.0)
        start = time.perf_counter()
        told = machine.handle(event)
        each.append(time.perf_counter() - start)
        running += [one.stage_id for one in told if isinstance(one, Start)]
    return statistics.median(each)


def _of_ray() -> Iterator[UnitCost]:
    import ray

    with _ray():
        echo: Any = ray.remote(_Echo)
        actor, text = echo.remote(), "x" * 2_000
        ray.get(actor.say.remote(text))
        each = [_timed(lambda: ray.get(actor.say.remote(text))) for _ in range(_CALLS)]
        yield UnitCost("a call to a Ray actor and back", statistics.median(each) * 1e3, "ms")
        start = time.perf_counter()
        ray.get([actor.say.remote(text) for _ in range(_CALLS)])
        yield UnitCost("the same, many under way", (time.perf_counter() - start) / _CALLS * 1e3, "ms")
        start = time.perf_counter()
        more = [echo.remote() for _ in range(4)]
        ray.get([one.say.remote(text) for one in more])
        yield UnitCost("a new actor, four at once", (time.perf_counter() - start) / len(more) * 1e3, "ms")


class _Echo:
    """An actor that does nothing."""

    def say(self, text: str) -> str:
        """Give it back."""
        return text


@contextmanager
def _ray() -> Iterator[None]:
    from sweep.engine.ray.ray_session import RaySession

    session = RaySession(None, 8, {})
    try:
        yield
    finally:
        session.close()


def _files(folder: Path) -> tuple[Study, Cluster]:
    study, cluster = folder / "study.yaml", folder / "cluster.yaml"
    study.write_text(json.dumps(study_of(_CELLS)), encoding="utf-8")
    simulate = {"devices": 1, "slots": 16}
    cluster.write_text(json.dumps({"name": "bench", "engine": "simulated", "simulate": simulate}), encoding="utf-8")
    return load_study(study), load_cluster(cluster)


def _timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start
