"""Advice goes by what a layer gains for what it costs, not by its error alone."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.toolchain.quantisation.advice_job import by_gain_for_cost


def _layer(name: str, gain: float | None, place: int, operator: str = "Conv", **more: Any) -> dict[str, Any]:
    about = {"layer": name, "operator": operator, "place": place, "is_quantised": True}
    return about | {"alone_final_cosine_distance": gain} | more


LAYERS = [
    _layer("dear", 0.010, 0),
    _layer("cheap", 0.006, 1),
    _layer("free", 0.0001, 2),
    _layer("sum", 0.5, 3, "Add"),
    _layer("unknown", 0.9, 4),
    _layer("kept", None, 5, is_quantised=False),
]


@pytest.mark.parametrize(
    ("costs", "order"),
    [
        ({"dear": 5e-3, "cheap": 1e-3, "free": -1e-3}, ["cheap", "dear", "free", "unknown"]),
        ({"dear": 1e-3, "cheap": 1e-3, "free": -1e-3}, ["dear", "cheap", "free", "unknown"]),
        ({"dear": 1e-3, "cheap": 1e-3, "free": 1e-7, "unknown": 1.0}, ["dear", "cheap", "unknown", "free"]),
        ({}, ["unknown", "dear", "cheap", "free"]),
    ],
)
def test_layers_come_by_gain_for_cost(costs: dict[str, float], order: list[str]) -> None:
    assert by_gain_for_cost(LAYERS, costs, least_cost_s=1e-3) == order
