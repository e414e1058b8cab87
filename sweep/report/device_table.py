"""The report's table of devices: a row a device, put together from the conditions of its cells."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.formatting import as_percent, significant
from sweep.planning.results.condition_numbers import number_in
from sweep.report.tuning_section import Table

__all__ = ["device_table", "natives"]

Row = Mapping[str, Any]
_NATIVE = "native"
_TITLES = (
    ("device", "its key"),
    ("host", "machine that it belongs to"),
    ("CPU", "as it names itself"),
    ("cores", "of that machine, that it measures on"),
    ("threads", "of its runtime"),
    ("governor", "of the frequency of its cores"),
    ("load (median, most)", "on its host before a measurement, over one minute"),
    ("stolen (most)", "largest share of a measurement that the hypervisor kept its cores for others"),
    ("cells", "that it measured"),
    ("tainted", "of those, disturbed each time"),
)


def device_table(rows: Sequence[Row]) -> Table:
    """Devices in the order of the study; columns of which nothing is known are left out. `rows`: of cells."""
    by_device: dict[str, list[tuple[Row, Mapping[str, Any]]]] = {}
    for row in rows:
        conditions = json.loads(row["conditions_json"] or "null")
        if conditions:
            by_device.setdefault(row["device"], []).append((row, conditions))
    lines = [_line(device, measured) for device, measured in by_device.items()]
    kept = [index for index in range(len(_TITLES)) if any(line[index] for line in lines)]
    return Table([_TITLES[index] for index in kept], [[line[index] or "-" for index in kept] for line in lines])


def natives(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What the target `native` stands for on each device, where that is known: CPU as LLVM names it and as it names
    itself, and its features. `rows`: of cells.
    """
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        full = _parsed(row.get("target_json")) if row["target"] == _NATIVE else {}
        if full:
            words = _full_target(full, _parsed(row["conditions_json"]).get("cpu_model"))
            found.setdefault(row["device"], {})[words] = None
    return [(device, " or ".join(texts)) for device, texts in found.items()]


def _parsed(text: str | None) -> Mapping[str, Any]:
    """Empty for what is no JSON object."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, Mapping) else {}


def _full_target(full: Mapping[str, Any], cpu_model: object) -> str:
    """`llvm for the CPU znver3 (AMD EPYC 7B13) with all features of it but avx2`."""
    parts = [str(full.get("kind") or "code")]
    parts += [f"for the CPU {full['mcpu']}"] if full.get("mcpu") else ["for a CPU of any kind"]
    parts += [f"({cpu_model})"] if cpu_model else []
    given = full.get("mattr") or []
    features = (
        given.split(",") if isinstance(given, str) else [str(one) for one in (given if isinstance(given, list) else [])]
    )
    without = [one.removeprefix("-") for one in features if one.startswith("-")]
    added = [one.removeprefix("+") for one in features if not one.startswith("-")]
    parts += ["with all its features"] if full.get("mcpu") else []
    parts += [f"but {', '.join(without)}, which the host does not show"] if without else []
    parts += [f"and {', '.join(added)}"] if added else []
    return " ".join(parts)


def _line(device: str, measured: Sequence[tuple[Row, Mapping[str, Any]]]) -> list[str]:
    conditions = [one for _, one in measured]
    tainted = sum(row["status"] == "tainted" for row, _ in measured)
    return [
        device,
        *(_distinct(conditions, key) for key in ("host", "cpu_model", "cores", "threads", "governor")),
        _middle_and_most([load for one in conditions if (load := number_in(one, "load1_before")) is not None]),
        _most_stolen(conditions),
        str(len(measured)),
        str(tainted) if tainted else "",
    ]


def _distinct(conditions: Sequence[Mapping[str, Any]], key: str) -> str:
    found = dict.fromkeys(json.dumps(one.get(key)) for one in conditions if one.get(key) is not None)
    values = [json.loads(text) for text in found]
    return " or ".join(", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in values)


def _middle_and_most(values: Sequence[float]) -> str:
    if not values:
        return ""
    return ", ".join(significant(value, 2) for value in (statistics.median(values), max(values)))


def _most_stolen(conditions: Sequence[Mapping[str, Any]]) -> str:
    shares = [share for one in conditions if (share := _stolen(one)) is not None]
    return as_percent(max(shares)) if shares else ""


def _stolen(conditions: Mapping[str, Any]) -> float | None:
    """The hypervisor's share of the time of the cores; None where the conditions do not tell."""
    cores = conditions.get("cores")
    if not isinstance(cores, list) or not cores:
        return None
    spans = []
    for name in ("stolen_s", "at"):
        before, after = (number_in(conditions, f"{name}_{when}") for when in ("before", "after"))
        if before is None or after is None:
            return None
        spans.append(after - before)
    stolen_s, took_s = spans
    return stolen_s / took_s / len(cores) if took_s > 0 else None
