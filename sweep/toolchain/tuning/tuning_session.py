"""A tuning session: search, cost model and records of one full target on one device, for as long as the sweep runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sweep.search.catalogue import make_tuner
from sweep.toolchain.candidates.service import CandidateService, NetworkService
from sweep.toolchain.tuning.job import TuneJob
from sweep.toolchain.tuning.pool.pool import Pool
from sweep.toolchain.tuning.records.record_store import RecordStore
from sweep.toolchain.tuning.space.search_factory import SearchFactory

__all__ = ["TuningSession"]


class TuningSession:
    """One tuner for one full target and device. Long-lived: its records and cost model serve all its tune stages."""

    def __init__(
        self, name: str, options: Mapping[str, Any], target: Mapping[str, Any], folder: Path, seed: int
    ) -> None:
        """`folder` is the records folder, which this session alone writes. Raises TuneFailed: no such tuner."""
        from sweep.toolchain.tvm_loader import resolve_target, target_json

        resolved = resolve_target(dict(target))
        self._target_json = target_json(resolved)
        self._tuner = make_tuner(name, options, seed)
        self.store = RecordStore(folder)
        self._searches = SearchFactory(self._tuner, resolved, self.store)
        self._pool: Pool | None = None
        self._lock = threading.Lock()

    def tune(
        self,
        job: TuneJob,
        service: CandidateService,
        report: Callable[[Mapping[str, Any]], None],
        networks: NetworkService | None = None,
    ) -> dict[str, Any]:
        """Give every task of the job its trials, less those it already has, along with whoever else asks meanwhile.
        `networks`: builds and times its whole network meanwhile.

        Raises:
            DeviceLost: the device was away for several candidates in a row.
            TuneFailed: a task could not be read, or none could be searched.
        """
        with self._lock:
            if self._pool is None:
                self._pool = Pool(self.store, self._target_json, self._searches)
        return self._pool.join(job, service, report, networks)

    def close(self) -> None:
        """Remove the candidates' libraries and close the records."""
        if self._pool is not None:
            self._pool.close()
        self.store.close()
