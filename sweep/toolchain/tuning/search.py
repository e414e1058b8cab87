"""The search for one workload: asks MetaSchedule for candidates, and tells it what became of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.toolchain.tuning.strategies import Strategy, seed_of

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.meta_schedule.cost_model import CostModel
    from tvm.s_tir.meta_schedule.search_strategy import MeasureCandidate
    from tvm.target import Target

    from sweep.toolchain.tuning.records import RecordStore

__all__ = ["Candidate", "Search"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One schedule to be built and measured."""

    native: MeasureCandidate
    module_json: str
    """The scheduled IRModule, serialised."""
    args: list[dict[str, Any]]
    """`shape` and `dtype` of each argument."""
    trace_hash: str


class Search:
    """One workload under one strategy. At most one round is out at a time: `ask`, then `tell` of all of it."""

    def __init__(
        self,
        name: str,
        workload: str,
        module: IRModule,
        *,
        target: Target,
        strategy: Strategy,
        cost_model: CostModel | None,
        store: RecordStore,
        wanted: int,
        seed: int,
    ) -> None:
        """`wanted` is how many more trials this workload gets."""
        from tvm.s_tir.meta_schedule import TuneContext

        self.name, self.workload = name, workload
        self.wanted = wanted
        self._store, self._cost_model, self._target = store, cost_model, target
        self._native_workload = store.database.commit_workload(module)
        self._context = TuneContext(
            mod=module,
            target=target,
            space_generator="post-order-apply",
            search_strategy=strategy.make_search(),
            task_name=name,
            num_threads=1,
            rand_state=seed_of(seed, workload, store.of(workload).trials),
        )
        spaces = self._context.generate_design_space()
        # Duplicates are dropped after they come, so the strategy may be asked for more than is measured
        self._context.pre_tuning(4 * wanted + 64, strategy.round_size, spaces, store.database, cost_model)
        self._round_size = strategy.round_size
        self._surplus: list[MeasureCandidate] = []
        self.is_exhausted = not spaces
        self.asked = 0

    def ask(self) -> list[Candidate]:
        """The next round, new traces only; empty when the search has no more or `wanted` is reached."""
        room = self.wanted - self.asked
        if self.is_exhausted or room <= 0:
            return []
        natives = self._context.generate_measure_candidates()
        if not natives:
            self.is_exhausted = True
            return []
        tried = self._store.of(self.workload).hashes
        fresh: dict[str, MeasureCandidate] = {}
        for native in natives:
            fresh.setdefault(_trace_hash(native), native)
        chosen = [(key, native) for key, native in fresh.items() if key not in tried][:room]
        if not chosen:
            # A small space: MetaSchedule keeps proposing what has been measured. Close this round and end.
            self._context.notify_runner_results([], [])
            self.is_exhausted = True
        self.asked += len(chosen)
        return [_candidate(key, native) for key, native in chosen]

    def record(self, candidate: Candidate, run_secs: Sequence[float]) -> Any:
        """The native tuning record of a valid measurement."""
        from tvm.s_tir.meta_schedule.database import TuningRecord

        return TuningRecord(
            candidate.native.sch.trace,
            self._native_workload,
            list(run_secs),
            self._target,
            candidate.native.args_info,
        )

    def tell(self, outcomes: Sequence[tuple[Candidate, Sequence[float] | None, str | None]]) -> None:
        """What became of the whole round: (candidate, run_secs or None, error or None) each."""
        from tvm.s_tir.meta_schedule.runner import RunnerResult

        natives = [candidate.native for candidate, _, _ in outcomes]
        results = [
            RunnerResult(list(run_secs), None) if run_secs else RunnerResult(None, error or "failed")
            for _, run_secs, error in outcomes
        ]
        self._context.notify_runner_results(natives, results)
        if self._cost_model is not None:
            self._cost_model.update(self._context, natives, results)

    def close(self) -> None:
        """End the search."""
        self._context.post_tuning()


def _trace_hash(native: MeasureCandidate) -> str:
    return hashlib.sha256(str(native.sch.trace).encode()).hexdigest()[:16]


def _candidate(key: str, native: MeasureCandidate) -> Candidate:
    import tvm

    args = [{"shape": [int(n) for n in info.shape], "dtype": str(info.dtype)} for info in native.args_info]
    return Candidate(native, tvm.ir.save_json(native.sch.mod), args, key)
