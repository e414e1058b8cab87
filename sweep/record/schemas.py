"""Columns of every result table, declared once: name, type, unit, meaning. Knows nothing of how rows come about.

The schema is the same for an empty sweep and a full one, so tables of several sweeps always concatenate.
Unit and meaning travel in each field's metadata (`table.schema.field("latency_ms_median").metadata`).
"""

from __future__ import annotations

import pyarrow as pa

from sweep.study.axes import FIRST, axis_of, further_axes
from sweep.study.axis import Axis

__all__ = ["MEASUREMENTS", "RESULTS", "TUNING_CURVES", "TUNING_RECORDS", "TUNING_TASKS", "with_further_axes"]


def _column(name: str, kind: pa.DataType, meaning: str, unit: str = "") -> pa.Field:
    about = {"description": meaning} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, metadata=about)


_IDENTITY = [
    _column("cell_id", pa.string(), "hash of the cell's axes; the same in every sweep"),
    _column("cell_name", pa.string(), "short name of the cell, distinct within its study"),
]


def _of_axis(axis: Axis) -> pa.Field:
    types = {"text": pa.string(), "int8": pa.int8(), "int32": pa.int32()}
    return _column(axis.name, types[axis.type], axis.meaning, axis.unit)


_AXES = [_of_axis(axis_of(name)) for name in FIRST]


def with_further_axes(schema: pa.Schema) -> pa.Schema:
    """With columns for the axes that there are now beside the first ones, behind those."""
    at = schema.get_field_index(_AXES[-1].name) + 1
    for axis in reversed(further_axes()):
        schema = schema.insert(at, _of_axis(axis))
    return schema


def _latency(name: str, meaning: str) -> pa.Field:
    return _column(f"latency_ms_{name}", pa.float64(), f"{meaning}; null unless status is done or tainted", "ms")


RESULTS = pa.schema(
    [
        _column("study", pa.string(), "name of the study"),
        *_IDENTITY,
        *_AXES,
        _column("status", pa.string(), "done, tainted (measured, but disturbed each time), failed, skipped or pending"),
        _column("error_class", pa.string(), "class of the error that ended a failed cell"),
        _column("error", pa.string(), "its message; the reason of a skipped cell; the disturbances of a tainted one"),
        _column("failed_stage", pa.string(), "kind of the stage that failed"),
        _column("attempts", pa.int32(), "attempts of all stages of the cell", "attempts"),
        _latency("mean", "mean of the repeats"),
        _latency("median", "median of the repeats"),
        _latency("min", "least repeat"),
        _latency("max", "largest repeat"),
        _latency("std", "sample deviation (ddof 1) of the repeats"),
        _latency("p90", "90th percentile, from 10 repeats up"),
        _latency("p99", "99th percentile, from 100 repeats up"),
        _latency("ci_low", "lower end of the 95 % interval of the median"),
        _latency("ci_high", "upper end of the 95 % interval of the median"),
        _column("repeats", pa.int32(), "repeats measured", "repeats"),
        _column("is_stable", pa.bool_(), "at least 6 repeats, and half the interval under 5 % of the median"),
        _column("number", pa.int64(), "calls that one repeat is the mean of", "calls"),
        _column("stopped_by", pa.string(), "why no more repeats were taken: interval, repeats, time or disturbed"),
        _column("rounds", pa.int32(), "blocks that its repeats are from, each of a visit to the device", "blocks"),
        _column("blocks", pa.int32(), "blocks measured, those set aside because something disturbed them included"),
        _column("reference_kernel_ms", pa.float64(), "median of the sentinel kernel around the repeats", "ms"),
        _column("baseline", pa.string(), "runtime that cells are compared with; null where there is none"),
        _column(
            "speedup_vs_untuned", pa.float64(), "median of tuner none at the same other axes over this median", "x"
        ),
        _column("ratio_to_baseline", pa.float64(), "this median over the baseline's, same model, batch, device", "x"),
        _column(
            "ratio_to_onnxruntime",
            pa.float64(),
            "this median over ONNX Runtime's, whatever the baseline: kept for notebooks of earlier versions",
            "x",
        ),
        _column("artifact_bytes", pa.int64(), "size of the built library", "bytes"),
        _column("peak_memory_bytes", pa.int64(), "peak memory of the measuring process above idle", "bytes"),
        _column(
            "tuning_trials",
            pa.int64(),
            "trials of the workloads that it was the first to bring in; 0 for tuner none",
            "trials",
        ),
        _column("tuning_valid", pa.int64(), "of those, trials that gave a latency", "trials"),
        _column("tuning_failed", pa.int64(), "of those, trials that failed", "trials"),
        _column("tuning_naive_trials", pa.int64(), "trials that a loop over models would have given it", "trials"),
        _column("tuning_warm_started", pa.int64(), "of its trials, schedules that another sweep had found", "trials"),
        _column(
            "tuning_trials_to_near_best",
            pa.int64(),
            "trials of its pool until the estimate was within 2 % of its last value",
            "trials",
        ),
        _column("tuning_s", pa.float64(), "wall time of its tuning", "s"),
        _column("tuning_search_s", pa.float64(), "of the trials above, time of search", "s"),
        _column("tuning_build_s", pa.float64(), "of the trials above, time of building, all builders together", "s"),
        _column("tuning_measure_s", pa.float64(), "of the trials above, time of measuring", "s"),
        _column("tuning_validate_s", pa.float64(), "time of measuring the best candidates again", "s"),
        _column(
            "validation_gap_median",
            pa.float64(),
            "median over its tasks of the share by which the winner's first time was too low (winner's curse)",
        ),
        _column("records_dir", pa.string(), "folder of the tuning records it was built from; null when untuned"),
        _column("tuned_tasks", pa.int32(), "tasks built from a tuning record", "tasks"),
        _column("untuned_tasks", pa.int32(), "tasks built with the untuned schedule: no valid record", "tasks"),
        _column("build_s", pa.float64(), "wall time of its build", "s"),
        _column("measure_s", pa.float64(), "time of its visits to the device", "s"),
        _column("output_max_abs_diff", pa.float64(), "largest absolute difference from the expected output"),
        _column("output_cosine_distance", pa.float64(), "cosine distance from the expected output"),
        _column("tvm_version", pa.string(), "TVM that built it"),
        _column("runtime_version", pa.string(), "runtime that ran it"),
        _column("target_json", pa.string(), "full target it was built for, as JSON"),
        _column("device_key", pa.string(), "key of the device at the tracker"),
        _column("conditions_json", pa.string(), "host, cores, load and governor at the measurement, as JSON"),
        _column("mlflow_run_id", pa.string(), "MLflow run that mirrors the cell"),
    ]
)

MEASUREMENTS = pa.schema(
    [
        *_IDENTITY,
        *_AXES,
        _column(
            "kind",
            pa.string(),
            "warm-up, repeat, set aside (a repeat of a disturbed block) or compared (of a block that `sweep compare` "
            "has measured later); latencies are made of repeats alone",
        ),
        _column("compared_with", pa.string(), "cell_id of the cell that it was measured in turns with, where compared"),
        _column("block", pa.int32(), "index of the block of repeats, in the order in which they were taken"),
        _column("tainted", pa.bool_(), "whether something disturbed its block"),
        _column("repeat", pa.int32(), "index within its kind, from 0"),
        _column("seconds", pa.float64(), "seconds of one call, mean over `number` calls", "s"),
        _column("number", pa.int64(), "calls the value is the mean of", "calls"),
        _column("t", pa.float64(), "Unix time of the measurement it belongs to", "s"),
    ]
)

TUNING_CURVES = pa.schema(
    [
        *_IDENTITY,
        *_AXES,
        _column("trial", pa.int64(), "trials of the pool so far", "trials"),
        _column("seconds", pa.float64(), "seconds of tuning so far", "s"),
        _column("best_latency_ms", pa.float64(), "sum over the tasks of weight times best trial so far", "ms"),
    ]
)

TUNING_TASKS = pa.schema(
    [
        *_IDENTITY,
        *_AXES,
        _column("records_dir", pa.string(), "folder of its tuning records, relative to the sweep directory"),
        _column("workload", pa.string(), "hash of the tensor program"),
        _column("task", pa.string(), "name of the task"),
        _column("weight", pa.int32(), "how often the model calls it"),
        _column("trivial", pa.bool_(), "whether there is no decision to take, and one trial is enough"),
        _column("reused", pa.bool_(), "whether another model or an earlier run had tuned it"),
        _column("flops", pa.float64(), "operations of one call; 0 where there are none to count", "FLOP"),
        _column("gflops_per_s", pa.float64(), "operations a second at its best time", "GFLOP/s"),
        _column("trials", pa.int64(), "trials over the life of its records", "trials"),
        _column("valid", pa.int64(), "of those, trials that gave a latency; 0: built untuned", "trials"),
        _column("failed", pa.int64(), "trials of this run that failed", "trials"),
        _column("failures_json", pa.string(), "those by class of error, as JSON"),
        _column("best_s", pa.float64(), "median of the chosen schedule, as measured again where it was", "s"),
        _column("screening_s", pa.float64(), "least median of its trials", "s"),
        _column("gap", pa.float64(), "share by which the winner's first time was too low (winner's curse)"),
        _column("share", pa.float64(), "its share (weight times best_s) of the sum over the model's tasks"),
    ]
)

TUNING_RECORDS = pa.schema(
    [
        _column("workload", pa.string(), "hash of the tensor program"),
        _column("task", pa.string(), "name of the task"),
        _column("trial", pa.int64(), "index of the trial in its tuning"),
        _column("tuner", pa.string(), "label of the tuner"),
        _column("device", pa.string(), "device it was measured on"),
        _column("target", pa.string(), "full target, as JSON; of an imported log, as it stands there"),
        _column("t", pa.float64(), "Unix time of the trial", "s"),
        _column("run_secs", pa.list_(pa.float64()), "seconds of each repeat; null where the trial failed", "s"),
        _column("error_class", pa.string(), "class of the error of a failed trial"),
        _column("error", pa.string(), "its message"),
        _column("build_s", pa.float64(), "wall time of building the candidate", "s"),
        _column("measure_s", pa.float64(), "wall time of measuring the candidate", "s"),
        _column("trace_hash", pa.string(), "hash of the schedule trace, or of an imported configuration"),
        _column("design", pa.int32(), "index of the design (skeleton of the schedule) it is a point of"),
        _column(
            "record",
            pa.int64(),
            "its line, from 0, in database_tuning_record.json, or in `log` where it is imported; null for a failure",
        ),
        _column("origin", pa.string(), "search, warm start (from another sweep), or relative (of its family)"),
        _column("validated_s", pa.float64(), "median when it was last measured again among the best", "s"),
        _column("log", pa.string(), "file the record comes from, relative to the sweep directory"),
    ]
)
