"""Measures two cells of a sweep in turns, a block of each at a time, and writes every pair to the sweep's ledger."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from sweep.analysis.comparing.measured_cell import MeasuredCell
from sweep.api.session.engine_session import EngineSession
from sweep.api.session.single_stage import check_fit, device_of, perform_stage
from sweep.errors import StudyError, SweepError
from sweep.files.maker import loads
from sweep.planning.results.compiling import BuildResult
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stages.measure import measure_options
from sweep.running.contract import Engine
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.saved_plan import restore
from sweep.running.policy import GiveUp, RetryPolicy
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.spec import Measure

__all__ = ["Pairing"]

REPEATS = 3
"""A block's: their median forgives one that was interrupted. More blocks tell more than more repeats."""
KEPT = ("run_secs", "warmup_secs", "number", "reference_before_s", "reference_after_s", "tainted", "conditions")


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two cells, with everything that measuring it needs."""

    cell_id: str
    device: Device
    options: Mapping[str, Any]
    inputs: Mapping[str, StageResult]


class Pairing:
    """Measures pairs of blocks of two cells. A context that holds the farm and the sweep's ledger meanwhile."""

    def __init__(
        self,
        sweep_dir: Path,
        cells: tuple[MeasuredCell, MeasuredCell],
        cluster: Cluster,
        minutes: float,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`say` is told what is loaded. Raises StudyError where a cell cannot be measured again; see `__enter__`."""
        self._sweep_dir, self._cells, self._cluster, self._minutes = sweep_dir.absolute(), cells, cluster, minutes
        self._closing = ExitStack()
        self._say = say

    def __enter__(self) -> Pairing:
        """Raises LedgerError where a run has the sweep, StudyError, and DeviceLost where the farm does not come up."""
        with ExitStack() as closing:
            self._ledger = closing.enter_context(Ledger(self._sweep_dir))
            self._sides = [self._side(cell) for cell in self._cells]
            for side in self._sides:
                self._say(self._loads(side))
            devices = {side.device.key: side.device for side in self._sides}
            alone = replace(self._cluster, devices=tuple(devices.values()), engine="inline", replay=None)
            self._engine: Engine = closing.enter_context(EngineSession(alone, self._sweep_dir))
            self._closing = closing.pop_all()
        self._end_t = time.monotonic() + 60 * self._minutes
        self._pair_s = 0.0
        self._count = sum(
            set(pair["cells"]) == {side.cell_id for side in self._sides} for pair in self._ledger.state.pairs
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def measure(self, pairs: int) -> bool:
        """Take so many pairs. False where the minutes are over before; what was taken until then is kept."""
        for _ in range(pairs):
            begun = time.monotonic()
            if begun + self._pair_s > self._end_t:
                return False
            self._measure_pair()
            self._pair_s = time.monotonic() - begun
        return True

    def _loads(self, side: _Side) -> str:
        results = side.inputs.values()
        files = " and ".join(str(self._sweep_dir / result.folder()) for result in results)
        runtime = f" by {side.options['runtime']}" if ":" in str(side.options["runtime"]) else ""
        has_checksums = all(result.files is not None for result in results)
        host = self._ledger.state.conditions.get("host")
        return loads(f"{files}{runtime}", self._sweep_dir, host, has_checksums=has_checksums)

    def _measure_pair(self) -> None:
        # Every other pair the other way round: what changes steadily favours neither
        order = (0, 1) if self._count % 2 == 0 else (1, 0)
        blocks = {}
        for index in order:
            side = self._sides[index]
            result = self._measure(side).to_json()
            blocks[index] = {name: result[name] for name in KEPT}
        self._ledger.append(
            "pair_measured", cells=[side.cell_id for side in self._sides], blocks=[blocks[0], blocks[1]]
        )
        self._count += 1

    def _measure(self, side: _Side) -> Measurement:
        """A block of one; what a run would try again is tried again."""
        for failures in count(1):
            try:
                return perform_stage(self._engine, "measure", Measurement, side.options, side.inputs, side.device)
            except SweepError as error:
                decision = RetryPolicy().decide(type(error).__name__, failures)
                if isinstance(decision, GiveUp):
                    raise
                time.sleep(decision.delay_s)
        raise AssertionError("counting ends nowhere")

    def _side(self, cell: MeasuredCell) -> _Side:
        plan, done = restore(self._sweep_dir).plan, self._ledger.state.done
        planned = next(one for one in plan.cells if one.cell.id == cell.cell_id)
        results = {done[stage].kind: done[stage].result for stage in planned.stages if stage in done}
        device = device_of(self._cluster, planned.cell.device, "--cluster")
        wanted = ("import", "build") if planned.cell.is_compiled else ("import",)
        for kind in wanted:
            if kind not in results or not (self._sweep_dir / results[kind].folder()).is_dir():
                raise StudyError(
                    "cannot be measured again",
                    key="CELL",
                    value=cell.name,
                    allowed=f"a cell whose {kind} is still there",
                )
        built, earlier = results.get("build"), results["measure"]
        assert isinstance(earlier, Measurement)
        if isinstance(built, BuildResult):
            check_fit(json.loads(built.target_json or "{}"), device, "--cluster")
        measure = Measure(
            repeat=REPEATS,
            max_repeat=REPEATS,
            rounds=1,
            relative_interval=0.0,
            number=earlier.number,
            cache_flush=bool(earlier.conditions.get("cache_flush_bytes")),
        )
        options = measure_options(planned.cell.runtime, planned.cell.precision, device, measure.options)
        return _Side(cell.cell_id, device, options, {kind: results[kind] for kind in wanted})
