"""Compares a network built from the merged log with the same network built from each device's own best.

Both run in turns on the device, so pairs of blocks decide the verdict. The estimates are sums over layers; the work
between layers, and the caches that one layer leaves to the next, are in the measured times alone.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from sweep.analysis.comparing.pairs import PairedComparison, compare_pairs
from sweep.analysis.formatting import as_latency, as_percent, plural
from sweep.analysis.statistics import LatencySummary, summarise

__all__ = ["COLUMNS", "NetworkOnDevice", "NetworkTimes", "write_networks"]

COLUMNS = (
    "device",
    "merged_ms",
    "merged_ci_low_ms",
    "merged_ci_high_ms",
    "own_ms",
    "own_ci_low_ms",
    "own_ci_high_ms",
    "regret",
    "regret_ci_low",
    "regret_ci_high",
    "verdict",
    "merged_estimate_ms",
    "own_estimate_ms",
    "merged_untuned_tasks",
    "own_untuned_tasks",
    "merged_output_max_abs_diff",
    "own_output_max_abs_diff",
    "disturbed",
    "reason",
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class NetworkTimes:
    """The repeats of one build on one device, round by round, or the reason why there are none."""

    blocks: Sequence[Sequence[float]] = ()
    """Seconds of the repeats of each round, as far as they could be taken."""
    untuned_tasks: int | None = None
    """Of its layers, those that the log has no schedule for."""
    output_max_abs_diff: float | None = None
    """The largest difference of its output from the expected output."""
    disturbed: Sequence[str] = ()
    """Reasons why blocks that count were disturbed."""
    failure: str | None = None
    """Why there are no times, or not all."""

    @property
    def summary(self) -> LatencySummary | None:
        """Of all rounds; None where there are no times."""
        return summarise(self.blocks) if self.blocks else None


@dataclass(frozen=True, slots=True)
class NetworkOnDevice:
    """The merged build and the device's own build on one device: their times and estimates."""

    device: str
    merged: NetworkTimes
    own: NetworkTimes
    merged_estimate_s: float
    own_estimate_s: float

    @property
    def compared(self) -> PairedComparison | None:
        """The merged build over its own; None with too few pairs of blocks."""
        pairs = list(zip(self.merged.blocks, self.own.blocks, strict=False))
        return compare_pairs(pairs) if pairs else None

    @property
    def regret(self) -> float | None:
        """How much longer the merged build takes, relative to its own best; below 0 where it is faster."""
        merged, own, compared = self.merged.summary, self.own.summary, self.compared
        if merged is None or own is None:
            return None
        return (merged.median / own.median if compared is None else compared.found.ratio.value) - 1.0

    @property
    def reason(self) -> str | None:
        """Why there is no regret, or one of few rounds."""
        told = [f"{name}: {one.failure}" for name, one in (("merged", self.merged), ("own", self.own)) if one.failure]
        return "; ".join(told) or None

    @property
    def disturbed(self) -> str | None:
        """What went on beside either build."""
        sides = (("merged", self.merged.disturbed), ("own", self.own.disturbed))
        return "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in sides if reasons) or None

    def as_row(self) -> Row:
        """Keys as COLUMNS; None for what is not known."""
        compared = self.compared
        ratio = None if compared is None else compared.found.ratio
        low, high = (None, None) if ratio is None else (ratio.ci_low, ratio.ci_high)
        return {
            "device": self.device,
            **_times("merged", self.merged),
            **_times("own", self.own),
            "regret": self.regret,
            "regret_ci_low": None if low is None else low - 1.0,
            "regret_ci_high": None if high is None else high - 1.0,
            "verdict": None if compared is None else str(compared.found.verdict),
            "merged_estimate_ms": self.merged_estimate_s * 1e3,
            "own_estimate_ms": self.own_estimate_s * 1e3,
            "disturbed": self.disturbed,
            "reason": self.reason,
        }

    def as_text(self) -> str:
        """One line."""
        merged, own, regret = self.merged.summary, self.own.summary, self.regret
        if merged is None or own is None or regret is None:
            return f"{self.device}: not measured: {self.reason}"
        row = self.as_row()
        more = f"{as_percent(abs(regret))} {'more' if regret >= 0 else 'less'}"
        interval = ""
        if row["regret_ci_low"] is not None:
            low, high = row["regret_ci_low"] * 100, row["regret_ci_high"] * 100
            interval = f" [{low:+.1f}, {high:+.1f} %], {row['verdict']}"
        text = f"{self.device}: {as_latency(merged)}; its own best {as_latency(own)}: {more}{interval}"
        untuned = f"; {plural(self.merged.untuned_tasks, 'layer')} untuned" if self.merged.untuned_tasks else ""
        disturbed = "; disturbed" if self.disturbed else ""
        return text + untuned + disturbed + (f"; {self.reason}" if self.reason else "")


def write_networks(networks: Sequence[NetworkOnDevice], stream: TextIO) -> None:
    """Write COLUMNS, a row a device."""
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: row[name] for name in COLUMNS} for row in (one.as_row() for one in networks))


def _times(name: str, times: NetworkTimes) -> Mapping[str, Any]:
    summary = times.summary
    found = (None, None, None) if summary is None else (summary.median, summary.ci_low, summary.ci_high)
    median, low, high = (None if value is None else value * 1e3 for value in found)
    return {
        f"{name}_ms": median,
        f"{name}_ci_low_ms": low,
        f"{name}_ci_high_ms": high,
        f"{name}_untuned_tasks": times.untuned_tasks,
        f"{name}_output_max_abs_diff": times.output_max_abs_diff,
    }
