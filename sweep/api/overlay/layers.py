"""Measures the candidates of an overlay, layer by layer, until nothing is missing.

Each answer is on disk before the next one is looked at, so a kill loses what was under way and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sweep.analysis.overlay.metric import Judgement
from sweep.analysis.overlay.missing import Contest, Gap, contest, gaps
from sweep.api.overlay.overlay_targets import OverlayTarget
from sweep.api.overlay.schedules import Schedules
from sweep.errors import DeviceLost
from sweep.files.sweep_dir import SweepDir
from sweep.running.signals import uninterrupted
from sweep.toolchain.candidates.libraries import Libraries, remove_left
from sweep.toolchain.candidates.pipeline import BuildMeasurePipeline
from sweep.toolchain.candidates.requests import (
    ComparisonRequest,
    CompletedComparison,
    CompletedTrial,
    Contender,
    TrialRequest,
)
from sweep.toolchain.candidates.timing_figures import OVERLAY_SLOW, OVERLAY_TIMEOUT_S, Timing, slow_from_s
from sweep.toolchain.schedule_transfer import recorded_schedule
from sweep.toolchain.tuning.records.overlay_records import Configuration, OverlayRecords, folder_of

if TYPE_CHECKING:
    from sweep.engine.overlay_runner import OverlayRunner

__all__ = ["LayerWork", "Watcher"]

_PASSES = 6
"""Of gaps, then contests. Each measures what those before have brought to the top; three are the rule."""
_TIMING = Timing(timeout_s=OVERLAY_TIMEOUT_S)
_BUILD_TIMEOUT_S = 60.0

Request = TrialRequest[Configuration] | ComparisonRequest[Configuration]
Look = Callable[[], tuple[Sequence[Judgement], Schedules]]


class Watcher(Protocol):
    """Is told the progress of an overlay's builds and measurements."""

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
        """workshop: makes the runner, and is called once there is work."""
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
        """Time what has no time; whether there was anything.

        Raises:
            DeviceLost: some were lost with their board, twice; all others are measured and kept.
        """
        wanted = [(layer, gap) for layer in layers for gap in gaps(layer.times)]
        self._begin("candidates", (layer.times.devices[gap.column] for layer, gap in wanted))
        count, lost = 0, None
        for completed in self._performed(self._candidates(wanted, schedules)):
            assert isinstance(completed, CompletedTrial)
            count += 1
            if isinstance(completed.error, DeviceLost):  # which says nothing of the candidate
                lost = completed.error
            else:
                self._keep(completed)
            completed.lib.unlink(missing_ok=True)
            self._watcher.done(completed.request.device, _said(completed))
        if lost is not None:
            raise lost
        return count > 0

    def _keep(self, completed: CompletedTrial[Configuration]) -> None:
        configuration, store = completed.subject, self._stores[completed.request.device]
        with uninterrupted():
            if completed.run_secs is not None:
                store.add(configuration, completed.run_secs, completed.measure_s or 0.0, completed.build_s or 0.0)
            elif completed.error is not None:
                store.add_failure(configuration, completed.error, completed.build_s)
                self._out.add((configuration.workload, configuration.trace_hash))

    def _candidates(self, wanted: Iterable[tuple[Judgement, Gap]], schedules: Schedules) -> Iterator[Request]:
        for layer, gap in wanted:
            key, best_s = layer.times.devices[gap.column], float(layer.best_s[gap.column])
            one = _configuration(layer, gap.row, schedules)
            if one is None or (one.workload, one.trace_hash) in self._out:
                self._watcher.done(key)
                continue
            slow_s = partial(slow_from_s, best_s, OVERLAY_SLOW)
            yield TrialRequest(key, _contender(one), _TIMING, _BUILD_TIMEOUT_S, slow_s)

    def _hold_contests(self, layers: Sequence[Judgement], schedules: Schedules) -> bool:
        """Measure in turns those that decide; whether there was anything."""
        wanted = list(self._contests(layers))
        self._begin("contests", (key for _, _, key in wanted))
        for completed in self._performed(self._compared(wanted, schedules)):
            assert isinstance(completed, CompletedComparison)
            if isinstance(completed.error, DeviceLost):
                raise completed.error
            key, contenders = completed.request.device, completed.request.candidates
            if len(completed.compared) > 1:
                with uninterrupted():
                    seconds = completed.measure_s or 0.0
                    self._stores[key].add_comparison(completed.compared, completed.run_secs, seconds)
            if len(completed.compared) < len(contenders):  # each has a time, and keeps it
                self._given_up.add((contenders[0].subject.workload, key))
            self._watcher.done(key, _said(completed))
        return bool(wanted)

    def _compared(self, wanted: Iterable[tuple[Judgement, Contest, str]], schedules: Schedules) -> Iterator[Request]:
        for layer, found, key in wanted:
            rows = [one for row in found.rows if (one := _configuration(layer, row, schedules)) is not None]
            if len(rows) > 1:
                yield ComparisonRequest(key, [_contender(row) for row in rows], _TIMING, _BUILD_TIMEOUT_S)
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

    def _performed(
        self, requests: Iterator[Request]
    ) -> Iterator[CompletedTrial[Configuration] | CompletedComparison[Configuration]]:
        first = next(requests, None)
        if first is None:
            return
        runner = self._workshop()
        remove_left(self._records)
        pipeline: BuildMeasurePipeline[Configuration, Configuration] = BuildMeasurePipeline(Libraries(self._records))
        pipeline.begin({key: runner.candidate_service(key, seat.target) for key, seat in self._seats.items()})
        room = 2 * runner.build_slots + 2 * len(self._seats)
        try:
            yield from pipeline.perform(chain([first], requests), room, self._watcher.tick)
        finally:
            pipeline.abandon()

    def _begin(self, what: str, keys: Iterable[str]) -> None:
        counts = Counter(keys)
        self._watcher.begin(what, {key: counts[key] for key in self._seats})


def _configuration(layer: Judgement, row: int, schedules: Schedules) -> Configuration | None:
    times = layer.times
    native = schedules.find(times.workload, times.configurations[row])
    if native is None:
        return None
    return Configuration(times.workload, times.layer, times.configurations[row], native)


def _contender(configuration: Configuration) -> Contender[Configuration]:
    return Contender(configuration, recorded_schedule(configuration.native))


def _said(completed: CompletedTrial[Configuration] | CompletedComparison[Configuration]) -> str | None:
    return None if completed.error is None else f"{type(completed.error).__name__}: {completed.error}"
