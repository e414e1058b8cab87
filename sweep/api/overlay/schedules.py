"""The native records of configurations: an overlay names a schedule by its hash, and a log has it as a trace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sweep.analysis.overlay.metric import Judgement
from sweep.errors import RecordError
from sweep.files.confined import OutsideFolder, below
from sweep.toolchain.native_log import NativeReader, NativeRecord

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Schedules"]


class Schedules:
    """Looks up the native record of a schedule in the logs of a sweep."""

    def __init__(self, sweep_dir: Path, records: pa.Table) -> None:
        """records: as tuning_records.parquet."""
        self._sweep_dir = sweep_dir
        names = ("workload", "trace_hash", "log", "record")
        self._lines: dict[tuple[str, str], list[tuple[str, int]]] = {}
        self._readers: dict[str, NativeReader] = {}
        for workload, trace_hash, log, record in zip(*(records[name].to_pylist() for name in names), strict=True):
            if record is not None and trace_hash is not None:
                self._lines.setdefault((workload, trace_hash), []).append((log, record))

    def find(self, workload: str, trace_hash: str) -> NativeRecord | None:
        """As whoever found it first wrote it, if that can be read; None where nobody has it whole.

        Raises RecordError where the table has a log outside the sweep directory.
        """
        for log, line in self._lines.get((workload, trace_hash), ()):
            if log not in self._readers:
                self._readers[log] = NativeReader(self._place_of(log).parent)
            record = self._readers[log].record(line)
            if record is not None:
                return record
        return None

    def _place_of(self, log: str) -> Path:
        try:
            return below(self._sweep_dir, log)
        except OutsideFolder as error:
            raise RecordError(f"{self._sweep_dir}: log {log!r} of a tuning record {error}") from None

    def chosen(self, layers: Sequence[Judgement]) -> list[NativeRecord]:
        """Of each layer's choice; layers without one are left out."""
        return self._of([(layer, layer.chosen) for layer in layers if layer.chosen is not None])

    def fastest(self, layers: Sequence[Judgement], column: int) -> list[NativeRecord]:
        """Of what was fastest on one device, by layer; layers without a time there are left out."""
        seconds = [(layer, layer.times.seconds[:, column]) for layer in layers]
        return self._of([(layer, int(np.nanargmin(own))) for layer, own in seconds if not np.isnan(own).all()])

    def _of(self, rows: Sequence[tuple[Judgement, int]]) -> list[NativeRecord]:
        found = [self.find(layer.times.workload, layer.times.configurations[row]) for layer, row in rows]
        return [one for one in found if one is not None]
