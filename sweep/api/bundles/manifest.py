"""The manifest of a bundle: what its library takes, gives and needs, how fast it was, and how it was chosen."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sweep.analysis.formatting import as_ms
from sweep.analysis.rows.measurements import repeats_of
from sweep.analysis.rows.unchecked import is_unchecked
from sweep.analysis.statistics import VERDICT_LEVEL, interval_of_another_block
from sweep.errors import StudyError
from sweep.installation import __version__
from sweep.study.axes import axis_names, value_in
from sweep.study.precisions import precision_of
from sweep.study.targets import host, known_targets
from sweep.study.targets.written_target import architectures_of

if TYPE_CHECKING:
    from sweep.api.bundles.source import CellSource
    from sweep.planning.results.measurement import Measurement

__all__ = ["FORMAT", "VERSION", "cpu_needs", "is_manifest", "manifest_of"]

FORMAT, VERSION = "tvm-sweep-bundle", 1

Row = Mapping[str, Any]


def is_manifest(content: object) -> bool:
    """Whether it is the manifest of a bundle, of whichever version."""
    return isinstance(content, Mapping) and content.get("format") == FORMAT


def manifest_of(row: Row, source: CellSource, chosen: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    """All but the names and hashes of its files.

    row: of results.parquet. chosen: how the cell was chosen. versions: of the packages that the sweep ran with.
    """
    target = json.loads(source.built.target_json or "{}")
    conditions = json.loads(row["conditions_json"] or "{}")
    # The runtime starts as many threads as the machine has cores, whatever the code was compiled for
    threads = conditions.get("runtime_threads") or target.get("num-cores") or 1
    return {
        "format": FORMAT,
        "version": VERSION,
        "model": {"name": row["model"], **source.model},
        "library": "lib.so",
        "entry": "main",
        "inputs": _inputs(source),
        "outputs": _outputs(source),
        "tolerance": precision_of(row["precision"], source.described).tolerance,
        "computed_in": source.artifact.facts.computed_in,
        "output_check": {"is_compared": not is_unchecked(row), "reason": row.get("output_check_reason")},
        "axes": {axis: value_in(row, axis) for axis in axis_names()},
        "threads": int(threads),
        "target": target,
        "cpu": cpu_needs(target),
        "versions": {
            "apache-tvm": source.built.tvm_version or versions.get("apache-tvm", ""),
            "apache-tvm-ffi": versions.get("apache-tvm-ffi") or importlib.metadata.version("apache-tvm-ffi"),
            "tvm-sweep": __version__,
        },
        "latency": _latency(row, conditions, source.measured),
        "chosen": dict(chosen),
    }


def cpu_needs(target: Mapping[str, Any]) -> dict[str, Any]:
    """Architecture of a resolved target, and the features that its code may use: Linux's flag by LLVM's name.

    Raises StudyError for a target whose architecture is not known.
    """
    (arch, *_) = architectures_of(target) or ("",)
    if arch not in known_targets.architectures():
        raise StudyError(
            "is of no architecture whose features are known",
            key="CELL",
            value=json.dumps(target),
            allowed=f"code for {', '.join(known_targets.architectures())}",
        )
    wanted = known_targets.features_of(arch, target.get("mcpu"), target.get("mattr", ()))
    return {"architecture": arch, "features": {name: host.linux_name(arch, name) for name in sorted(wanted)}}


def _inputs(source: CellSource) -> list[dict[str, Any]]:
    """As the library takes them, with what their integers stand for where they are quantised."""
    told = source.imported.inputs
    return [
        {**entry, **_kept(told.get(entry["name"], {}), "scale", "zero_point")} for entry in source.metadata["inputs"]
    ]


def _outputs(source: CellSource) -> list[dict[str, Any]]:
    told = source.imported.outputs
    entries = source.metadata["outputs"]
    if len(told) != len(entries):
        told = [{}] * len(entries)
    quantised = source.artifact.facts.quantised
    return [
        {
            "name": own.get("name", ""),
            **entry,
            **({"is_quantised": True} if index in quantised else {}),
            **_kept(own, "scale", "zero_point", "step", "tolerance"),
        }
        for index, (own, entry) in enumerate(zip(told, entries, strict=True))
    ]


def _kept(told: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: told[name] for name in names if name in told}


def _latency(row: Row, conditions: Mapping[str, Any], measured: Measurement | None) -> dict[str, Any]:
    low, high = row["latency_ms_ci_low"], row["latency_ms_ci_high"]
    interval = "" if low is None or high is None else f" [{as_ms(low)}, {as_ms(high)}]"
    where = f" on {row['device']}" + (f" of {conditions['host']}" if conditions.get("host") else "")
    disturbed = row["error"] if row["status"] == "tainted" else None
    return {
        "median_ms": row["latency_ms_median"],
        "ci_low_ms": low,
        "ci_high_ms": high,
        "repeats": row["repeats"],
        "number": row["number"],
        "is_stable": row["is_stable"],
        "new_process": None if disturbed else _in_new_process(measured),
        "disturbed": disturbed,
        "device": row["device"],
        "conditions": dict(conditions),
        "text": f"{as_ms(row['latency_ms_median'])} ms{interval}{where}" + (", disturbed" if disturbed else ""),
    }


def _in_new_process(measured: Measurement | None) -> dict[str, Any] | None:
    """Where the median of one more process will lie: each block was taken in a process of its own. None where there
    are too few, as where all was measured in one go.
    """
    blocks = repeats_of(measured)
    found = interval_of_another_block(blocks) if blocks else None
    if found is None:
        return None
    return {"low_ms": found[0] * 1e3, "high_ms": found[1] * 1e3, "level": VERDICT_LEVEL, "processes": len(blocks)}
