"""Layers from the table of tuning records: whole columns at a time, since there may be hundreds of thousands of rows.

Which row counts where a configuration was measured on a device more than once: one that was measured again among the
best (`validated_s`) before one that was not, then the latest, then the slowest. Its time is `validated_s`, or else the
median of its repeats. A failure counts where the device never gave a time for the configuration. One that was lost with
its board has not failed: it was not measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from sweep.analysis.overlay.layer_times import LayerTimes
from sweep.analysis.sentinel_values import NO_TIME_S
from sweep.errors import RecordError, was_lost

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["layers_of"]

_COLUMNS = ("workload", "task", "device", "target", "trace_hash", "t", "error_class", "error", "origin", "validated_s")
_OWN_ORIGINS = ("search", "relative")
"""What a device's own tuning found; a schedule of a warm start comes from elsewhere, as an overlay's does."""


def layers_of(
    records: pa.Table,
    *,
    keys: Sequence[str] | None = None,
    tasks: pa.Table | None = None,
    targets: Mapping[str, str] | None = None,
) -> list[LayerTimes]:
    """Times of each layer's configurations, by layer.

    records: as tuning_records.parquet; a configuration is its `trace_hash`, and rows without one name none.
    keys: devices, in this order; by default all in the table, sorted. Records of others give no candidates.
    tasks: rows of tuning_tasks.parquet, of one model: its layers, in this order, with their names and weights, also
        those that have no record. By default every workload in the records, by name, once each.
    targets: full target of a device, as the records have it; its records for others are left out.

    Raises RecordError where a device has records of a layer for more than one target and `targets` does not say which,
    and where a workload has more than one weight in the tasks.
    """
    rows = _rows(records)
    devices = sorted(set(rows["device"])) if keys is None else list(keys)
    rows = rows[rows["device"].isin(devices)]
    if targets is not None:
        wanted = rows["device"].map(dict(targets))
        rows = rows[wanted.isna() | (rows["target"] == wanted)]
    named = _by_name(rows) if tasks is None else _by_task(tasks)
    rows = rows[rows["workload"].isin([workload for workload, _, _ in named])]
    said = zip(rows["error_class"], rows["error"], strict=True)
    rows = rows[np.array([not was_lost(kind, error) for kind, error in said], dtype=bool)]
    _check_targets(rows)
    if not devices:
        return []
    # The last of a place counts. Time and texts settle rows of one moment, so that the order of rows never does.
    rows = rows.sort_values(["is_valid", "is_again", "t", "seconds", "error_class", "error"])
    by_workload = {str(workload): group for workload, group in rows.groupby("workload", sort=False)}
    nothing = rows.iloc[:0]
    return [
        _layer(name, workload, weight, by_workload.get(workload, nothing), devices)
        for workload, name, weight in _distinct(named)
    ]


def _rows(records: pa.Table) -> pd.DataFrame:
    """The columns that matter, with the time that each row gives, or NaN."""
    rows: pd.DataFrame = records.select([*_COLUMNS]).to_pandas()
    median_s = _median_s(records["run_secs"])
    again_s = rows["validated_s"].astype(np.float64)
    rows["is_valid"] = median_s.notna() & rows["error_class"].isna()
    rows["is_again"] = rows["is_valid"] & _is_time(again_s)
    rows["seconds"] = again_s.where(rows["is_again"], median_s).where(rows["is_valid"])
    rows["is_own"] = rows["origin"].fillna(_OWN_ORIGINS[0]).isin(_OWN_ORIGINS)
    rows["t"] = rows["t"].fillna(-np.inf)
    rows["error_class"] = rows["error_class"].fillna("")
    rows["error"] = (
        rows["error"].fillna("").where(rows["error_class"] != "", "neither a time nor an error was recorded")
    )
    return rows.dropna(subset=["workload", "device", "trace_hash"])


def _median_s(run_secs: pa.ChunkedArray) -> pd.Series[float]:
    """Median of each list; NaN for none, for an empty one and for one with a value that is no time."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = pa.concat_arrays(run_secs.chunks) if run_secs.num_chunks else pa.array([], run_secs.type)
    values = pd.Series(pc.list_flatten(lists).cast(pa.float64()).to_numpy(zero_copy_only=False))
    row = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    found = values.groupby(row).median()[_is_time(values).groupby(row).all()]
    return found.reindex(range(len(run_secs)))


def _is_time(seconds: pd.Series[float]) -> pd.Series[bool]:
    return (seconds > 0) & (seconds < NO_TIME_S)


def _check_targets(rows: pd.DataFrame) -> None:
    """A configuration is other code on another target, even on the same device."""
    targets = rows.groupby(["workload", "device"])["target"].nunique()
    for place, count in targets[targets > 1].items():
        workload, device = cast("tuple[str, str]", place)
        raise RecordError(f"{device} has records of workload {workload} for {count} targets: say which one counts")


def _by_name(rows: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Workload, name and weight of every layer in the records; a workload of several names has the least."""
    named = rows.assign(task=rows["task"].fillna(rows["workload"])).sort_values(["task", "workload"])
    named = named.drop_duplicates("workload")
    return [(workload, task, 1) for workload, task in zip(named["workload"], named["task"], strict=True)]


def _by_task(tasks: pa.Table) -> list[tuple[str, str, int]]:
    """The same of every layer of a model."""
    named = tasks.select(["workload", "task", "weight"]).to_pandas().drop_duplicates(["workload", "weight"])
    for workload in named["workload"][named["workload"].duplicated()]:
        raise RecordError(f"workload {workload} has several weights: an overlay takes the tasks of one model")
    return list(named.itertuples(index=False, name=None))


def _distinct(named: Sequence[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Where two layers have one name, each has some of its workload's hash in it."""
    names = Counter(name for _, name, _ in named)
    return [
        (workload, name if names[name] == 1 else f"{name} [{workload[:8]}]", int(weight))
        for workload, name, weight in named
    ]


def _layer(name: str, workload: str, weight: int, rows: pd.DataFrame, devices: Sequence[str]) -> LayerTimes:
    """One workload's rows as a matrix; of those of one place the last counts."""
    import pandas as pd

    row, configurations = pd.factorize(rows["trace_hash"], sort=True)
    column = pd.Index(devices).get_indexer_for(pd.Index(rows["device"]))
    shape = (len(configurations), len(devices))
    seconds, screened, found = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.bool_)
    own = rows["is_own"].to_numpy(dtype=np.bool_)
    found[row[own], column[own]] = True
    place = pd.Series(row * len(devices) + column)
    last = ~place.duplicated(keep="last").to_numpy()
    seconds[row[last], column[last]] = rows["seconds"].to_numpy()[last]
    last_own = place[own].drop_duplicates(keep="last").index.to_numpy()
    screened[row[last_own], column[last_own]] = rows["seconds"].to_numpy()[last_own]
    is_failed = last & ~rows["is_valid"].to_numpy(dtype=np.bool_)
    texts = (rows["error_class"][is_failed] + ": " + rows["error"][is_failed]).str.strip(": ")
    places = zip(row[is_failed].tolist(), column[is_failed].tolist(), strict=True)
    return LayerTimes(
        layer=name,
        workload=workload,
        weight=weight,
        configurations=[str(trace_hash) for trace_hash in configurations],
        devices=list(devices),
        seconds=seconds,
        failures=dict(zip(places, texts, strict=True)),
        found=found,
        screened=screened,
    )
