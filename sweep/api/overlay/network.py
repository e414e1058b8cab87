"""The network built from the merged log, and from each device's own best, measured in turns on every device."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.analysis.comparing.pairs import FIRST_LOOK
from sweep.analysis.overlay.metric import Judgement
from sweep.analysis.overlay.network import NetworkOnDevice, NetworkTimes
from sweep.analysis.overlay.overlay import Overlay
from sweep.analysis.taint import summed_up
from sweep.api.overlay.network_log import NetworkLog
from sweep.api.overlay.overlay import MERGED
from sweep.api.overlay.overlay_targets import OverlayTarget, check_network
from sweep.api.overlay.schedules import Schedules
from sweep.api.overlay.stage_runner import Failure, StageRunner, Work
from sweep.errors import was_lost
from sweep.files.sweep_dir import stage_folder
from sweep.planning.fingerprint import fingerprint
from sweep.planning.kinds import kind_of
from sweep.planning.results.compiling import BuildResult
from sweep.planning.results.disturbance import Disturbance
from sweep.planning.results.overlay_results import NetworkBlocks
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Stage
from sweep.planning.stage_id import stage_of
from sweep.planning.stages import overlay
from sweep.study.spec import TVM, Measure
from sweep.toolchain.native_log import NativeRecord, write_log

__all__ = ["NetworkWork"]

OWN = "own"
_ROUNDS = FIRST_LOOK
"""Each one block of either build: as many pairs as a first verdict takes."""
_MEASURE = {**Measure(repeat=10, max_repeat=10, rounds=1, min_repeat_ms=20).options, "retakes": 1}
"""One block a visit: the rounds are the stage's, so that the two builds alternate."""


@dataclass(slots=True)
class _Build:
    """One build for one device."""

    target: OverlayTarget
    role: str
    """merged or own."""
    name: str
    """Of what it is made of, in the log of networks: the folder where an earlier version had the artifact."""
    stage: Stage
    untuned_tasks: int | None = None
    failure: str | None = None
    results: list[Mapping[str, Any]] = field(default_factory=list)
    """Of each round, as a measure stage has it."""

    @property
    def missing(self) -> int:
        """Rounds that were not measured."""
        return max(0, _ROUNDS - len(self.results))

    def times(self) -> NetworkTimes:
        return NetworkTimes(
            blocks=[[float(value) for value in block["run_secs"]] for block in self.results],
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
        self,
        sweep_dir: Path,
        out: Path,
        sweep_stages: Mapping[str, Stage],
        runner: StageRunner,
        tolerance: float | None,
    ) -> None:
        """out: where the overlay's files go, the log of networks among them. sweep_stages: of the sweep, by id.

        tolerance: of the networks' precision.
        """
        self._sweep_dir, self._sweep_stages, self._runner = sweep_dir, sweep_stages, runner
        self._threshold = tolerance
        self._log = NetworkLog(out)
        self._builds: list[_Build] = []

    def run(self, found: Overlay, targets: Sequence[OverlayTarget], schedules: Schedules) -> list[NetworkOnDevice]:
        """Measure what was not measured before. A build or a measurement that fails is told and ends nothing.

        Raises:
            StudyError: the sweep's files of the network are gone.
            DeviceLost: a device stays away; what was measured is kept.
        """
        for target in targets:
            check_network(self._sweep_dir, target)
        self._builds = self._planned(found.layers, targets, schedules)
        self._build()
        self._measure()
        networks = []
        for column, target in enumerate(targets):
            estimate_s, best_s = found.merged.estimate_s[column], found.merged.best_s[column]
            merged, own = (self._of(target.key, role).times() for role in (MERGED, OWN))
            networks.append(NetworkOnDevice(target.key, merged, own, float(estimate_s), float(best_s)))
        return networks

    def _planned(
        self, layers: Sequence[Judgement], targets: Sequence[OverlayTarget], schedules: Schedules
    ) -> list[_Build]:
        builds = []
        merged = schedules.chosen(layers)
        for column, target in enumerate(targets):
            for role, records in ((MERGED, merged), (OWN, schedules.fastest(layers, column))):
                build = self._planned_build(target, role, records)
                build.results = self._log.of(target.key, build.name)
                builds.append(build)
        return builds

    def _planned_build(self, target: OverlayTarget, role: str, records: Sequence[NativeRecord]) -> _Build:
        digest = _digest(target, role, records)
        log = self._sweep_dir / stage_folder("overlay_log", digest)  # where all nodes of a cluster find it
        write_log(records, log)
        draft = overlay.build(
            target.target,
            digest,
            lower=target.lower_id,
            label=f"build {role} log for {target.key}",
            hints={"log": str(log), "linker": target.device.linker},
        )
        return _Build(target, role, stage_folder("build", f"overlay-{digest}"), stage_of(kind_of(overlay.BUILD), draft))

    def _build(self) -> None:
        """Build what is to be measured, and find out how many layers have no schedule."""
        wanted = []
        for build in self._builds:
            earlier = self._sweep_dir / build.name / "metadata.json"
            if not build.missing and earlier.is_file():
                build.untuned_tasks = int(json.loads(earlier.read_text(encoding="utf-8"))["untuned_tasks"])
            else:
                wanted.append(build)

        def keep(stage: Stage, result: StageResult) -> list[str]:
            assert isinstance(result, BuildResult)
            for build in wanted:
                if build.stage.id == stage.id:
                    build.untuned_tasks = result.untuned_tasks
            return []

        work = [Work(build.stage, build.target.key, self._below(build.target.lower_id)) for build in wanted]
        self._note(self._runner.perform("builds of the network", work, keep))

    def _measure(self) -> None:
        work = []
        for target in dict.fromkeys(build.target.key for build in self._builds):
            merged, own = self._of(target, MERGED), self._of(target, OWN)
            rounds = {build.role: build.missing for build in (merged, own) if build.failure is None}
            if any(rounds.values()):
                work.append(self._work(merged.target, rounds))
        failures = self._runner.perform("measurements of the network", work, self._keep)
        for each in work:
            if each.stage.id in failures:
                for role in (MERGED, OWN):
                    build = self._of(each.device, role)
                    build.failure = build.failure or str(failures[each.stage.id])
        _raise_lost(failures)

    def _work(self, target: OverlayTarget, rounds: Mapping[str, int]) -> Work:
        builds = {role: self._of(target.key, role).stage for role in rounds}
        options = {
            "runtime": TVM,
            "device": target.key,
            "device_target": dict(target.device.target),
            "threads": target.device.threads,
            "measure": _MEASURE,
            "threshold": self._threshold,
            "rounds": dict(rounds),
        }
        ids = {"import": target.import_id, **{role: stage.id for role, stage in builds.items()}}
        draft = overlay.network(options, ids, f"measure builds of the network on {target.key}")
        below = (*self._below(target.lower_id), *builds.values())
        return Work(stage_of(kind_of(overlay.NETWORK), draft), target.key, below, units=sum(rounds.values()))

    def _below(self, stage_id: str) -> list[Stage]:
        """A stage of the sweep after all that it rests on."""
        stage = self._sweep_stages[stage_id]
        return [*(below for need in stage.inputs for below in self._below(need)), stage]

    def _keep(self, stage: Stage, result: StageResult) -> list[str]:
        """Log each block, and say which build failed."""
        assert isinstance(result, NetworkBlocks)
        key = str(stage.options["device"])
        for role, blocks in ((MERGED, result.merged), (OWN, result.own)):
            build = self._of(key, role)
            for block in blocks[: build.missing]:
                payload = block.to_json()
                build.results = [*build.results, payload]
                self._log.add(key, build.name, role, payload)
            build.failure = result.failures.get(role, build.failure)
        return [f"{role}: {reason}" for role, reason in result.failures.items()]

    def _note(self, failures: Mapping[str, Failure]) -> None:
        for build in self._builds:
            if build.stage.id in failures:
                build.failure = str(failures[build.stage.id])
        _raise_lost(failures)

    def _of(self, key: str, role: str) -> _Build:
        return next(build for build in self._builds if build.target.key == key and build.role == role)


def _raise_lost(failures: Mapping[str, Failure]) -> None:
    for failure in failures.values():
        if was_lost(failure.error_class, None):
            raise failure.as_error()


def _digest(target: OverlayTarget, role: str, records: Sequence[NativeRecord]) -> str:
    """The same for the same schedules, whoever measured them when."""
    traces = sorted((record.workload, json.dumps(json.loads(record.record)[1][0])) for record in records)
    parts = {
        "lower": target.lower_dir,
        "target": target.target_json,
        "kind": role,
        "traces": [list(trace) for trace in traces],
    }
    return fingerprint(parts)
