from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from sweep.analysis.overlay.metric import Judgement, judge
from sweep.analysis.overlay.network import NetworkOnDevice, NetworkTimes
from sweep.report.figures import overlay
from sweep.report.figures.overlay import layer_figures, network_figures, overlay_page, overview
from tests.analysis.overlay.layers import NO, layer

SECONDS = [[3.0, 1.0], [1.0, 4.0], [2.0, 1.25], [NO, 0.5]]


@pytest.fixture
def conv() -> Judgement:
    """c2 is chosen; c3 has no time on the first device."""
    return judge(layer(SECONDS, layer="conv", failures={(3, 0): "BuildFailed: no"}))


def line(figure: overlay.Figure, name: str) -> dict[str, Any]:
    return next(dict(one) for one in figure.data if one["name"] == name)


def test_times_by_the_first_device_with_a_line_at_the_chosen_one(conv: Judgement) -> None:
    times, _ = layer_figures(conv)
    assert line(times, "a")["y"] == [1000.0, 2000.0, 3000.0, None]
    assert line(times, "b")["y"] == [4000.0, 1250.0, 1000.0, 500.0]
    assert line(times, "a")["text"] == ["c1", "c2", "c0", "c3"]
    [chosen] = times.layout["shapes"]
    assert (chosen["x0"], chosen["x1"], chosen["line"]["dash"]) == (1, 1, "dash")


def test_times_by_the_metric_with_the_metric_dashed(conv: Judgement) -> None:
    _, by_metric = layer_figures(conv)
    assert conv.config == "c2"
    assert line(by_metric, "a")["text"] == ["c2", "c0", "c1"]
    metric = line(by_metric, "M: regrets, summed")
    assert metric["y"] == [2.5, 3.0, 7.0]
    assert metric["line"]["dash"] == "dash"
    assert (metric["yaxis"], by_metric.layout["yaxis2"]["side"]) == ("y2", "right")
    assert "and so without M: 1 configuration." in by_metric.about


def test_what_m_is_stands_wherever_it_is_shown(conv: Judgement) -> None:
    for figure in (*overview([conv]), *list(layer_figures(conv))[1:]):
        assert "M is the sum over all devices" in figure.about, figure.title


def test_an_undecided_layer_shows_its_times_and_says_why_and_one_without_times_shows_nothing() -> None:
    [times] = layer_figures(judge(layer([[1.0, NO], [NO, 1.0]])))
    assert "shapes" not in times.layout
    assert "1 not measured on a; 1 not measured on b" in times.about
    assert list(layer_figures(judge(layer([[NO, NO]])))) == []


def test_the_chosen_one_is_drawn_however_many_are_left_out(conv: Judgement, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "_POINTS_SHOWN", 3)
    seconds = np.random.default_rng(0).lognormal(size=(50, 2))
    judged = judge(layer(seconds.tolist()))
    for figure in layer_figures(judged):
        assert judged.config in line(figure, "a")["text"]
        assert 3 <= len(line(figure, "a")["x"]) <= 4
        assert line(figure, "a")["x"][-1] == 49


def test_the_overview_has_the_longest_layer_on_top_and_no_number_where_nothing_was_chosen(conv: Judgement) -> None:
    undecided = judge(layer([[9.0, NO], [NO, 9.0]], layer="pool"))
    [heat] = overview([conv, undecided])
    [trace] = heat.data
    assert trace["y"] == ["pool", "conv"]
    assert trace["z"] == [[None, None], [0.5, 0.5]]
    assert trace["text"] == [["no choice", "no choice"], ["+100 %", "+150 %"]]
    assert "For 1 layer no configuration has a time on every device" in heat.about
    assert list(overview([])) == []


def test_the_page_fetches_nothing_and_figures_are_plain_data(conv: Judgement) -> None:
    figures = [*overview([conv]), *layer_figures(conv)]
    json.dumps([[figure.data, figure.layout] for figure in figures], allow_nan=False)
    page = overlay_page(figures, "a & b </script>")
    assert "<title>a &amp; b &lt;/script&gt;</title>" in page
    assert page.count('class="plot"') == 3
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=\"(?!data:)", page)
    assert 500_000 < len(page) < 2_500_000


def test_the_network_is_shown_with_its_intervals_where_it_was_measured() -> None:
    measured = NetworkOnDevice("a", NetworkTimes([[0.004, 0.005, 0.006]]), NetworkTimes([[0.002]]), 1.0, 1.0)
    failed = NetworkOnDevice("b", NetworkTimes(failure="BuildFailed: no"), NetworkTimes(), 1.0, 1.0)
    [figure] = network_figures([measured, failed])
    merged, own = figure.data
    assert (merged["x"], merged["y"], own["y"]) == (["a"], [5.0], [2.0])
    assert merged["error_y"]["array"][0] == pytest.approx(1.0)
    assert own["error_y"]["array"] == [0.0]
    assert "b: not measured: merged: BuildFailed: no." in figure.about
    assert list(network_figures([failed])) == []
