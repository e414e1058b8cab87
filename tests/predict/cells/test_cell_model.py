from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest

from sweep.predict.cells import cell_model
from sweep.predict.cells.cell_model import FEWEST, CellModel, Point
from tests.predict.cells.landscapes import landscape, without_pattern


def test_few_cells_tell_nothing() -> None:
    cells = landscape(0)[: FEWEST - 1]
    assert CellModel.fit([point for point, _ in cells], [seconds for _, seconds in cells]) is None


@pytest.mark.parametrize("seed", range(3))
def test_a_quarter_of_a_grid_tells_the_rest_and_how_well(seed: int) -> None:
    cells = landscape(seed)
    Random(seed).shuffle(cells)
    seen, others = cells[:40], cells[40:]
    model = CellModel.fit([point for point, _ in seen], [seconds for _, seconds in seen])
    assert model is not None
    expected, deviation = model.predict([point for point, _ in others])
    errors = np.log([seconds for _, seconds in others]) - expected
    assert np.sqrt((errors**2).mean()) < 0.3, "networks differ by factors of hundreds, tuners by 20"
    assert (errors < -2.326 * deviation).mean() <= 0.03
    assert (np.abs(errors) < 2.326 * deviation).mean() >= 0.95
    assert model.skill > 0.9


def test_where_cells_have_nothing_in_common_it_promises_nothing() -> None:
    cells = without_pattern(1, landscape(1))
    Random(1).shuffle(cells)
    model = CellModel.fit([point for point, _ in cells[:80]], [seconds for _, seconds in cells[:80]])
    assert model is not None
    expected, deviation = model.predict([point for point, _ in cells[80:]])
    errors = np.log([seconds for _, seconds in cells[80:]]) - expected
    assert (errors < -2.326 * deviation).mean() <= 0.04
    assert model.skill < 0.3


def test_a_measured_cell_is_predicted_near_its_value() -> None:
    cells = landscape(2)
    points, seconds = [point for point, _ in cells], [value for _, value in cells]
    model = CellModel.fit(points, seconds)
    assert model is not None
    assert np.abs(model.predict(points)[0] - np.log(seconds)).max() < 0.1


def test_a_large_grid_is_predicted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million cells by a thousand measured ones would take 8 GB for each axis."""
    cells = landscape(0)
    points = [point for point, _ in cells]
    model = CellModel.fit(points[:40], [seconds for _, seconds in cells[:40]])
    assert model is not None
    whole, parts = model.predict(points), cell_model._parts
    together: list[int] = []

    def noted(points: Sequence[Point], *rest: Any) -> dict[str, np.ndarray]:
        together.append(len(points))
        return parts(points, *rest)

    monkeypatch.setattr(cell_model, "_AT_A_TIME", 7)
    monkeypatch.setattr(cell_model, "_parts", noted)
    np.testing.assert_allclose(model.predict(points), whole)
    assert max(together) == 7
