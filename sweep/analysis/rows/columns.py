"""The table of result columns: what is recorded of a cell, each quantity in one row.

Parquet's schema, MLflow's metrics and the page's columns are made from it. A further quantity is one more row, or a
`Column` that another package offers under the entry-point group `sweep.columns`. Names are an interface: notebooks read
them, so none is ever renamed.
"""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from sweep.analysis.formatting import as_bytes, as_duration
from sweep.analysis.left_out_passes import left_out_passes
from sweep.analysis.rows.column import CellFacts, Column, Detail
from sweep.analysis.rows.column_groups.complexity_columns import COMPLEXITY_COLUMNS
from sweep.analysis.rows.column_groups.counter_columns import COUNTER_COLUMNS
from sweep.analysis.rows.column_groups.layout_columns import LAYOUT_COLUMNS
from sweep.analysis.rows.column_groups.mac_columns import MAC_COLUMNS
from sweep.analysis.rows.column_groups.memory_columns import MEMORY_COLUMNS
from sweep.analysis.rows.column_groups.quality_columns import QUALITY_COLUMNS
from sweep.analysis.rows.column_groups.quantisation_columns import QUANTISATION_COLUMNS
from sweep.analysis.rows.column_groups.variant_columns import VARIANT_COLUMNS
from sweep.analysis.rows.objective_fit import OBJECTIVE_COLUMNS, fit_of
from sweep.analysis.rows.status_columns import ADJUSTED_COLUMNS, FINAL_COLUMNS, STATUS_COLUMNS
from sweep.analysis.rows.tuning_quantities import TUNING_COLUMNS
from sweep.planning.results.compiling import ImportResult
from sweep.registry import Registry

__all__ = ["COLUMNS", "IDENTITY", "LATENCY", "metric_columns", "result_columns", "result_row"]

LATENCY = "latency_ms_median"
"""The column that cells are ranked by, and the metric of that name."""


def _latency(part: str, meaning: str, metric: str = "") -> Column:
    def value(facts: CellFacts) -> float | None:
        seconds = None if facts.latency is None else getattr(facts.latency, part)
        return None if seconds is None else seconds * 1e3

    about = f"{meaning}; null unless status is done or tainted"
    return Column(f"latency_ms_{part}", "float64", about, "ms", value, metric)


def _spread(part: str, meaning: str) -> Column:
    # A name with a slash makes a section in MLflow's UI, and sections come after the names without one
    return _latency(part, meaning, f"spread/latency_ms_{part}")


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, default=str)


def _kernel_ms(facts: CellFacts) -> float | None:
    times = [*facts.measure.reference_before_s, *facts.measure.reference_after_s]
    return median(times) * 1e3 if times else None


IDENTITY = (
    Column("study", "text", "name of the study", value=lambda facts: facts.study),
    Column(
        "cell_id", "text", "hash of the cell's axes; the same in every sweep", value=lambda facts: facts.outcome.cell.id
    ),
    Column(
        "cell_name",
        "text",
        "short name of the cell, distinct within its study",
        value=lambda facts: facts.outcome.cell.name,
    ),
)
"""Columns that come before the axes."""

_LATENCIES = (
    _spread("mean", "mean of the repeats"),
    _latency("median", "median of the repeats", LATENCY),
    _spread("min", "least repeat"),
    _spread("max", "largest repeat"),
    _spread("std", "sample deviation (ddof 1) of the repeats"),
    _latency("p90", "90th percentile, from 10 repeats up"),
    _latency("p99", "99th percentile, from 100 repeats up"),
    _spread("ci_low", "lower end of the 95 % interval of the median"),
    _spread("ci_high", "upper end of the 95 % interval of the median"),
    Column(
        "repeats",
        "int32",
        "repeats measured",
        "repeats",
        lambda facts: None if facts.latency is None else facts.latency.repeats,
        detail=Detail("repeats", rank=80),
    ),
    Column(
        "is_stable",
        "bool",
        "at least 6 repeats, and half the interval under 5 % of the median",
        value=lambda facts: None if facts.latency is None else facts.latency.is_stable,
    ),
    Column(
        "latency_bound",
        "text",
        "exact; upper where only what slows disturbed it, and it takes at most this; null where it cannot be read, or "
        "its outputs were not compared",
        value=lambda facts: facts.bound,
    ),
    *ADJUSTED_COLUMNS,
    Column("number", "int64", "calls that one repeat is the mean of", "calls", lambda facts: facts.measure.number),
    Column(
        "stopped_by",
        "text",
        "why no more repeats were taken: interval, repeats, time or disturbed",
        value=lambda facts: facts.measure.stopped_by,
    ),
    Column(
        "rounds",
        "int32",
        "blocks that its repeats are from, each of a visit to the device",
        "blocks",
        lambda facts: facts.blocks if facts.measured else None,
    ),
    Column(
        "blocks",
        "int32",
        "blocks measured, those set aside because something disturbed them included",
        value=lambda facts: facts.blocks + len(facts.measure.set_aside) if facts.measured else None,
    ),
    Column("reference_kernel_ms", "float64", "median of the sentinel kernel around the repeats", "ms", _kernel_ms),
)

_COMPARED = (
    Column(
        "baseline",
        "text",
        "runtime that cells are compared with; null where there is none",
        value=lambda facts: facts.baseline,
    ),
    Column(
        "speedup_vs_untuned",
        "float64",
        "median of tuner none at the same other axes over this median; an end where speedup_bound is not exact",
        "x",
        metric="speedup_vs_untuned",
    ),
    Column("speedup_bound", "text", "what speedup_vs_untuned is: exact, at_least or at_most"),
    Column(
        "ratio_to_baseline",
        "float64",
        "this median over the baseline's fastest, of whatever precision and quality, same model, batch, device; an end "
        "where ratio_bound is not exact",
        "x",
        metric="ratio_to_baseline",
    ),
    Column("ratio_bound", "text", "what ratio_to_baseline is: exact, at_least or at_most"),
    Column(
        "ratio_to_baseline_same_precision",
        "float64",
        "the same over the baseline's fastest in this precision; null where it has none",
        "x",
    ),
    Column("ratio_same_precision_bound", "text", "what ratio_to_baseline_same_precision is"),
    Column(
        "ratio_to_onnxruntime",
        "float64",
        "this median over ONNX Runtime's, whatever the baseline: kept for notebooks of earlier versions",
        "x",
        metric="ratio_to_onnxruntime",
    ),
)

_SIZES = (
    Column(
        "library",
        "text",
        "file of the built library, from the sweep directory; null where nothing was built",
        value=lambda facts: (
            f"{facts.built.folder()}/{facts.built.lib}" if facts.built.dir and facts.built.lib else None
        ),
    ),
    Column(
        "artifact_bytes",
        "int64",
        "size of the built library",
        "bytes",
        lambda facts: facts.built.artifact_bytes,
        "size/artifact_bytes",
        detail=Detail("size", as_bytes, rank=50, is_on_paper=True),
    ),
)

_WORK = (
    Column(
        "build_s",
        "float64",
        "wall time of its build",
        "s",
        lambda facts: facts.built.build_s,
        "time/build_s",
        detail=Detail("build", as_duration, rank=40),
    ),
    Column(
        "measure_s",
        "float64",
        "time of its visits to the device",
        "s",
        lambda facts: facts.outcome.stage_seconds.get("measure"),
    ),
    Column(
        "output_check",
        "text",
        "compared with the expected outputs, or not compared, and then the cell leads nothing",
        value=lambda facts: facts.output_check,
    ),
    Column(
        "output_check_reason",
        "text",
        "why its outputs were not compared",
        value=lambda facts: facts.unchecked,
        detail=Detail("not compared", about="why its outputs were compared with nothing", rank=75),
    ),
    Column(
        "output_max_abs_diff",
        "float64",
        "largest absolute difference from the expected output",
        value=lambda facts: facts.measure.output_max_abs_diff,
        metric="output/max_abs_diff",
        detail=Detail("output diff", lambda value: f"{value:.1e}", "largest difference from the expected output", 70),
    ),
    Column(
        "output_cosine_distance",
        "float64",
        "cosine distance from the expected output",
        value=lambda facts: facts.measure.output_cosine_distance,
        metric="output/cosine_distance",
    ),
    Column(
        "passes_left_out",
        "text",
        "passes of its opt level that refuse the network and were left out, with the reasons",
        value=lambda facts: left_out_passes(facts.outcome),
        detail=Detail("left out", rank=76),
    ),
    Column(
        "weights",
        "text",
        "random, or the name of trained ones, where its file has none; then its outputs mean nothing",
        value=lambda facts: (facts.outcome.result(ImportResult) or ImportResult()).weights,
        detail=Detail("weights", rank=77),
    ),
    Column("tvm_version", "text", "TVM that built it", value=lambda facts: facts.built.tvm_version),
    Column("runtime_version", "text", "runtime that ran it", value=lambda facts: facts.measure.runtime_version),
    Column(
        "target_json",
        "text",
        "full target it was built for, as JSON",
        value=lambda facts: _as_text(facts.built.target_json),
    ),
    Column("device_key", "text", "key of the device at the tracker", value=lambda facts: facts.outcome.cell.device),
    Column(
        "conditions_json",
        "text",
        "host, cores, load and governor at the measurement, as JSON",
        value=lambda facts: _as_text(facts.measured.conditions if facts.measured else None),
    ),
    Column("mlflow_run_id", "text", "MLflow run that mirrors the cell", value=lambda facts: facts.mlflow_run_id),
)

COLUMNS: Registry[Column] = Registry(
    "result column",
    "sweep.columns",
    {
        column.name: column
        for columns in (
            *(STATUS_COLUMNS, _LATENCIES, _COMPARED, FINAL_COLUMNS, OBJECTIVE_COLUMNS, LAYOUT_COLUMNS),
            *(_SIZES, MEMORY_COLUMNS, QUALITY_COLUMNS, COUNTER_COLUMNS, COMPLEXITY_COLUMNS, MAC_COLUMNS),
            *(QUANTISATION_COLUMNS, VARIANT_COLUMNS, TUNING_COLUMNS, _WORK),
        )
        for column in columns
    },
)
"""Columns that come after the axes, in this order."""


def result_columns() -> tuple[Column, ...]:
    """All that come after the axes: the shipped ones, then the others."""
    return COLUMNS.all()


def metric_columns() -> tuple[Column, ...]:
    """Those that MLflow has as metrics."""
    return tuple(column for column in COLUMNS.all() if column.metric)


def result_row(facts: CellFacts) -> dict[str, Any]:
    """A row of results.parquet, by column, but for what takes other cells to know, which is None."""
    identity = {column.name: column.of(facts) for column in IDENTITY}
    row = identity | facts.outcome.axes | {column.name: column.of(facts) for column in COLUMNS.all()}
    if facts.objective is not None:  # it may limit any column
        row["meets_objective"] = fit_of(row, facts.objective).meets
    return row
