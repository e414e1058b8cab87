"""Draws what tuning bought: how many times faster than untuned, tuner by tuner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.formatting import as_times, rounded_down
from sweep.analysis.rows.bounds import AT_MOST, EXACT, BoundedRatio
from sweep.analysis.rows.duels import leader_of
from sweep.analysis.rows.results import NO_TUNER
from sweep.analysis.rows.runtime_rows import fastest_of_each, group_key, is_compiled_row, runtime_title
from sweep.report.figures.figure import BASELINE_COLOUR, Figure, Row, plain_layout
from sweep.report.figures.scale import bars_axis
from sweep.report.table_columns import tuner_name, varies
from sweep.study.axes import axes_under, value_in

__all__ = ["speedup_bars"]

_PLACES_SHOWN = 24
"""Models or devices in a picture."""

Subject = tuple[str, str, str]
"""Model, device, and what is to be done there, in words, as far as rows differ in it."""


def speedup_bars(rows: Sequence[Row], colours: Mapping[str, str]) -> Iterator[Figure]:
    """A picture a device with a group of bars a model, or the other way round where models are the fewer.

    The bar of a tuner is that of its fastest cell there; another runtime's is against the same untuned cell as the
    fastest of all. `colours`: by name of the tuner.
    """
    factors = _factors(rows)
    subjects = list(dict.fromkeys(subject for of_tuner in factors.values() for subject in of_tuner))
    models = list(dict.fromkeys(model for model, _, _ in subjects))
    devices = list(dict.fromkeys(device for _, device, _ in subjects))
    by, names = (0, models) if len(models) < len(devices) else (1, devices)
    for name in names:
        here = [subject for subject in subjects if subject[by] == name]
        yield _figure(name, here[:_PLACES_SHOWN], 1 - by, factors, colours, len(here))


def _factors(rows: Sequence[Row]) -> dict[str, dict[Subject, BoundedRatio]]:
    """By tuner and subject: of the fastest cell, as far as is known."""
    differ = [axis for axis in axes_under() if axis.compared_within and varies(rows, axis.name)]
    tuned: dict[str, dict[Subject, list[Row]]] = {}
    for row in rows:
        if row["speedup_vs_untuned"] is not None and row["tuner"] != NO_TUNER and _bound(row) != AT_MOST:
            work = ", ".join(f"{axis.name} {value_in(row, axis.name)}" for axis in differ)
            subject = row["model"], row["device"], work
            tuned.setdefault(tuner_name(row), {}).setdefault(subject, []).append(row)
    leaders = {
        tuner: {subject: leader for subject, group in of_tuner.items() if (leader := leader_of(group)) is not None}
        for tuner, of_tuner in tuned.items()
    }
    fastest: dict[Subject, Row] = {}
    for of_tuner in leaders.values():
        for subject, row in of_tuner.items():
            is_first = subject not in fastest or row["latency_ms_median"] < fastest[subject]["latency_ms_median"]
            if is_first and _bound(row) == EXACT:
                fastest[subject] = row
    factors = {
        tuner: {subject: BoundedRatio(float(row["speedup_vs_untuned"]), _bound(row)) for subject, row in found.items()}
        for tuner, found in leaders.items()
    }
    return factors | _runtime_factors(rows, fastest)


def _bound(row: Row) -> str:
    return str(row.get("speedup_bound") or EXACT)


def _text(factor: BoundedRatio) -> str:
    return as_times(factor.value) if factor.bound == EXACT else f"≥{as_times(rounded_down(factor.value))}"


def _runtime_factors(rows: Sequence[Row], fastest: Mapping[Subject, Row]) -> dict[str, dict[Subject, BoundedRatio]]:
    """The same of the other runtimes, by title. `fastest`: compiled and tuned, whose untuned cell they are held to."""
    factors: dict[str, dict[Subject, BoundedRatio]] = {}
    of_each = fastest_of_each(rows)
    for subject, best in fastest.items():
        untuned_ms = best["speedup_vs_untuned"] * best["latency_ms_median"]
        for other in of_each[group_key(best)].values():
            if not is_compiled_row(other):
                factor = float(untuned_ms / other["latency_ms_median"])
                factors.setdefault(runtime_title(other), {})[subject] = BoundedRatio(factor, EXACT)
    return factors


def _figure(
    name: str,
    subjects: Sequence[Subject],
    named_by: int,
    factors: Mapping[str, Mapping[Subject, BoundedRatio]],
    colours: Mapping[str, str],
    of: int,
) -> Figure:
    differ = len({work for _, _, work in subjects}) > 1
    labels = {subject: f"{subject[named_by]}, {subject[2]}" if differ else subject[named_by] for subject in subjects}
    bars: list[Mapping[str, Any]] = []
    for tuner, of_tuner in factors.items():
        shown = [subject for subject in subjects if subject in of_tuner]
        if not shown:
            continue
        bars.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": tuner,
                "y": [labels[subject] for subject in shown],
                "x": [of_tuner[subject].value for subject in shown],
                "text": [_text(of_tuner[subject]) for subject in shown],
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {"color": colours[tuner]},
                "hovertemplate": "%{y}<br>%{fullData.name}: %{text}<extra></extra>",
            }
        )
    values = [value for bar in bars for value in bar["x"]]
    layout = plain_layout(len(subjects), x="times as fast as untuned", left=True) | {
        "barmode": "group",
        "bargap": 0.25,
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        "shapes": [_untuned_line()],
    }
    layout["margin"] = {**layout["margin"], "t": 36}
    layout["xaxis"] |= bars_axis(values, [1.0])
    return Figure(
        "Speed-up",
        name,
        "Longer is faster: the fastest cell of each tuner against the untuned cell at the same other axes, which is 1.",
        132 + len(subjects) * (14 + 18 * len(bars)),
        bars,
        layout,
        has_log_switch=max(values) > 5 * min(values),
        **{("device" if named_by == 0 else "model"): name},
        note=f"The first {len(subjects)} of {of}." if of > len(subjects) else "",
    )


def _untuned_line() -> Mapping[str, Any]:
    shape = {"type": "line", "xref": "x", "yref": "paper", "x0": 1, "x1": 1, "y0": 0, "y1": 1}
    return shape | {"line": {"color": BASELINE_COLOUR, "dash": "dot", "width": 1}, "layer": "below"}
