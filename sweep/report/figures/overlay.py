"""The pictures of an overlay: two for each layer, and one of all layers at a glance."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.formatting import as_percent, plural, significant
from sweep.analysis.overlay.csv_tables import reasons_in_words
from sweep.analysis.overlay.metric import Judgement
from sweep.analysis.overlay.network import NetworkOnDevice, NetworkTimes
from sweep.plain_text import visible
from sweep.report.content_policy import content_policy
from sweep.report.figures.drawing import drawing_scripts, packed_library, page_script, pictures_json
from sweep.report.figures.figure import COLOURS, HEAT, NO_VALUE, Figure, plain_layout

__all__ = ["layer_figures", "network_figures", "overlay_page", "overview"]

_SECTION = "One configuration for all devices"
_METRIC = "M: regrets, summed"
_METRIC_MEANS = (
    "M is the sum over all devices, weighted where they have weights, of how much longer a configuration takes than "
    "the device's best, as a share of that: 0 is the best on each of them."
)
_POINTS_SHOWN = 2000
"""A line: more are not told apart on any screen, and make a page of many layers too heavy."""
_LAYERS_SHOWN = 60
_WORST_SHOWN = 0.5
"""Regret at which a colour ends: the interest is in the low end."""

Rows = NDArray[np.intp]


def overview(layers: Sequence[Judgement]) -> Iterator[Figure]:
    """A map of what the choice loses on each device, the layer that takes longest on top."""
    if not layers:
        return
    heaviest = sorted(layers, key=lambda layer: -layer.times.weight * float(np.nansum(layer.best_s)))
    shown = heaviest[:_LAYERS_SHOWN]
    devices = layers[0].times.devices
    regrets = [None if layer.chosen is None else layer.regrets(layer.chosen).tolist() for layer in shown]
    heat = {
        "type": "heatmap",
        "x": list(devices),
        "y": [layer.times.layer for layer in shown],
        "z": [[None] * len(devices) if line is None else [min(v, _WORST_SHOWN) for v in line] for line in regrets],
        "text": [
            ["no choice"] * len(devices) if line is None else [f"+{as_percent(v)}" for v in line] for line in regrets
        ],
        "texttemplate": "%{text}",
        "textfont": {"size": 13, "color": "#1c2430"},
        "customdata": [[_said(layer)] * len(devices) for layer in shown],
        "hovertemplate": "%{y} on %{x}: %{text}<br>%{customdata}<extra></extra>",
        "hoverongaps": True,
        "colorscale": HEAT,
        "zmin": 0,
        "zmax": _WORST_SHOWN,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
    }
    layout = plain_layout(len(shown), x="device", left=True)
    layout["xaxis"] |= {"type": "category", "showgrid": False}
    layout["yaxis"] |= {"type": "category", "showgrid": False}
    layout["plot_bgcolor"] = NO_VALUE
    undecided = sum(layer.chosen is None for layer in layers)
    about = "How much longer the chosen configuration takes than the device's best, the longest layer on top."
    about += f" {_METRIC_MEANS}"
    about += f" The first {len(shown)} of {len(layers)}." if len(shown) < len(layers) else ""
    about += f" For {plural(undecided, 'layer')} no configuration has a time on every device." if undecided else ""
    yield Figure(_SECTION, "All layers", about, 110 + 28 * len(shown), [heat], layout)


def layer_figures(layer: Judgement) -> Iterator[Figure]:
    """Times of each device, by the time on the first device and by M. Nothing for a layer without a time."""
    if np.isnan(layer.best_s).all():
        return
    yield _by_first_device(layer)
    if layer.chosen is not None:
        yield _by_metric(layer)


def network_figures(networks: Sequence[NetworkOnDevice]) -> Iterator[Figure]:
    """The whole network on each device: built from the merged log, and from the device's own best."""
    measured = [one for one in networks if one.regret is not None]
    if not measured:
        return
    keys = [one.device for one in measured]
    bars = [
        _bars("one configuration for all", keys, [one.merged for one in measured], COLOURS[0]),
        _bars("the device's own best", keys, [one.own for one in measured], COLOURS[1]),
    ]
    layout = plain_layout(0, x="device") | {"barmode": "group"}
    layout["xaxis"] |= {"type": "category", "showgrid": False}
    layout["yaxis"] |= {"title": {"text": "latency (ms)"}, "rangemode": "tozero"}
    layout["legend"] = {"orientation": "h", "y": -0.2, "font": {"size": 11}}
    about = "Built from the merged log and from each device's own best, measured in turns. " + " ".join(
        f"{one.as_text()}." for one in networks
    )
    yield Figure(_SECTION, "The whole network", about, 420, bars, layout)


def overlay_page(figures: Sequence[Figure], title: str) -> str:
    """The pictures as one page that opens from a file and fetches nothing."""
    bodies = (
        f"<figure><figcaption><h2>{_text(figure.title)}</h2>\n<p>{_text(figure.about)}</p></figcaption>\n"
        f'<div class="plot" id="figure-{index}" role="img" aria-label="{_text(figure.title)}" '
        f'style="height:{figure.height}px"></div></figure>'
        for index, figure in enumerate(figures)
    )
    return _PAGE.format(
        title=_text(title),
        policy=html.escape(content_policy(drawing_scripts())),
        body="\n".join(bodies),
        figures=pictures_json(figures),
        plotly=packed_library(),
        script=page_script("figures.js"),
    )


def _text(text: str) -> str:
    return html.escape(visible(text))


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 1rem auto; padding: 0 1rem }}
figure {{ margin: 0 }}</style>
</head>
<body>
<h1>{title}</h1>
{body}
<script type="application/json" id="figure-data">{figures}</script>
<script type="application/gzip" id="plotly-packed">{plotly}</script>
<script>{script}</script>
</body>
</html>
"""


def _by_first_device(layer: Judgement) -> Figure:
    times = layer.times
    # NaN sorts last: what has no time on the first device stands at the end, with its times elsewhere.
    rank = np.lexsort((np.array(times.configurations), times.seconds[:, 0]))
    shown = _thinned(rank, layer.chosen)
    layout = _layout(layer, f"configurations, by time on {times.devices[0]}")
    if layer.chosen is not None:
        at = int(np.flatnonzero(rank == layer.chosen)[0])
        dashed = {"color": "#222", "dash": "dash", "width": 1.5}
        layout["shapes"] = [
            {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": dashed}
        ]
    about = f"{_said(layer)} A line a device; the dashed line is the chosen one. Where a line breaks there is no time."
    return Figure(_SECTION, f"{times.layer}: times", about, 420, _lines(layer, rank, shown), layout)


def _by_metric(layer: Judgement) -> Figure:
    times = layer.times
    rank = np.lexsort((np.array(times.configurations), layer.metric))[: layer.candidates]
    shown = _thinned(rank, layer.chosen)
    metric = {
        "type": "scatter",
        "mode": "lines",
        "name": _METRIC,
        "x": shown.tolist(),
        "y": layer.metric[rank[shown]].tolist(),
        "yaxis": "y2",
        "line": {"color": "#222", "dash": "dash", "width": 1.5},
        "hovertemplate": "M %{y:.4g}<extra></extra>",
    }
    layout = _layout(layer, "configurations, by M")
    layout["yaxis2"] = {"overlaying": "y", "side": "right", "title": {"text": "M"}, "rangemode": "tozero"}
    # Ticks of its own: those of the logarithmic axis are uneven numbers of M
    layout["yaxis2"] |= {"showgrid": False, "zeroline": False, "tickmode": "auto"}
    out = len(times.configurations) - layer.candidates
    about = f"The further left, the better for all devices; M is dashed, on the right. {_METRIC_MEANS}"
    about += f" Without a time on every device, and so without M: {plural(out, 'configuration')}." if out else ""
    return Figure(_SECTION, f"{times.layer}: by M", about, 420, [*_lines(layer, rank, shown), metric], layout)


def _bars(name: str, keys: Sequence[str], times: Sequence[NetworkTimes], colour: str) -> dict[str, Any]:
    """Medians in milliseconds, with the interval of each."""
    found = [one.summary for one in times]
    ms = [None if one is None else one.median * 1e3 for one in found]
    above = [0.0 if one is None or one.ci_high is None else (one.ci_high - one.median) * 1e3 for one in found]
    below = [0.0 if one is None or one.ci_low is None else (one.median - one.ci_low) * 1e3 for one in found]
    return {
        "type": "bar",
        "name": name,
        "x": list(keys),
        "y": ms,
        "error_y": {"type": "data", "array": above, "arrayminus": below, "color": "#222", "thickness": 1},
        "marker": {"color": colour},
        "text": ["" if value is None else significant(value) for value in ms],
        "textposition": "inside",
        "insidetextanchor": "start",
        "hovertemplate": "%{x}: %{y:.4g} ms<extra>%{fullData.name}</extra>",
    }


def _lines(layer: Judgement, rank: Rows, shown: Rows) -> list[dict[str, Any]]:
    """A line a device. `rank`: rows in the order of the x axis. `shown`: ranks on it."""
    times = layer.times
    rows = rank[shown]
    return [
        {
            "type": "scatter",
            # A line through one point has no length; a point between two gaps is a line of one.
            "mode": "lines+markers",
            "marker": {"size": 3},
            "name": key,
            "x": shown.tolist(),
            "y": [None if np.isnan(value) else value * 1e3 for value in times.seconds[rows, column].tolist()],
            "text": [times.configurations[row] for row in rows.tolist()],
            "line": {"width": 1.5, "color": COLOURS[column % len(COLOURS)]},
            "connectgaps": False,
            "hovertemplate": "%{text}<br>%{y:.4g} ms<extra>%{fullData.name}</extra>",
        }
        for column, key in enumerate(times.devices)
    ]


def _thinned(rank: Rows, chosen: int | None) -> Rows:
    """Places on the x axis that are drawn: evenly over it, both ends and the chosen one among them."""
    ranks = np.unique(np.linspace(0, len(rank) - 1, min(len(rank), _POINTS_SHOWN)).round().astype(np.intp))
    return np.union1d(ranks, np.flatnonzero(rank == chosen)) if chosen is not None else ranks


def _layout(layer: Judgement, x: str) -> dict[str, Any]:
    layout = plain_layout(0, x=x)
    layout["yaxis"] |= {"title": {"text": "time (ms)"}, "type": "log"}
    layout["legend"] = {"orientation": "h", "y": -0.2, "font": {"size": 11}}
    return layout


def _said(layer: Judgement) -> str:
    """What was chosen, or why nothing was."""
    if layer.chosen is None:
        return f"No configuration has a time on every device: {reasons_in_words(layer)}."
    largest = as_percent(float(layer.largest[layer.chosen]))
    metric = significant(float(layer.metric[layer.chosen]))
    return f"{layer.config} is chosen, with M {metric}; it takes at most {largest} more than a device's best."
