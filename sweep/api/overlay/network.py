"""The network built from the merged log, and from each device's own best, measured in turns on every device."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.overlay.metric import Judgement
from sweep.analysis.overlay.network import NetworkOnDevice, NetworkTimes
from sweep.analysis.overlay.overlay import Overlay
from sweep.analysis.pairs import FIRST_LOOK
from sweep.analysis.taint import summed_up
from sweep.api.overlay.layers import Watcher
from sweep.api.overlay.network_log import NetworkLog
from sweep.api.overlay.overlay import MERGED
from sweep.api.overlay.overlay_targets import OverlayTarget
from sweep.api.overlay.schedules import Schedules
from sweep.engine.stage_calls import MeasureCall
from sweep.errors import DeviceLost, SweepError
from sweep.files.sweep_dir import stage_folder
from sweep.planning.disturbance import Disturbance
from sweep.planning.fingerprint import fingerprint
from sweep.study.precisions import tolerance_of
from sweep.study.spec import TVM, Measure
from sweep.toolchain.native_log import NativeRecord, write_log

if TYPE_CHECKING:
    from sweep.engine.overlay_runner import OverlayRunner

__all__ = ["NetworkWork"]

OWN = "own"
_ROUNDS = FIRST_LOOK
"""Each one block of either build: as many pairs as a first verdict takes."""
_MEASURE = {**asdict(Measure(repeat=10, max_repeat=10, rounds=1, min_repeat_ms=20)), "retakes": 1}
"""One block a call: the rounds are ours, so that the two builds alternate."""
_POLL_S = 0.5


@dataclass(slots=True)
class _Build:
    """One build for one device."""

    seat: OverlayTarget
    kind: str
    """merged or own."""
    folder: str
    """Of the artifact, relative to the sweep directory; named by what it is made of."""
    untuned_tasks: int | None = None
    failure: str | None = None
    results: list[Mapping[str, Any]] = field(default_factory=list)
    """Of each round, as a measure stage has it."""

    def times(self) -> NetworkTimes:
        return NetworkTimes(
            blocks=[[float(value) for value in one["run_secs"]] for one in self.results],
            untuned_tasks=self.untuned_tasks,
            output_max_abs_diff=self.results[0].get("output_max_abs_diff") if self.results else None,
            disturbed=[str(each) for each in summed_up([_disturbances(result) for result in self.results])],
            failure=self.failure,
        )


def _disturbances(result: Mapping[str, Any]) -> list[Disturbance]:
    return [Disturbance.from_json(each) for each in result.get("tainted") or ()]


class NetworkWork:
    """Builds and measurements of whole networks for one overlay; each measurement is kept."""

    def __init__(
        self, sweep_dir: Path, out: Path, workshop: Callable[[], OverlayRunner], watcher: Watcher, precision: str
    ) -> None:
        """out: where the overlay's files go; the logs that are built from go there too. workshop: asked for once there
        is work.
        """
        self._sweep_dir, self._out, self._workshop, self._watcher = sweep_dir, out, workshop, watcher
        self._threshold = tolerance_of(precision)
        self._log = NetworkLog(out)

    def run(self, found: Overlay, seats: Sequence[OverlayTarget], schedules: Schedules) -> list[NetworkOnDevice]:
        """Measure what was not measured before. A build or a measurement that fails is told and ends nothing.

        Raises:
            DeviceLost: a device stays away; what was measured is kept.
        """
        builds = self._builds(found.layers, seats, schedules)
        self._measure(builds)
        networks = []
        for column, seat in enumerate(seats):
            merged, own = (
                next(one for one in builds if one.seat is seat and one.kind == kind) for kind in (MERGED, OWN)
            )
            estimate_s, best_s = found.merged.estimate_s[column], found.merged.best_s[column]
            networks.append(NetworkOnDevice(seat.key, merged.times(), own.times(), float(estimate_s), float(best_s)))
        return networks

    # -- builds -------------------------------------------------------------------------------------------------------

    def _builds(
        self, layers: Sequence[Judgement], seats: Sequence[OverlayTarget], schedules: Schedules
    ) -> list[_Build]:
        merged = schedules.chosen(layers)
        write_log(merged, self._out / MERGED)
        builds, waiting = [], []
        for column, seat in enumerate(seats):
            own = schedules.fastest(layers, column)
            write_log(own, self._out / OWN / seat.key)
            for kind, records, log in ((MERGED, merged, MERGED), (OWN, own, f"{OWN}/{seat.key}")):
                build = _Build(seat, kind, _folder_of(seat, kind, records))
                builds.append(build)
                if not (self._sweep_dir / build.folder / "metadata.json").is_file():
                    waiting.append((build, self._built(build, self._out / log)))
        self._watcher.begin(
            "builds of the network", {seat.key: sum(b.seat is seat for b, _ in waiting) for seat in seats}
        )
        for build, future in waiting:
            self._wait([future])
            error = future.exception()
            if error is not None and not isinstance(error, SweepError):
                raise error
            build.failure = None if error is None else f"{type(error).__name__}: {error}"
            self._watcher.done(build.seat.key, build.failure)
        for build in builds:
            build.untuned_tasks = None if build.failure else self._untuned(build)
        return builds

    def _built(self, build: _Build, log: Path) -> Future[dict[str, Any]]:
        seat = build.seat
        return self._workshop().build_network(seat.lower_dir, log, seat.key, seat.target, build.folder)

    def _untuned(self, build: _Build) -> int:
        metadata = json.loads((self._sweep_dir / build.folder / "metadata.json").read_text(encoding="utf-8"))
        return int(metadata["untuned_tasks"])

    # -- measurements -------------------------------------------------------------------------------------------------

    def _measure(self, builds: Sequence[_Build]) -> None:
        """Round by round; every other round goes backwards, so that neither build is always the first."""
        for build in builds:
            build.results = self._log.of(build.seat.key, build.folder)
        ready = [build for build in builds if build.failure is None]
        left = {build.seat.key: 0 for build in ready}
        for build in ready:
            left[build.seat.key] += max(0, _ROUNDS - len(build.results))
        self._watcher.begin("measurements of the network", left)
        for number in range(_ROUNDS):
            order = ready if number % 2 == 0 else list(reversed(ready))
            wanted = [build for build in order if len(build.results) <= number and build.failure is None]
            futures = [(build, self._workshop().measure(self._call(build))) for build in wanted]
            for build, future in futures:
                self._wait([future])
                self._take(build, future)

    def _take(self, build: _Build, future: Future[dict[str, Any]]) -> None:
        error = future.exception()
        if isinstance(error, DeviceLost) or (error is not None and not isinstance(error, SweepError)):
            raise error
        if error is not None:
            build.failure = f"{type(error).__name__}: {error}"
        else:
            result = future.result()
            build.results = [*build.results, result]
            self._log.add(build.seat.key, build.folder, build.kind, result)
        self._watcher.done(build.seat.key, build.failure)

    def _call(self, build: _Build) -> MeasureCall:
        seat = build.seat
        threads = seat.device.threads
        return MeasureCall(seat.key, TVM, build.folder, seat.import_dir, _MEASURE, threads, self._threshold)

    def _wait(self, futures: Sequence[Future[Any]]) -> None:
        from concurrent.futures import wait

        while wait(futures, timeout=_POLL_S).not_done:
            self._watcher.tick()


def _folder_of(seat: OverlayTarget, kind: str, records: Sequence[NativeRecord]) -> str:
    """The same for the same schedules, whoever measured them when."""
    traces = sorted((one.workload, json.dumps(json.loads(one.record)[1][0])) for one in records)
    parts = {"lower": seat.lower_dir, "target": seat.target_json, "kind": kind, "traces": [list(one) for one in traces]}
    return stage_folder("build", f"overlay-{fingerprint(parts)[:16]}")
