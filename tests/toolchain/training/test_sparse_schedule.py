"""When weights go while a network trains."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.toolchain.training.sparse_schedule import SparseSchedule, rates_of

STEPS = st.integers(0, 40)


@given(STEPS, STEPS, STEPS, st.integers(1, 20))
def test_the_share_rises_from_nothing_to_all_within_the_sparse_steps(
    pretrain: int, sparse: int, finetune: int, frequency: int
) -> None:
    schedule = SparseSchedule(pretrain, sparse, finetune, frequency)
    told = [(step, share) for step in range(1, schedule.steps + 1) if (share := schedule.share(step)) is not None]
    steps, shares = [step for step, _ in told], [share for _, share in told]
    assert shares == sorted(shares)
    assert all(0 < share <= 1 for share in shares)
    assert all(pretrain < step <= pretrain + sparse or sparse == 0 for step in steps)
    if sparse:
        assert told[-1] == (pretrain + sparse, 1.0)
        assert all((step - pretrain) % frequency == 0 for step in steps[:-1])


def test_most_go_early() -> None:
    schedule = SparseSchedule(100, 100, 50, 10)
    assert schedule.share(100) is None
    assert schedule.share(110) == pytest.approx(1 - 0.9**3)
    assert schedule.share(115) is None
    assert schedule.share(150) == pytest.approx(0.875)


def test_speed_falls_once_no_more_weights_go() -> None:
    schedule = SparseSchedule(100, 100, 50, 10)
    assert [schedule.speed(step) for step in (0, 150, 200)] == [1.0, 1.0, 1.0]
    assert schedule.speed(225) == pytest.approx(0.505)
    assert schedule.speed(250) == pytest.approx(0.01)
    assert SparseSchedule(100, 0, 0, 10).speed(50) == pytest.approx(0.505)


LAYERS = {"features.0.weight": (8, 1, 3, 3), "features.3.weight": (16, 8, 3, 3), "head.weight": (10, 64)}


def test_a_layer_has_the_rate_of_its_pattern_or_the_level() -> None:
    told = {"exclude_first": True, "distribution": "uniform"}
    assert rates_of(LAYERS, 0.8, {"features.3.*": 0.9}, **told) == [0.0, 0.9, 0.8]
    assert rates_of(LAYERS, 0.8, {"features.*": 0.5}, **told) == [0.5, 0.5, 0.8]
    with pytest.raises(ValueError, match="tail"):
        rates_of(LAYERS, 0.8, {"tail*": 0.5})


@given(st.floats(0, 0.99), st.lists(st.tuples(*[st.integers(1, 64)] * 3), min_size=1, max_size=6))
def test_layers_together_lose_the_level_and_small_ones_less(level: float, shapes: list[tuple[int, ...]]) -> None:
    layers = {str(number): shape for number, shape in enumerate(shapes)}
    sizes = {layer: math.prod(shape) for layer, shape in layers.items()}
    found = dict(zip(layers, rates_of(layers, level, {}), strict=True))
    assert all(0 <= rate <= 1 for rate in found.values())
    assert sum(found[layer] * size for layer, size in sizes.items()) == pytest.approx(
        level * sum(sizes.values()), abs=1e-6
    )
    dense = {layer: sum(shape) / sizes[layer] for layer, shape in layers.items()}
    by_density = sorted(layers, key=lambda layer: dense[layer])
    assert all(found[one] >= found[other] - 1e-9 for one, other in pairwise(by_density))
