"""Reports a run to Prometheus by way of Ray: an observer that counts.

Ray collects it from this process every 10 s, puts `ray_` before each name, and serves it beside its own metrics, on
loopback where Ray is embedded. It takes the packages of `ray[default]`; without them nothing is served, and nothing
fails. The sum of a histogram is Ray's guess, from the middles of its buckets: seconds have a counter too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from sweep.planning.kinds import place_of
from sweep.planning.results.stage_result import StageResult
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stage import Plan, Stage
from sweep.planning.stage_kind import Place
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.sweep_outcome import cell_outcome

__all__ = ["RayMetrics", "metrics_url"]

_SECONDS = [0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0]
"""Bounds of the histogram of stages: an import takes one, a tuner hours."""


def metrics_url() -> str | None:
    """Where this node's metrics are served; None where they are not."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    for node in ray.nodes():
        if node["NodeID"] == here and node.get("MetricsExportPort", 0) > 0:
            return f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    return None


class RayMetrics:
    """An observer of a run. Ray must be up when it is told the first thing, not before."""

    def __init__(self, plan: Plan, ledger: Ledger, say: Callable[[str], None] = lambda text: None) -> None:
        """`say` is told where the metrics are."""
        self._plan, self._ledger, self._say = plan, ledger, say
        self._series: _Series | None = None
        self._running: Counter[str] = Counter()
        self._measuring: Counter[str] = Counter()
        self._tuned: dict[str, tuple[int, float]] = {}
        """Tune stage -> trials counted so far, and the share of time in which its device worked."""

    def attempt_started(self, stage: Stage, attempt: int) -> None:
        self._running[stage.kind] += 1
        self._told()
        if place_of(stage) is Place.DEVICE:
            self._measuring[stage.options["device"]] += 1
            self._tell_device(stage.options["device"])

    def stage_done(self, stage: Stage, result: StageResult, seconds: float) -> None:
        series = self._told()
        series.stages.inc(1, series.tags(kind=stage.kind))
        series.seconds.inc(seconds, series.tags(kind=stage.kind))
        series.durations.observe(seconds, series.tags(kind=stage.kind))
        if isinstance(result, TuneResult):
            self._count_trials(stage, result.trials or 0)
        self._over(stage)

    def attempt_failed(self, stage: Stage, error_class: str, error: str, will_retry: bool) -> None:
        series = self._told()
        series.failures.inc(1, series.tags(kind=stage.kind, error_class=error_class))
        self._over(stage)

    def progress(self, stage: Stage, info: Mapping[str, Any]) -> None:
        if "trials" not in info:  # of a measurement, whose result is counted
            return
        busy = float((info.get("busy") or {}).get("device", 0.0))
        self._tuned[stage.id] = (self._tuned.get(stage.id, (0, 0.0))[0], busy)
        self._count_trials(stage, int(info.get("trials") or 0))
        self._tell_device(str(stage.options["device"]))

    def cell_settled(self, cell: int, from_earlier_run: bool) -> None:
        outcome = cell_outcome(self._plan, self._plan.cells[cell], self._ledger.state)
        series = self._told()
        status = "skipped" if outcome.status == "pending" else outcome.status
        series.cells.inc(1, series.tags(status=status, device=outcome.cell.device))

    def tick(self, now: float) -> None: ...

    # -- what is counted ----------------------------------------------------------------------------------------------

    def _told(self) -> _Series:
        """The series, made when Ray is there; the gauge of attempts under way is brought up to date with each call."""
        if self._series is None:
            self._series = _Series(self._plan.study_name)
            self._series.planned.set(self._plan.cells_with_work, self._series.tags())
            url = metrics_url()
            if url is not None:
                self._say(f"metrics: {url}")
        for kind, count in self._running.items():
            self._series.running.set(count, self._series.tags(kind=kind))
        return self._series

    def _over(self, stage: Stage) -> None:
        self._running[stage.kind] -= 1
        self._told()
        if place_of(stage) is not Place.COMPILE:
            device = str(stage.options["device"])
            self._measuring[device] -= place_of(stage) is Place.DEVICE
            self._tuned.pop(stage.id, None)
            self._tell_device(device)

    def _count_trials(self, stage: Stage, trials: int) -> None:
        before, busy = self._tuned.get(stage.id, (0, 0.0))
        if trials > before:
            series = self._told()
            series.trials.inc(trials - before, series.tags(tuner=stage.hints["tuner"], device=stage.options["device"]))
            self._tuned[stage.id] = (trials, busy)

    def _tell_device(self, device: str) -> None:
        """1 while it measures a cell, else the share of the last seconds in which it measured candidates."""
        shares = [busy for stage_id, (_, busy) in self._tuned.items() if self._device_of(stage_id) == device]
        busy = 1.0 if self._measuring[device] > 0 else max(shares, default=0.0)
        series = self._told()
        series.devices.set(busy, series.tags(device=device))

    def _device_of(self, stage_id: str) -> str:
        return str(self._plan.stages[stage_id].options["device"])


class _Series:
    """The metrics, by what they count."""

    def __init__(self, study: str) -> None:
        from ray.util.metrics import Counter as Count
        from ray.util.metrics import Gauge, Histogram

        def keys(*names: str) -> dict[str, Any]:
            return {"tag_keys": ("study", *names)}

        self._study = study
        self.planned = Gauge("sweep_cells", "Cells of the run.", **keys())
        self.cells = Count(
            "sweep_cells_settled_total", "Cells that have their last status.", **keys("status", "device")
        )
        self.stages = Count("sweep_stages_done_total", "Stages that ended well.", **keys("kind"))
        self.seconds = Count("sweep_stage_seconds_total", "What they took.", **keys("kind"))
        self.durations = Histogram("sweep_stage_duration_s", "How long.", boundaries=_SECONDS, **keys("kind"))
        self.failures = Count("sweep_attempts_failed_total", "Attempts that failed.", **keys("kind", "error_class"))
        self.running = Gauge("sweep_attempts_running", "Attempts under way.", **keys("kind"))
        self.trials = Count("sweep_trials_total", "Candidates that tuners have measured.", **keys("tuner", "device"))
        self.devices = Gauge("sweep_device_busy", "Share of time in which a device measures.", **keys("device"))

    def tags(self, **tags: str) -> dict[str, str]:
        """Tags of one value."""
        return {"study": self._study, **tags}
