"""`optuna`: samplers of the optimiser Optuna, which are asked for points and told what became of them.

Each workload is an Optuna study in memory. Its parameters are the design and every knob of any design, once: designs of
one workload share most of their tiles, so a parameter learns from all of them, and the parameters are the same in each
trial, which samplers that look at several parameters at a time need. A knob that the chosen design does not have is
drawn as well and changes nothing.

Knows how to ask and tell; which points are new, and what follows where a sampler only repeats itself, is decided here.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweep.search.random_search import RandomSearch
from sweep.search.space import Point, Space
from sweep.search.strategy import Observation, Visited, generator

__all__ = ["SAMPLERS", "OptunaStrategy"]

SAMPLERS = ("tpe", "nsgaii", "qmc", "random")
"""Those that need no package beside Optuna: its CMA-ES asks for `cmaes`, its Gaussian process for torch."""

_TRIES = 4  # times that a sampler is asked for each point that is missing: it may repeat itself
_FEW = 4  # rounds: a space that is searched whole soon needs no sampler
_DESIGN = "design"


class OptunaStrategy:
    """Options: sampler; round, which is the population of `nsgaii`."""

    def __init__(self, options: Mapping[str, Any], seed: int) -> None:
        try:
            import optuna
        except ModuleNotFoundError as error:
            raise ValueError("needs optuna, which is not installed: pip install 'tvm-sweep[optuna]'") from error
        self._sampler, self._seed = str(options.get("sampler") or "tpe"), seed
        self._population = max(2, int(options.get("round") or 16))
        if self._sampler not in SAMPLERS:
            raise ValueError(f"sampler {self._sampler!r} is none of {', '.join(SAMPLERS)}")
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # else each study and trial is told on stderr

    def search(self, workload: str, space: Space) -> OptunaSearch:
        """A search for one workload."""
        return OptunaSearch(space, self._seed, f"optuna {self._sampler} {workload}", self._made)

    def _made(self, seed: int) -> Any:
        from optuna import exceptions, samplers

        if self._sampler == "tpe":
            return samplers.TPESampler(seed=seed)
        if self._sampler == "nsgaii":
            return samplers.NSGAIISampler(seed=seed, population_size=self._population)
        if self._sampler == "random":
            return samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
            return samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)


class OptunaSearch:
    """The search for one workload."""

    def __init__(self, space: Space, seed: int, workload: str, sampler: Callable[[int], Any]) -> None:
        self._space, self._seed, self._workload, self._sampler = space, seed, workload, sampler
        self._visited, self._told = Visited(), set[Point]()
        self._random = RandomSearch(space, seed, workload, self._visited)
        self._parameters = _Parameters(space)
        self._open: dict[Point, Any] = {}
        self._study: Any = None

    def propose(self, count: int) -> Sequence[Point]:
        """What the sampler asks for; points drawn evenly where it repeats itself, and in a space of a few rounds."""
        chosen: list[Point] = []
        for _ in range(_TRIES * count if self._space.size > _FEW * count else 0):
            if len(chosen) == count:
                break
            trial = self._begun().ask(self._parameters.distributions)
            point = self._parameters.point(trial.params)
            if self._visited.fresh([point], 1):
                self._open[point] = trial
                chosen.append(point)
            else:
                self._study.tell(trial, state=_state("FAIL"))  # counts as nothing: its value is known or on its way
        return chosen + self._random.propose(count - len(chosen))

    def observe(self, observations: Sequence[Observation]) -> None:
        """Tell the sampler, also of points that it did not ask for. One that failed is slower than all others."""
        self._visited.add([observation.point for observation in observations])
        for observation in observations:
            if observation.point in self._told or not self._parameters:
                continue
            self._told.add(observation.point)
            seconds = math.inf if observation.seconds is None else observation.seconds
            if (trial := self._open.pop(observation.point, None)) is not None:
                self._study.tell(trial, seconds)
            else:
                self._begun().add_trial(self._foreign(observation.point, seconds))

    def _begun(self) -> Any:
        """The study. A search that is made again has been told of points, and then draws other ones than before."""
        import optuna

        if self._study is None:
            rng = generator(self._seed, self._workload, "begun after", len(self._visited))
            self._study = optuna.create_study(sampler=self._sampler(int(rng.integers(2**31))))
        return self._study

    def _foreign(self, point: Point, seconds: float) -> Any:
        import optuna

        rng = generator(self._seed, "what its design lacks", point)
        params = {name: int(rng.integers(size)) for name, size in self._parameters.sizes.items()}
        params |= self._parameters.values(point)
        return optuna.create_trial(params=params, distributions=self._parameters.distributions, value=seconds)


class _Parameters:
    """The designs and knobs of a space as parameters of a study, by name; what leaves no choice is none."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._names: list[list[str]] = []
        self.sizes: dict[str, int] = {_DESIGN: len(space.designs)}
        known: dict[Any, str] = {}
        for design in space.designs:
            seen: Counter[Any] = Counter()
            names = []
            for knob in design.knobs:
                seen[knob] += 1
                name = known.setdefault((knob, seen[knob]), f"{knob.kind}-{len(known)}")
                self.sizes[name] = len(knob.choices)
                names.append(name)
            self._names.append(names)
        self.sizes = {name: size for name, size in self.sizes.items() if size > 1}
        self.distributions = self._described() if self.sizes else {}

    def __bool__(self) -> bool:
        return bool(self.sizes)

    def point(self, params: Mapping[str, int]) -> Point:
        """The point that values of all parameters mean."""
        design = int(params.get(_DESIGN, 0))
        return (design, *(int(params.get(name, 0)) for name in self._names[design]))

    def values(self, point: Point) -> dict[str, int]:
        """The parameters that a point decides."""
        decided = {_DESIGN: point[0]} | dict(zip(self._names[point[0]], point[1:], strict=True))
        return {name: value for name, value in decided.items() if name in self.sizes}

    def _described(self) -> dict[str, Any]:
        """Choices of a knob stand in an order in which neighbours are alike; designs in none."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        return {
            name: CategoricalDistribution(range(size)) if name == _DESIGN else IntDistribution(0, size - 1)
            for name, size in self.sizes.items()
        }


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]
