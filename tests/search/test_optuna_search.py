"""Optuna's samplers as tuners: what they are told, and what they make of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from sweep.errors import TuneFailed
from sweep.search.catalogue import make_tuner
from sweep.search.optuna_search import SAMPLERS
from sweep.search.space import Design, Knob, Point, Space
from sweep.search.strategy import Observation
from sweep.search.testing import check_tuner, conv_space
from sweep.study.tuners.tuner_forms import CATALOGUE
from tests.search.surfaces import tuned

CONV = conv_space()


@pytest.fixture(autouse=True)
def optuna() -> Any:
    return pytest.importorskip("optuna")


def test_a_study_can_name_every_sampler() -> None:
    assert CATALOGUE["optuna"].model_json_schema()["properties"]["sampler"]["enum"] == list(SAMPLERS)


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "tpe"])
def test_every_sampler_keeps_the_contract(sampler: str) -> None:
    check_tuner(lambda seed: make_tuner("optuna", {"sampler": sampler}, seed))


def test_no_two_samplers_try_the_same() -> None:
    sets = {tuple(sorted(ask(sampler, 32))) for sampler in SAMPLERS}
    assert len(sets) == len(SAMPLERS)


def ask(sampler: str, count: int) -> Sequence[Point]:
    points = make_tuner("optuna", {"sampler": sampler}, 0).search("a", CONV).propose(count)
    assert len(points) == count
    return points


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii"])
def test_what_learns_goes_downhill(sampler: str) -> None:
    knob = Knob("choice", tuple((n,) for n in range(100)))
    space = Space((Design((knob, knob)), Design((knob, knob))))
    cost = lambda point: 1.0 + abs(point[1] - 30) + abs(point[2] - 60)  # noqa: E731
    tried = tuned("optuna", space, cost, trials=128, options={"sampler": sampler})
    seconds = [one for _, one in tried]
    assert np.median(seconds[-32:]) < 0.6 * np.median(seconds[:16])


def test_it_learns_from_what_was_measured_before_it_began() -> None:
    """One knob decides, and only points of others say so: the first that are asked for lie where those are fast."""
    knob = Knob("choice", tuple((n,) for n in range(200)))
    space = Space((Design((knob, knob)), Design((knob,))))
    search = make_tuner("optuna", {}, 0).search("a", space)
    rng = np.random.default_rng(0)
    told = [(0, int(a), int(b)) for a, b in rng.integers(200, size=(60, 2))]
    search.observe([Observation(point, 1e-3 * (1 + point[1])) for point in told])
    firsts = [point[1] for point in search.propose(16) if point[0] == 0]
    assert len(firsts) >= 8
    assert np.median(firsts) < 50


def test_it_keeps_away_from_what_fails() -> None:
    knob = Knob("choice", tuple((n,) for n in range(100)))
    space = Space((Design((knob, knob)),))
    search = make_tuner("optuna", {}, 0).search("a", space)
    found: list[Point] = []
    for _ in range(6):
        points = search.propose(16)
        found += points
        search.observe([Observation(point, None if point[1] < 50 else 1e-3) for point in points])
    assert sum(point[1] < 50 for point in found[-48:]) < 12


def test_a_search_that_is_made_again_draws_what_is_new() -> None:
    first = make_tuner("optuna", {"sampler": "random"}, 0).search("a", CONV)
    told = list(first.propose(32))
    again = make_tuner("optuna", {"sampler": "random"}, 0).search("a", CONV)
    again.observe([Observation(point, 1e-3) for point in told])
    assert len(set(again.propose(16)) - set(told)) == 16


def test_nothing_is_told_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    for sampler in SAMPLERS:
        tuned("optuna", CONV, lambda _: 1.0, trials=32, options={"sampler": sampler})
    assert capfd.readouterr() == ("", "")


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(TuneFailed, match=r"needs optuna, which is not installed: pip install 'tvm-sweep\[optuna\]'"):
        make_tuner("optuna", {}, 0)
