"""MetaSchedule as shipped, in a process of its own: `python -P stock_child.py tune|build ORDERS.json`.

Nothing of sweep is imported here, and nothing of TVM is replaced: builder, runner, cost model, database, search and
their settings are those that `tune_relax` takes by itself. Builder and runner are only looked at: each call is handed
on as it is, and when a candidate's measurement ended, it is written to `log.jsonl` and its record to a second database
at once, although MetaSchedule itself commits it rounds later. The valid lines of the one are the lines of the other.
What the looking takes is summed up in `own_s` of each line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import onnx
import tvm
from tvm import relax
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms

NO_LIMIT = 1_000_000
"""Trials: the clock ends the run."""


class Log:
    """One JSON line an event, written through at once."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)
        self.own_s = 0.0

    def write(self, event: str, **fields: Any) -> None:
        self._file.write(json.dumps({"event": event, "t": time.time(), "own_s": round(self.own_s, 4), **fields}) + "\n")


@derived_object
class WatchedBuilder(ms.builder.PyBuilder):  # type: ignore[misc]
    """The stock builder, with a clock beside it."""

    def __init__(self, builder: Any, log: Log) -> None:
        super().__init__()
        self.builder, self.log = builder, log

    def build(self, build_inputs: list[Any]) -> list[Any]:
        self.log.write("building", candidates=len(build_inputs))
        begun = time.monotonic()
        results = self.builder.build(build_inputs)
        failed = sum(result.error_msg is not None for result in results)
        self.log.write("built", seconds=time.monotonic() - begun, candidates=len(results), failed=failed)
        return list(results)


@derived_object
class WatchedRunner(ms.runner.PyRunner):  # type: ignore[misc]
    """The stock runner; it measures one candidate after the other, so handing them on one by one changes nothing."""

    def __init__(self, runner: Any, scheduler: Any, database: Any, log: Log) -> None:
        super().__init__()
        self.runner, self.scheduler, self.database, self.log = runner, scheduler, database, log

    def run(self, runner_inputs: list[Any]) -> list[Any]:
        begun = time.monotonic()
        index, sent = self._sent()
        self.log.own_s += time.monotonic() - begun
        futures = []
        for position, runner_input in enumerate(runner_inputs):
            measuring = time.monotonic()
            future = self.runner.run([runner_input])[0]
            ended = time.monotonic()
            futures.append(future)
            self._note(index, sent[position], future.result(), ended - measuring)
            self.log.own_s += time.monotonic() - ended
        return futures

    def _sent(self) -> tuple[int, list[Any]]:
        """Which task this round is of, and its candidates that were built: only a task under way has any."""
        for index, task in enumerate(self.scheduler.tasks_):
            if task.measure_candidates is not None and task.builder_results is not None and task.runner_futures is None:
                pairs = zip(task.measure_candidates, task.builder_results, strict=True)
                return index, [(task, candidate) for candidate, built in pairs if built.error_msg is None]
        raise RuntimeError("no task is under way")

    def _note(self, index: int, sent: tuple[Any, Any], result: Any, seconds: float) -> None:
        task, candidate = sent
        if result.run_secs is None:
            self.log.write("measured", workload=index, error=str(result.error_msg)[-300:], seconds=seconds)
            return
        run_secs = [float(value) for value in result.run_secs]
        workload = self.database.commit_workload(task.ctx.mod)
        record = ms.database.TuningRecord(candidate.sch.trace, workload, run_secs, task.ctx.target, candidate.args_info)
        self.database.commit_tuning_record(record)
        self.log.write("measured", workload=index, run_secs=run_secs, seconds=seconds)


def lower(network: str, target: Any) -> Any:
    """As TVM's documentation lowers a network for a CPU, with weights that may be packed.

    Source: `relax.pipeline.static_shape_tuning_pipeline` with `cpu_weight_prepack`, and constants folded before it.
    """
    from tvm.relax.frontend.onnx import from_onnx

    module = from_onnx(onnx.load(network), keep_params_in_input=False)
    with target:
        return tvm.transform.Sequential(
            [
                relax.transform.DecomposeOpsForInference(),
                relax.transform.CanonicalizeBindings(),
                relax.transform.FoldConstant(),
                relax.get_pipeline("zero"),
                relax.transform.AttachAttrLayoutFreeBuffers(),
            ]
        )(module)


def tune(orders: dict[str, Any]) -> None:
    """Tune until killed."""
    folder = Path(orders["folder"])
    log = Log(folder / "log.jsonl")
    target = tvm.target.Target(orders["target"])
    module = lower(orders["network"], target)
    begun = time.monotonic()
    database = ms.database.JSONDatabase(work_dir=str(folder / "records"))
    for index, task in enumerate(ms.relax_integration.extract_tasks(module, target, {})):
        database.commit_workload(task.dispatched[0])  # the line of this index in the database's file
        log.write("task", workload=index, name=str(task.task_name), weight=int(task.weight))
    log.write("tuning_started", listed_s=time.monotonic() - begun)
    scheduler = ms.task_scheduler.TaskScheduler.create("gradient")
    ms.relax_integration.tune_relax(
        module,
        {},
        target,
        str(folder / "work_dir"),
        NO_LIMIT,
        num_trials_per_iter=int(orders["round"]),
        builder=WatchedBuilder(ms.builder.LocalBuilder(max_workers=_cores()), log),
        runner=WatchedRunner(ms.runner.LocalRunner(), scheduler, database, log),
        task_scheduler=scheduler,
    )
    log.write("tuning_ended")


def _cores() -> int:
    """As `tune_tasks` gives them to the builder: a TuneContext's "physical" threads."""
    return int(ms.utils.cpu_count(logical=False))


def build(orders: dict[str, Any]) -> None:
    """Build the network with the best records of a JSON database, as TVM's documentation does it."""
    target = tvm.target.Target(orders["target"])
    module = lower(orders["network"], target)
    database = ms.database.JSONDatabase(work_dir=orders["database"])
    with target, database, tvm.transform.PassContext(opt_level=3):
        module = relax.transform.MetaScheduleApplyDatabase()(module)
        module = relax.transform.SplitLayoutRewritePreproc()(module)
        module = relax.transform.FoldConstant()(module)
        executable = relax.build(module, target)
    executable.export_library(orders["lib"])


if __name__ == "__main__":
    {"tune": tune, "build": build}[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
