"""Rows of sweeps as machines with other work on them leave them, drawn at random."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Row = dict[str, Any]
TITLES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
SLOWING = (
    "the sentinel kernel was 33 % slower than its best on this device; in 2 of 3 blocks",
    "the sentinel kernel went from 7.9 to 9.9 ms",
    "2 foreign threads wanted the cores",
    "others took 30 % of the cores' time; in 1 of 3 blocks",
    "the hypervisor took 12 % of the cores' time",
)
MISLEADING = (
    "the CPU's clock went from 2000 to 3000 MHz",
    "it ran on cores 1, 2 instead of core 1",
    "it ran with 2 threads instead of 1",
    "what no version has heard of",
)
_BASES_MS = (0.0912, 1.0, 1.02, 2.0, 7.77, 21.3, 383.0, 1234.0)
_SPREADS = ((1.0, 1.0), (0.99, 1.01), (0.7, 1.6))


def row_of(
    model: str,
    device: str,
    tuner: str,
    opt_level: int | None,
    *,
    runtime: str = "tvm",
    ms: tuple[float, float, float] | None = None,
    status: str = "done",
    error: str | None = None,
) -> Row:
    """ms: median and the ends of its interval."""
    median, low, high = ms or (None, None, None)
    target = "native" if runtime == "tvm" else "-"
    name = " ".join([model, target, tuner, f"O{opt_level}", runtime, device])
    return {
        "cell_id": name,
        "cell_name": name,
        "model": model,
        "device": device,
        "batch": 1,
        "target": target,
        "tuner": tuner,
        "opt_level": opt_level,
        "layout": "NCHW",
        "precision": "float32",
        "runtime": runtime,
        "baseline": "onnxruntime",
        "status": status,
        "error": error,
        "error_class": "BuildFailed" if status == "failed" else None,
        "failed_stage": "build" if status == "failed" else None,
        "latency_ms_median": median,
        "latency_ms_min": low,
        "latency_ms_max": high,
        "latency_ms_ci_low": low,
        "latency_ms_ci_high": high,
        "records_dir": None if tuner in ("none", "-") else "records/x",
        "tuned_tasks": 2,
        "untuned_tasks": 0,
        "final": None,
        "final_ms_median": None,
        "final_ms_ci_high": None,
    }


def hold_final(
    rows: list[Row],
    ratios: list[tuple[float, float]],
    compiles: bool,
    took_ms: list[tuple[float, float | None]] | None = None,
    held: str = "in turns",
) -> None:
    """Have rows of a place take part in a final. ratios: of each to the leader, and the factor of its interval.
    took_ms: the median of each one's slots, and the upper end of its interval, where that is known.
    """
    may_lead = [row["runtime"] == "tvm" or not compiles for row in rows]
    leader = min((index for index, may in enumerate(may_lead) if may), key=lambda index: ratios[index][0])
    for index, (row, (value, spread)) in enumerate(zip(rows, ratios, strict=True)):
        ratio = value / ratios[leader][0]
        low, high = (1.0, 1.0) if index == leader else (ratio / spread, ratio * spread)
        row |= {
            "final": f"{row['model']} {row['device']}",
            "final_ratio_to_best": 1.0 if index == leader else ratio,
            "final_ratio_to_best_ci_low": low,
            "final_ratio_to_best_ci_high": high,
            "final_held": held,
        }
        if took_ms is not None:
            row["final_ms_median"], row["final_ms_ci_high"] = took_ms[index]


@st.composite
def mixed_grids(draw: st.DrawFn) -> list[Row]:
    """Of 1 to 3 models on 1 to 3 devices: some tuners or none, some runtimes or none, every status, every taint."""
    models = ["alpha", "beta", "gamma"][: draw(st.integers(1, 3))]
    devices = ["here", "there", "yonder"][: draw(st.integers(1, 3))]
    choices = [(tuner, level, "tvm") for tuner in ("none", "random", "xgb") for level in (1, 3)]
    choices += [("-", None, runtime) for runtime in TITLES]
    shown = draw(st.lists(st.sampled_from(choices), min_size=1, unique=True))
    is_quiet = draw(st.booleans())
    statuses = ["done"] * 4 if is_quiet else ["done", "done", "tainted", "tainted", "failed", "pending", "skipped"]
    compiles = any(runtime == "tvm" for _, _, runtime in shown)
    rows = []
    for model in models:
        for device in devices:
            place = []
            for tuner, level, runtime in shown:
                status = draw(st.sampled_from(statuses))
                ms = error = None
                if status in ("done", "tainted"):
                    median = draw(st.sampled_from(_BASES_MS)) * draw(st.floats(0.9, 1.1))
                    low, high = draw(st.sampled_from(_SPREADS))
                    ms = (median, low * median, high * median)
                if status == "tainted":
                    kinds = draw(st.lists(st.sampled_from(SLOWING), min_size=1, max_size=2, unique=True))
                    kinds += draw(st.lists(st.sampled_from(MISLEADING), max_size=1)) if draw(st.booleans()) else []
                    error = "; ".join(kinds)
                place.append(row_of(model, device, tuner, level, runtime=runtime, ms=ms, status=status, error=error))
            known = [row for row in place if row["latency_ms_median"] and not _is_misleading(row)]
            if any(row["runtime"] == "tvm" or not compiles for row in known) and draw(st.booleans()):
                some = draw(st.lists(st.sampled_from(range(len(known))), min_size=min(2, len(known)), unique=True))
                chosen = [known[index] for index in sorted(some)]
                if len(chosen) > 1 and any(row["runtime"] == "tvm" or not compiles for row in chosen):
                    ratios = [(draw(st.floats(0.5, 2.0)), draw(st.sampled_from((1.0, 1.01, 1.3)))) for _ in chosen]
                    factors = [draw(st.sampled_from((0.1, 0.97, 1.2))) for _ in chosen]
                    ends = [draw(st.sampled_from((1.0, 1.02, None))) for _ in chosen]
                    took = [row["latency_ms_median"] * factor for row, factor in zip(chosen, factors, strict=True)]
                    took_ms = [(ms, end and ms * end) for ms, end in zip(took, ends, strict=True)]
                    hold_final(chosen, ratios, compiles, took_ms, draw(st.sampled_from(("in turns", "side by side"))))
                    _take_back_overtaken(place)
            rows += place
    return rows


def _take_back_overtaken(place: list[Row]) -> None:
    """As rows are derived: no cell outside is faster, beyond doubt, than one that may be the fastest of the final."""
    fastest = [row for row in place if row["final"] and row["final_ratio_to_best_ci_low"] <= 1]
    outside = [row for row in place if not row["final"] and row["latency_ms_median"] and not _is_misleading(row)]
    for row in fastest:
        least = row["latency_ms_ci_low"] if row["status"] == "done" else 0.0
        if any(other["latency_ms_ci_high"] < least for other in outside):
            for one in place:
                one["final"] = None


def _is_misleading(row: Row) -> bool:
    return any(words in (row["error"] or "") for words in MISLEADING)
