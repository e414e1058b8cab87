"""Measures two cells of a sweep in turns, a block of each at a time, and writes every pair to the sweep's ledger."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from sweep.analysis.comparing.measured_cell import MeasuredCell
from sweep.api.comparing.block_pairs import MeasuredSide, take_pair
from sweep.api.session.engine_session import EngineSession
from sweep.api.session.single_stage import check_fit, device_of
from sweep.errors import StudyError
from sweep.files.maker import loads
from sweep.planning.results.compiling import BuildResult
from sweep.planning.results.measurement import Measurement
from sweep.planning.stages.quantise import ROLE
from sweep.running.contract import Engine
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.saved_plan import restore
from sweep.study.cluster.cluster import Cluster

__all__ = ["Pairing"]


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
        self._ids = [cell.cell_id for cell in cells]
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
        self._count = sum(set(pair["cells"]) == set(self._ids) for pair in self._ledger.state.pairs)
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

    def _loads(self, side: MeasuredSide) -> str:
        results = side.inputs.values()
        files = " and ".join(str(self._sweep_dir / result.folder()) for result in results)
        runtime = f" by {side.options['runtime']}" if ":" in str(side.options["runtime"]) else ""
        has_checksums = all(result.files is not None for result in results)
        host = self._ledger.state.conditions.get("host")
        return loads(f"{files}{runtime}", self._sweep_dir, host, has_checksums=has_checksums)

    def _measure_pair(self) -> None:
        self._ledger.append(
            "pair_measured", cells=self._ids, blocks=take_pair(self._engine, self._sides, taken=self._count)
        )
        self._count += 1

    def _side(self, cell: MeasuredCell) -> MeasuredSide:
        plan, done = restore(self._sweep_dir).plan, self._ledger.state.done
        planned = next(one for one in plan.cells if one.cell.id == cell.cell_id)
        results = {done[stage].kind: done[stage].result for stage in planned.stages if stage in done}
        device = device_of(self._cluster, planned.cell.device, "--cluster")
        network = ROLE if ROLE in results else "import"
        wanted = ("import", "build") if planned.cell.is_compiled else (network,)
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
        inputs = {kind: results[kind] for kind in wanted}
        return MeasuredSide.of(planned.cell, device, inputs, earlier.conditions, earlier.number, plan.described)
