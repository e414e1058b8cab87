"""Measures the candidates of an overlay, layer by layer, until nothing is missing.

What is missing is planned as stages: some candidates of one layer on one device, or a contest of several. The result of
each is in the ledger and then in the sweep's records before the next one is looked at, so a kill loses what was under
way and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sweep.analysis.overlay.metric import Judgement
from sweep.analysis.overlay.missing import contest, gaps
from sweep.api.overlay.overlay_targets import OverlayTarget
from sweep.api.overlay.schedules import Schedules
from sweep.api.overlay.stage_runner import Failure, StageRunner, Work
from sweep.planning.kinds import kind_of
from sweep.planning.results.overlay_results import CandidateTimes
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Stage
from sweep.planning.stage_id import stage_of
from sweep.planning.stages import overlay
from sweep.toolchain.tuning.records.overlay_records import Configuration, OverlayRecords, folder_of

__all__ = ["LayerWork"]

_PASSES = 6
"""Of gaps, then contests. Each measures what those before have brought to the top; three are the rule."""
_AT_MOST = 8
"""Candidates of one stage: what a kill may lose of a layer on a device, and what is built for it side by side."""

Look = Callable[[], tuple[Sequence[Judgement], Schedules]]


class LayerWork:
    """The measurements of one overlay's layers."""

    def __init__(self, sweep_dir: Path, targets: Sequence[OverlayTarget], runner: StageRunner) -> None:
        self._targets = {target.key: target for target in targets}
        self._runner = runner
        self._stores = {
            target.key: OverlayRecords(
                sweep_dir / folder_of(target.target_hash, target.key), target.key, target.target_json
            )
            for target in targets
        }
        self._configurations: dict[tuple[str, str], Configuration] = {}
        """By workload and trace."""
        self._given_up: set[tuple[str, str]] = set()
        """Workload and device of contests that could not be held as they were wanted."""

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
        work = [each for layer in layers for each in self._missing(layer, schedules)]
        _raise_any(self._runner.perform("candidates", work, self._keep_times))
        return bool(work)

    def _missing(self, layer: Judgement, schedules: Schedules) -> list[Work]:
        """A stage for each few candidates of a layer that lack a time on a device, devices in turn."""
        rows: dict[str, list[Configuration]] = {}
        for gap in gaps(layer.times):
            configuration = self._configuration(layer, gap.row, schedules)
            if configuration is not None:
                rows.setdefault(layer.times.devices[gap.column], []).append(configuration)
        work = []
        for key, configurations in rows.items():
            best_s = float(layer.best_s[list(layer.times.devices).index(key)])
            for begin in range(0, len(configurations), _AT_MOST):
                few = configurations[begin : begin + _AT_MOST]
                work.append(self._work(key, layer, few, in_turns=False, best_s=best_s))
        return work

    def _keep_times(self, stage: Stage, result: StageResult) -> list[str]:
        """Record what came of candidates that were timed alone."""
        workload, store = str(stage.options["workload"]), self._stores[str(stage.options["device"])]
        failures = []
        for timed in _times_of(result).candidates:
            configuration = self._configurations[workload, timed.trace_hash]
            if store.has(configuration):  # recorded before a kill, or by an earlier version
                continue
            if timed.run_secs is not None:
                store.add(configuration, timed.run_secs, timed.measure_s or 0.0, timed.build_s or 0.0)
            else:
                failures.append(f"{timed.error_class}: {timed.error}")
                store.add_failure(configuration, str(timed.error_class), str(timed.error), timed.build_s)
        return failures

    def _hold_contests(self, layers: Sequence[Judgement], schedules: Schedules) -> bool:
        """Measure in turns those that decide; whether there was anything."""
        work = [each for layer in layers for each in self._contests(layer, schedules)]
        _raise_any(self._runner.perform("contests", work, self._keep_comparison))
        return bool(work)

    def _contests(self, layer: Judgement, schedules: Schedules) -> list[Work]:
        workload, devices = layer.times.workload, layer.times.devices
        wanted = contest(layer, [self._stores[key].compared(workload) for key in devices])
        if wanted is None:
            return []
        rows = [self._configuration(layer, row, schedules) for row in wanted.rows]
        configurations = [configuration for configuration in rows if configuration is not None]
        if len(configurations) < 2:
            return []
        keys = [devices[column] for column in wanted.columns if (workload, devices[column]) not in self._given_up]
        return [self._work(key, layer, configurations, in_turns=True) for key in keys]

    def _keep_comparison(self, stage: Stage, result: StageResult) -> list[str]:
        """Record what took turns."""
        workload, device = str(stage.options["workload"]), str(stage.options["device"])
        compared = _times_of(result).candidates
        traces = frozenset(timed.trace_hash for timed in compared)
        if len(compared) < len(stage.options["candidates"]):  # each has a time, and keeps it
            self._given_up.add((workload, device))
        if len(compared) > 1 and traces not in self._stores[device].compared(workload):
            contenders = [self._configurations[workload, timed.trace_hash] for timed in compared]
            seconds = sum(timed.measure_s or 0.0 for timed in compared)
            self._stores[device].add_comparison(contenders, [timed.run_secs or () for timed in compared], seconds)
        return []

    def _work(
        self,
        key: str,
        layer: Judgement,
        configurations: Sequence[Configuration],
        *,
        in_turns: bool,
        best_s: float = math.nan,
    ) -> Work:
        target = self._targets[key]
        traces = [configuration.trace_hash for configuration in configurations]
        what = "compare" if in_turns else "time"
        draft = overlay.layer(
            key,
            target.target,
            layer.times.workload,
            traces,
            in_turns=in_turns,
            label=f"{what} {len(traces)} of {layer.times.layer} on {key}",
            hints={
                "records": {each.trace_hash: [each.native.workload, each.native.record] for each in configurations},
                "linker": target.device.linker,
                "best_s": best_s if math.isfinite(best_s) else None,
            },
        )
        return Work(stage_of(kind_of(overlay.LAYER), draft), key, units=1 if in_turns else len(traces))

    def _configuration(self, layer: Judgement, row: int, schedules: Schedules) -> Configuration | None:
        """None where nobody has the schedule whole."""
        times = layer.times
        native = schedules.find(times.workload, times.configurations[row])
        if native is None:
            return None
        found = Configuration(times.workload, times.layer, times.configurations[row], native)
        self._configurations[found.workload, found.trace_hash] = found
        return found


def _times_of(result: StageResult) -> CandidateTimes:
    assert isinstance(result, CandidateTimes)
    return result


def _raise_any(failures: Mapping[str, Failure]) -> None:
    for failure in failures.values():
        raise failure.as_error()
