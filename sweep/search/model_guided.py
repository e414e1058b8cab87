"""`xgb` and `mlp`: a population that evolves on a cost model's predictions; only the best predicted are measured.

The model starts from the prior cost of the nest, so the first round is worth measuring, and it learns across workloads.
All of it is arithmetic on decisions: a round costs a tenth of a second, whatever the population.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweep.search.learning.cost_model import BoostedTrees, CostModel, Perceptron
from sweep.search.learning.features import FeatureTable, Floats
from sweep.search.learning.prior import prior_cycles
from sweep.search.random_search import RandomSearch
from sweep.search.space import Point, Points, Space, as_points
from sweep.search.strategy import Observation, Visited, generator

__all__ = ["MlpStrategy", "XgbStrategy"]

_PARENTS = 0.25  # of a population
_ELITES = 16  # best measured points that take part in each round
_EXPLORED = 0.1  # of a round, drawn evenly
_FIRST_DRAW = 8  # times the population, of which the best predicted are kept
_SAMPLE = 256


class ModelGuidedStrategy:
    """Options: population, generations, round."""

    name: str
    regressor: type[BoostedTrees] | type[Perceptron]

    def __init__(self, options: Mapping[str, Any], seed: int) -> None:
        self.population = int(options.get("population") or 512)
        self.generations = int(options.get("generations") or 3)
        self.seed = seed
        self.model = CostModel(self.regressor, seed, max(4, int(options.get("round") or 16) // 2))
        self.taught: set[tuple[str, Point]] = set()
        """What the model knows already: a search that is made again is told of the same points again."""

    def search(self, workload: str, space: Space) -> ModelGuidedSearch:
        """A search for one workload, on the model that all share."""
        return ModelGuidedSearch(self, workload, space)


class XgbStrategy(ModelGuidedStrategy):
    """`xgb`: the cost model is XGBoost's boosted trees."""

    name = "xgb"
    regressor = BoostedTrees


class MlpStrategy(ModelGuidedStrategy):
    """`mlp`: the cost model is a perceptron, which needs torch."""

    name = "mlp"
    regressor = Perceptron

    def __init__(self, options: Mapping[str, Any], seed: int) -> None:
        super().__init__(options, seed)
        import torch  # noqa: F401 - to be told now, not after the first round


class ModelGuidedSearch:
    """A population of points of one workload, which evolves on the cost model's predictions."""

    def __init__(self, tuner: ModelGuidedStrategy, workload: str, space: Space) -> None:
        self._tuner, self._workload, self._space = tuner, workload, space
        self._table = FeatureTable(space)
        self._visited = Visited()
        self._rng = generator(tuner.seed, tuner.name, workload)
        self._random = RandomSearch(space, tuner.seed, f"{tuner.name} {workload}", self._visited)
        self._measured: dict[Point, float] = {}
        self._usual_log_prior = self._median_log_prior()

    def propose(self, count: int) -> Sequence[Point]:
        """The best predicted of an evolved population, and a few drawn evenly."""
        if self._space.size <= 4 * count:
            return self._random.propose(count)
        explored = int(self._rng.binomial(count, _EXPLORED)) if self._measured else 0
        ranked = self._evolved(4 * count)
        chosen = self._visited.fresh(ranked, count - explored)
        return chosen + self._random.propose(count - len(chosen))

    def observe(self, observations: Sequence[Observation]) -> None:
        """Teach the model."""
        self._visited.add([observation.point for observation in observations])
        self._teach(observations, self._workload)
        for observation in observations:
            if observation.seconds is not None:
                self._measured[observation.point] = observation.seconds

    def learn(self, observations: Sequence[Observation]) -> None:
        """Teach the model what another device or sweep has measured, at a level of its own."""
        self._teach(observations, f"{self._workload} elsewhere")

    def _teach(self, observations: Sequence[Observation], workload: str) -> None:
        by_design: dict[int, list[Observation]] = {}
        for observation in observations:
            if (workload, observation.point) not in self._tuner.taught:
                self._tuner.taught.add((workload, observation.point))
                by_design.setdefault(observation.point[0], []).append(observation)
        for design, new in by_design.items():
            features, log_prior = self._described(design, np.asarray([one.point[1:] for one in new], np.int32))
            for row, prior, one in zip(features, log_prior, new, strict=True):
                self._tuner.model.add(self._space.signature, workload, row, float(prior), one.seconds)

    def _evolved(self, wanted: int) -> list[Point]:
        population = self._best([(d, rows) for d, rows in self._drawn()], self._tuner.population)
        for _ in range(self._tuner.generations - 1):
            parents = self._parents(population)
            children = []
            for design, rows in parents:
                amount = max(1, self._tuner.population * len(rows) // sum(len(r) for _, r in parents))
                picks = rows[self._rng.integers(len(rows), size=amount)]
                others = rows[self._rng.integers(len(rows), size=amount)]
                crossed = np.where(
                    self._rng.random((amount, 1)) < 0.5, self._space.cross(picks, others, self._rng), picks
                )
                children.append((design, self._space.mutate(design, crossed, self._rng)))
            population = self._best([*population.items(), *children], self._tuner.population)
        scored = [
            (score, point)
            for design, rows in population.items()
            for score, point in zip(self._scores(design, rows), as_points(design, rows), strict=True)
            if point not in self._visited
        ]
        scored.sort(key=lambda item: item[0])
        return [point for _, point in scored[:wanted]]

    def _drawn(self) -> list[tuple[int, Points]]:
        drawn = list(self._space.sample(_FIRST_DRAW * self._tuner.population, self._rng))
        elites = sorted(self._measured, key=lambda point: (self._measured[point], point))[:_ELITES]
        for design in sorted({point[0] for point in elites}):
            rows = np.asarray([point[1:] for point in elites if point[0] == design], np.int32)
            near = np.repeat(rows, max(1, self._tuner.population // max(1, len(rows)) // 2), axis=0)
            drawn.append((design, self._space.mutate(design, near, self._rng)))
        return drawn

    def _parents(self, population: Mapping[int, Points]) -> list[tuple[int, Points]]:
        best = self._best(list(population.items()), max(2, int(self._tuner.population * _PARENTS)))
        return list(best.items())

    def _best(self, groups: Sequence[tuple[int, Points]], count: int) -> dict[int, Points]:
        """The best predicted points over all designs, each once."""
        by_design: dict[int, list[Points]] = {}
        for design, rows in groups:
            by_design.setdefault(design, []).append(rows)
        unique = {design: np.unique(np.concatenate(rows), axis=0) for design, rows in by_design.items()}
        scores = {design: self._scores(design, rows) for design, rows in unique.items()}
        if not scores:
            return {}
        every = np.concatenate(list(scores.values()))
        bar = np.partition(every, min(count, len(every)) - 1)[min(count, len(every)) - 1]
        kept = {design: rows[scores[design] <= bar] for design, rows in unique.items()}
        return {design: rows for design, rows in kept.items() if len(rows)}

    def _scores(self, design: int, rows: Points) -> Floats:
        """Predicted log cost, with a breath of noise that breaks ties: the prior knows many points of equal cost."""
        features, log_prior = self._described(design, rows)
        predicted = self._tuner.model.predict(self._space.signature, features, log_prior)
        return predicted + self._rng.normal(0.0, 1e-3, size=len(rows))

    def _described(self, design: int, rows: Points) -> tuple[Floats, Floats]:
        features = self._table.of(design, rows)
        cycles = prior_cycles(self._space, self._table, design, rows)
        return features, np.full(len(rows), self._usual_log_prior) if cycles is None else np.log(cycles)

    def _median_log_prior(self) -> float:
        """What a point of a design without a prior counts as, so that it is neither favoured nor shut out."""
        rng = generator(self._tuner.seed, self._tuner.name, "prior", self._workload)
        known = [
            cycles
            for design, rows in self._space.sample(_SAMPLE, rng)
            if (cycles := prior_cycles(self._space, self._table, design, rows)) is not None
        ]
        return float(np.median(np.log(np.concatenate(known)))) if known else 0.0
