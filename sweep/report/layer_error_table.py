"""The report's tables on layers of quantised networks: where the distance from float32 comes from. Knows no medium."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.analysis.formatting import as_ms, plural, significant
from sweep.analysis.rows.layer_rows import OF_TIMED_CELL
from sweep.analysis.rows.results import Results
from sweep.report.tuning_section import Table
from sweep.study.axes import axis_of, unusual

__all__ = ["LayerErrorTable", "layer_error_tables"]

Row = Mapping[str, Any]
_LAYERS_SHOWN = 40
_TABLES_SHOWN = 24
_TITLES = (
    ("layer", "its operator's name, in the order of the network"),
    ("operator", "float32 where it is kept so"),
    ("with all before it", "1 less the cosine between its output and the float network's"),
    ("alone", "the same where no other layer is quantised"),
    ("SNR dB", "signal to noise of its output with all before it quantised"),
    ("largest", "largest difference of its output with all before it quantised"),
    ("costs the output", "1 less the cosine of the network's output where it alone is quantised, and its rank by that"),
    ("kept up to here", "what is left of the network's distance with it and all of less rank in float32"),
)
_TIMED = (
    ("float32 ms", "of its kernels in the float32 build, each timed alone on the device"),
    ("quantised ms", "of its kernels in the quantised build"),
    ("shares", "layers that a kernel of it computes too"),
    ("advised", "its rank by what it gains for what it costs"),
    ("advised up to here", "what is left of the network's distance with it and all of less such rank in float32"),
    ("adds ms", "what these take longer in float32, by their kernels"),
)


@dataclass(frozen=True, slots=True)
class LayerErrorTable:
    """The layers of one network in one precision."""

    title: str
    about: str
    table: Table
    left_out: int


def layer_error_tables(results: Results) -> tuple[list[LayerErrorTable], int]:
    """A table for each network and precision that layers were compared of, and where they were timed for each cell: the
    first ones, and how many there are more.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in results.layers:
        key = ("model", "batch", "precision", *OF_TIMED_CELL)
        groups.setdefault(tuple(row.get(name) for name in key), []).append(row)
    tables = [_table(rows) for rows in list(groups.values())[:_TABLES_SHOWN]]
    return tables, len(groups) - len(tables)


def _table(rows: Sequence[Row]) -> LayerErrorTable:
    first = rows[0]
    shown = rows if len(rows) <= _LAYERS_SHOWN else _costliest(rows)
    source = "made-up samples" if first["source"] == "random" else f"samples of {first['source']}"
    batch = f", batch {first['batch']}" if first["batch"] not in (None, 1) else ""
    about = f"{plural(len(rows), 'layer')}, compared on {first['samples']} {source}{_advice(rows)}"
    is_timed = any(row.get("float32_ms") is not None for row in rows)
    lines = [[*_cells(row), *(_times(row) if is_timed else ())] for row in shown]
    table = Table((*_TITLES, *(_TIMED if is_timed else ())), lines)
    title = f"{first['model']} {first['precision']}{batch}"
    if first["device"] is not None:
        further = unusual(first, [axis_of("layout")])
        title += " ".join(
            ["", f"O{first['opt_level']}", *further, first["target"], first["tuner"], "on", first["device"]]
        )
    return LayerErrorTable(title, about, table, len(rows) - len(shown))


def _costliest(rows: Sequence[Row]) -> list[Row]:
    ranked = sorted(rows, key=lambda row: row["rank"] or len(rows) + 1)[:_LAYERS_SHOWN]
    return sorted(ranked, key=lambda row: row["place"])


def _advice(rows: Sequence[Row]) -> str:
    """What the first layers cost, and what is left without them."""
    whole = max(rows, key=lambda row: row["place"])["with_before_cosine_distance"]
    kept = [row for row in rows if row["kept_cosine_distance"] is not None]
    if not kept or not whole:
        return ""
    best = min(kept, key=lambda row: row["kept_cosine_distance"])
    if best["kept_cosine_distance"] >= whole:
        return "; no few layers in float32 bring its output nearer"
    left = best["kept_cosine_distance"] / whole
    names = [row["layer"] for row in sorted(kept, key=lambda row: row["rank"]) if row["rank"] <= best["rank"]]
    return f"; with {', '.join(names)} in float32, {significant(100 * left)} % of its distance is left"


def _cells(row: Row) -> list[str]:
    rank = "" if row["rank"] is None else f" (#{row['rank']})"
    return [
        str(row["layer"]),
        str(row["operator"]) if row["is_quantised"] else f"{row['operator']}, float32",
        _number(row["with_before_cosine_distance"]),
        _number(row["alone_cosine_distance"]),
        _number(row["with_before_snr_db"]),
        _number(row["with_before_max_abs_diff"]),
        "-" if row["alone_final_cosine_distance"] is None else f"{_number(row['alone_final_cosine_distance'])}{rank}",
        _number(row["kept_cosine_distance"]),
    ]


def _times(row: Row) -> list[str]:
    return [
        as_ms(row["float32_ms"]),
        as_ms(row["quantised_ms"]),
        str(row["shares_kernel_with"] or ""),
        "" if row["advised_rank"] is None else f"#{row['advised_rank']}",
        _number(row["advised_cosine_distance"]),
        "-" if row["advised_added_ms"] is None else f"{row['advised_added_ms']:+.2g}",
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}" if 0 < abs(value) < 1e-3 else significant(value)
