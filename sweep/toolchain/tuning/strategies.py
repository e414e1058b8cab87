"""The tuners: what each name means in MetaSchedule's terms.

A tuner is a search strategy for one workload at a time and, where it learns, a cost model shared by all workloads of
its actor. All are reproducible from (study seed, workload, trials there already are).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.errors import TuneFailed

if TYPE_CHECKING:
    from tvm.s_tir.meta_schedule.cost_model import CostModel
    from tvm.s_tir.meta_schedule.search_strategy import SearchStrategy

__all__ = ["Strategy", "seed_of", "strategy_of"]

_WARM_UP_SAMPLES = 48  # candidates measured before the model's predictions beat chance; stock waits for 100


@dataclass(frozen=True, slots=True)
class Strategy:
    """One tuner with its options."""

    name: str
    round_size: int
    """Candidates asked for at once."""
    make_search: Callable[[], SearchStrategy]
    make_cost_model: Callable[[int], CostModel | None]
    """From a seed; None for a tuner that does not learn."""


def strategy_of(name: str, options: Mapping[str, Any]) -> Strategy:
    """The strategy of a tuner's name.

    Raises:
        TuneFailed: the name is not known here.
    """
    try:
        return _STRATEGIES[name](options)
    except KeyError as error:
        raise TuneFailed(f"no search strategy for tuner {name!r}") from error


def seed_of(seed: int, *parts: object) -> int:
    """A seed in [1, 2^31 - 1), TVM's range, from the study's seed and what makes this use of it different."""
    digest = hashlib.sha256(repr((seed, *parts)).encode()).digest()
    return random.Random(digest).randrange(1, 2**31 - 1)


def _random(options: Mapping[str, Any]) -> Strategy:
    def make_search() -> SearchStrategy:
        from tvm.s_tir.meta_schedule.search_strategy import ReplayTrace

        return ReplayTrace()

    return Strategy("random", int(options.get("round", 16)), make_search, lambda seed: None)


def _xgb(options: Mapping[str, Any]) -> Strategy:
    def make_search() -> SearchStrategy:
        from tvm.s_tir.meta_schedule.search_strategy import EvolutionarySearch

        population = int(options["population"])
        return EvolutionarySearch(
            population_size=population,
            init_min_unmeasured=min(50, max(8, population // 4)),
            genetic_num_iters=int(options["generations"]),
        )

    def make_cost_model(seed: int) -> CostModel:
        import numpy
        from tvm.s_tir.meta_schedule.cost_model import XGBModel
        from tvm.s_tir.meta_schedule.cost_model.xgb_model import XGBConfig

        numpy.random.seed(seed % 2**32)  # noqa: NPY002 - XGBModel draws its first predictions from numpy's global state
        return XGBModel(config=XGBConfig(seed=seed, nthread=1), num_warmup_samples=_WARM_UP_SAMPLES, verbose_eval=0)

    return Strategy("xgb", int(options["round"]), make_search, make_cost_model)


_STRATEGIES: dict[str, Callable[[Mapping[str, Any]], Strategy]] = {"random": _random, "xgb": _xgb}
