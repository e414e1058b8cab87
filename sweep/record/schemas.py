"""Schemas of the tables: that of results.parquet from the table of columns, the others as declared here.

The schema is the same for an empty sweep and a full one, so tables of several sweeps always concatenate.
Unit and meaning travel in each field's metadata (`table.schema.field("latency_ms_median").metadata`).
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from sweep.analysis.rows.column import Column
from sweep.analysis.rows.columns import IDENTITY, result_columns
from sweep.study.axes import FIRST, axis_of, further_axes
from sweep.study.axis import Axis

__all__ = [
    "MEASUREMENTS",
    "TUNING_CURVES",
    "TUNING_RECORDS",
    "TUNING_TASKS",
    "results_schema",
    "schema_of",
    "with_further_axes",
]


_TYPES: Mapping[str, pa.DataType] = {
    "text": pa.string(),
    "bool": pa.bool_(),
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
}


def _column(name: str, kind: pa.DataType, meaning: str, unit: str = "") -> pa.Field:
    about = {"description": meaning} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, metadata=about)


def _of_axis(axis: Axis) -> pa.Field:
    return _column(axis.name, _TYPES[axis.type], axis.meaning, axis.unit)


def _of_column(column: Column) -> pa.Field:
    return _column(column.name, _TYPES[column.type], column.meaning, column.unit)


_IDENTITY = [_of_column(column) for column in IDENTITY[1:]]
_AXES = [_of_axis(axis_of(name)) for name in FIRST]


def with_further_axes(schema: pa.Schema) -> pa.Schema:
    """With columns for the axes that there are now beside the first ones, behind those."""
    at = schema.get_field_index(_AXES[-1].name) + 1
    for axis in reversed(further_axes()):
        schema = schema.insert(at, _of_axis(axis))
    return schema


def results_schema() -> pa.Schema:
    """Of results.parquet: identity, axes, then the columns that there are now."""
    of_cells = [*map(_of_column, IDENTITY), *_AXES, *map(_of_column, result_columns())]
    return with_further_axes(pa.schema(of_cells))


MEASUREMENTS = pa.schema(
    [
        *_IDENTITY,
        *_AXES,
        _column(
            "kind",
            pa.string(),
            "warm-up, repeat, set aside (a repeat of a disturbed block), final (a slot of one, disturbed or not) or "
            "compared (of a block that `sweep compare` has measured later); latencies are made of repeats alone",
        ),
        _column("compared_with", pa.string(), "cell_id of the cell that it was measured in turns with, where compared"),
        _column("block", pa.int32(), "index of the block of repeats, in the order in which they were taken; round"),
        _column("tainted", pa.bool_(), "whether something disturbed its block; null in a final"),
        _column("repeat", pa.int32(), "index within its kind, from 0"),
        _column("seconds", pa.float64(), "seconds of one call, mean over `number` calls", "s"),
        _column(
            "leader_seconds",
            pa.float64(),
            "of a slot of a final that was held side by side: the same of the fastest compiled cell so far, beside it",
            "s",
        ),
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


def schema_of(table: str) -> pa.Schema:
    """Of one of TABLES, with the columns that there are now."""
    if table == "results":
        return results_schema()
    if table in _SELDOM:
        return _SELDOM[table]
    return TUNING_RECORDS if table == "records" else with_further_axes(_BY_TABLE[table])


_FURTHEST = (
    ("cosine_distance", "1 less the cosine between"),
    ("snr_db", "signal to noise of"),
    ("max_abs_diff", "largest difference of"),
)
LAYER_ERRORS = pa.schema(
    [
        _column("model", pa.string(), "name of the model"),
        _column("batch", pa.int32(), "samples in one call"),
        _column("precision", pa.string(), "the quantised precision"),
        _column("place", pa.int32(), "of the layer in its network, from 0"),
        _column("layer", pa.string(), "name of the operator"),
        _column("operator", pa.string(), "its kind"),
        _column("output", pa.string(), "the tensor that is compared with the float network's"),
        _column("is_quantised", pa.bool_(), "whether it computes in integers; else it stays in float32"),
        _column("rank", pa.int32(), "among layers with weights, 1 for the one that costs the network's output most"),
        *(
            _column(f"{which}_{name}", pa.float64(), f"{meaning} {what}", "dB" if name == "snr_db" else "")
            for which, what in (
                ("with_before", "its output and the float network's, all before it quantised too"),
                ("alone", "its output and the float network's, it alone quantised"),
                ("alone_final", "the network's output and the float network's, it alone quantised"),
                ("kept", "the network's output and the float network's, it and all of less rank in float32"),
            )
            for name, meaning in _FURTHEST
        ),
        *(
            _column(
                name, pa.int32() if name == "opt_level" else pa.string(), f"{name} of the cell whose layers were timed"
            )
            for name in ("device", "target", "tuner", "opt_level", "layout")
        ),
        _column(
            "float32_ms", pa.float64(), "of its kernels in the float32 build, each timed alone on the device", "ms"
        ),
        _column("quantised_ms", pa.float64(), "of its kernels in the quantised build", "ms"),
        _column("added_ms", pa.float64(), "what it takes longer in float32", "ms"),
        _column("shares_kernel_with", pa.string(), "layers that a kernel of it computes too, in either build"),
        _column("advised_rank", pa.int32(), "1 for the layer that gains most distance for the time that it costs"),
        *(
            _column(
                f"advised_{name}",
                pa.float64(),
                f"{meaning} the network's output and the float network's, it and all of less advised_rank in float32",
                "dB" if name == "snr_db" else "",
            )
            for name, meaning in _FURTHEST
        ),
        _column("advised_added_ms", pa.float64(), "what these take longer in float32, by their kernels", "ms"),
        _column("samples", pa.int32(), "samples that both were compared on", "samples"),
        _column("source", pa.string(), "data set that they are of; random for made-up ones"),
    ]
)

TRAINING_CURVES = pa.schema(
    [
        _column("model", pa.string(), "name of the network that was trained"),
        _column("of", pa.string(), "the network that it was made of"),
        _column("level", pa.float64(), "share of the weights that are zero in the end"),
        _column("step", pa.int64(), "steps so far", "steps"),
        _column("loss", pa.float64(), "mean since the point before"),
        _column("accuracy", pa.float64(), "share of the held-out samples that are told right"),
        _column("sparsity", pa.float64(), "share of the weights of its layers that are zero"),
    ]
)

_SELDOM = {"layers": LAYER_ERRORS, "training": TRAINING_CURVES}
_BY_TABLE = {"measurements": MEASUREMENTS, "curves": TUNING_CURVES, "tasks": TUNING_TASKS}
