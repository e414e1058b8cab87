"""Workloads of one family in a pool: a matrix product alone, and one with a relu after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.toolchain.tuning.job import TuningTask
from sweep.toolchain.tuning.records.trial_logs import read_trials
from sweep.toolchain.tvm_loader import load_tvm
from sweep.toolchain.workload_id import family_id, workload_id
from tests.toolchain.tuning.conftest import ChosenLaboratory, HashLaboratory, job_of, tuner_at


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> list[TuningTask]:
    folder = tmp_path_factory.mktemp("family")
    return [_task(folder, name, relu) for name, relu in (("product", False), ("product and relu", True))]


def _task(folder: Path, name: str, relu: bool) -> TuningTask:
    tvm = load_tvm(("x86",))
    from tvm import te

    a, b = te.placeholder((64, 48), name="A"), te.placeholder((48, 32), name="B")
    k = te.reduce_axis((0, 48), name="k")
    product = te.compute((64, 32), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="product")
    end = te.compute((64, 32), lambda i, j: te.max(product[i, j], te.const(0.0)), name="relu") if relu else product
    module = tvm.IRModule({"main": te.create_prim_func([a, b, end]).with_attr("global_symbol", "main")})
    path = folder / f"{name}.json"
    path.write_text(str(tvm.ir.save_json(module)), encoding="utf-8")
    return TuningTask(workload_id(module), name, 1, trivial=False, module=path, family=family_id(module))


def steady(number: int) -> list[float]:
    return [1e-3] * 3


def test_they_are_of_one_family_and_two_workloads(family: list[TuningTask]) -> None:
    alone, followed = family
    assert alone.family == followed.family
    assert alone.workload != followed.workload


def test_one_gets_the_trials_and_the_other_what_it_found(family: list[TuningTask], tmp_path: Path) -> None:
    result = tuner_at(tmp_path).tune(job_of(family, trials_per_task=12), HashLaboratory(), lambda info: None)
    trials = list(read_trials(tmp_path))
    alone, followed = family
    assert Counter(trial.workload for trial in trials) == {alone.workload: 12, followed.workload: 2}
    best = min((trial for trial in trials if trial.workload == alone.workload), key=lambda trial: trial.median_s or 1.0)
    given = [trial for trial in trials if trial.workload == followed.workload]
    assert given[0].origin == "relative"
    assert _tiles(best.decisions) in [_tiles(trial.decisions) for trial in given]
    assert all(task["valid"] for task in result["tasks"])
    assert (result["trials"], result["warm_started"]) == (14, 0)


def test_one_that_was_tuned_before_leads(family: list[TuningTask], tmp_path: Path) -> None:
    alone, followed = family
    tuner_at(tmp_path).tune(job_of([followed], trials_per_task=12), HashLaboratory(), lambda info: None)
    result = tuner_at(tmp_path).tune(job_of(family, trials_per_task=12), HashLaboratory(), lambda info: None)
    count = Counter(trial.workload for trial in read_trials(tmp_path))
    assert count == {followed.workload: 12, alone.workload: 2}
    assert result["trials"] == 2


@pytest.mark.parametrize("per_task", [None, 30])
def test_where_a_total_ends_the_search_both_are_searched(
    family: list[TuningTask], tmp_path: Path, per_task: int | None
) -> None:
    options: dict[str, Any] = {"trials_per_task": per_task, "trials_total": 40}
    tuner_at(tmp_path).tune(job_of(family, **options), ChosenLaboratory(steady), lambda info: None)
    trials = list(read_trials(tmp_path))
    count = Counter(trial.workload for trial in trials)
    assert sum(count.values()) == 40
    assert min(count.values()) > 5
    assert next(t for t in trials if t.workload == family[1].workload).origin == "relative"


def test_a_task_without_a_family_follows_nobody(family: list[TuningTask], tmp_path: Path) -> None:
    strangers = [replace(task, family="") for task in family]
    tuner_at(tmp_path).tune(job_of(strangers, trials_per_task=6), ChosenLaboratory(steady), lambda info: None)
    assert set(Counter(trial.workload for trial in read_trials(tmp_path)).values()) == {6}


def _tiles(decisions: Any) -> list[Any]:
    return sorted(decision for decision in decisions or () if isinstance(decision, list))
