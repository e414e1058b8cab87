"""Measuring the candidates of an overlay, layer by layer, until nothing is missing.

Each answer is on disk before the next one is looked at, so a kill loses what was under way and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sweep.analysis.overlay.metric import Judgement
from sweep.analysis.overlay.missing import Contest, Gap, contest, gaps
from sweep.api.overlay.overlay_targets import OverlayTarget
from sweep.api.overlay.pipeline import BuildMeasurePipeline, Completed, Request
from sweep.api.overlay.schedules import Schedules
from sweep.files.sweep_dir import SweepDir
from sweep.running.signals import uninterrupted
from sweep.toolchain.tuning.records.overlay_records import Configuration, OverlayRecords, folder_of

if TYPE_CHECKING:
    from sweep.engine.overlay_runner import OverlayRunner

__all__ = ["LayerWork", "Watcher"]

_PASSES = 6
"""Of gaps, then contests. Each measures what those before have brought to the top; three are the rule."""
_LATE_S = 50e-6
_OUT_OF_THE_RUNNING = 3.0
"""One call says enough of a candidate that takes so many times the device's best, and some lateness."""

Look = Callable[[], tuple[Sequence[Judgement], Schedules]]


class Watcher(Protocol):
    """Is told how far the work is."""

    def begin(self, what: str, total: Mapping[str, int]) -> None:
        """So much is to do on each device."""

    def done(self, device: str, failed: str | None = None) -> None:
        """One of these has ended; `failed` says why it gave no time."""

    def tick(self) -> None:
        """Time has passed."""


class LayerWork:
    """The measurements of one overlay's layers."""

    def __init__(
        self, sweep_dir: Path, seats: Sequence[OverlayTarget], workshop: Callable[[], OverlayRunner], watcher: Watcher
    ) -> None:
        """workshop: asked for once there is work."""
        self._seats = {seat.key: seat for seat in seats}
        self._workshop, self._watcher = workshop, watcher
        self._records = SweepDir(sweep_dir).records
        self._stores = {
            seat.key: OverlayRecords(sweep_dir / folder_of(seat.target_hash, seat.key), seat.key, seat.target_json)
            for seat in seats
        }
        self._out: set[tuple[str, str]] = set()
        """Workload and trace of what has failed."""
        self._given_up: set[tuple[str, str]] = set()
        """Workload and device of contests that could not be held."""

    def run(self, look: Look) -> None:
        """Measure until nothing is missing. look: what is known by now, with the choice of each layer.

        Raises:
            DeviceLost: a device stays away; what was measured is kept.
        """
        for _ in range(_PASSES):
            layers, schedules = look()
            if not self._fill(layers, schedules) and not self._hold_contests(layers, schedules):
                return

    def _fill(self, layers: Sequence[Judgement], schedules: Schedules) -> bool:
        """Time what has no time; whether there was anything."""
        wanted = [(layer, gap) for layer in layers for gap in gaps(layer.times)]
        self._begin("candidates", (layer.times.devices[gap.column] for layer, gap in wanted))
        count = 0
        for ended in self._performed(self._candidates(wanted, schedules)):
            count += 1
            [one], key = ended.job.configurations, ended.job.seat.key
            with uninterrupted():
                if ended.result is not None:
                    self._stores[key].add(one, ended.result, ended.build_s)
                elif ended.error is not None:
                    self._stores[key].add_failure(one, ended.error, ended.build_s or None)
                    self._out.add((one.workload, one.trace_hash))
            self._watcher.done(key, _told(ended))
        return count > 0

    def _candidates(self, wanted: Iterable[tuple[Judgement, Gap]], schedules: Schedules) -> Iterator[Request]:
        for layer, gap in wanted:
            key, best_s = layer.times.devices[gap.column], float(layer.best_s[gap.column])
            one = _configuration(layer, gap.row, schedules)
            if one is None or (one.workload, one.trace_hash) in self._out:
                self._watcher.done(key)
                continue
            slow_s = None if best_s != best_s else _OUT_OF_THE_RUNNING * best_s + _LATE_S
            yield Request(self._seats[key], [one], slow_s)

    def _hold_contests(self, layers: Sequence[Judgement], schedules: Schedules) -> bool:
        """Measure in turns those that decide; whether there was anything."""
        wanted = list(self._contests(layers))
        self._begin("contests", (key for _, _, key in wanted))
        for ended in self._performed(self._compared(wanted, schedules)):
            job, key = ended.job, ended.job.seat.key
            if ended.result is not None:
                with uninterrupted():
                    self._stores[key].add_comparison(job.configurations, ended.result)
            else:  # each has a time, and keeps it
                self._given_up.add((job.configurations[0].workload, key))
            self._watcher.done(key, _told(ended))
        return bool(wanted)

    def _compared(self, wanted: Iterable[tuple[Judgement, Contest, str]], schedules: Schedules) -> Iterator[Request]:
        for layer, found, key in wanted:
            rows = [one for row in found.rows if (one := _configuration(layer, row, schedules)) is not None]
            if len(rows) > 1:
                yield Request(self._seats[key], rows)
            else:
                self._given_up.add((layer.times.workload, key))
                self._watcher.done(key)

    def _contests(self, layers: Sequence[Judgement]) -> Iterator[tuple[Judgement, Contest, str]]:
        for layer in layers:
            workload, devices = layer.times.workload, layer.times.devices
            found = contest(layer, [self._stores[key].compared(workload) for key in devices])
            for column in () if found is None else found.columns:
                if found is not None and (workload, devices[column]) not in self._given_up:
                    yield layer, found, devices[column]

    def _performed(self, jobs: Iterator[Request]) -> Iterator[Completed]:
        first = next(jobs, None)
        if first is None:
            return
        workshop = self._workshop()
        with BuildMeasurePipeline(workshop, self._records, self._watcher.tick) as line:
            yield from line.perform(chain([first], jobs), 2 * workshop.build_slots + 2 * len(self._seats))

    def _begin(self, what: str, keys: Iterable[str]) -> None:
        counts = Counter(keys)
        self._watcher.begin(what, {key: counts[key] for key in self._seats})


def _configuration(layer: Judgement, row: int, schedules: Schedules) -> Configuration | None:
    times = layer.times
    native = schedules.find(times.workload, times.configurations[row])
    if native is None:
        return None
    return Configuration(times.workload, times.layer, times.configurations[row], native)


def _told(ended: Completed) -> str | None:
    return None if ended.error is None else f"{type(ended.error).__name__}: {ended.error}"
