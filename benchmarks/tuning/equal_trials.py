"""Tuners at equal trials: how near to the fastest point each comes, by times that are the same for all of them.

Times are made up or recorded, so the comparison is one of trials alone, and other work on the machine changes nothing.

- made up: of a convolution, what the prior cost of its nest says, wrong by a random factor a choice of each knob;
  once with the nest, of which tuners with a prior make use, and once without it, which leaves them the points alone;
- recorded (`--measured`): of a matrix product whose extents have few factors, which leaves some thousand points: `sweep
  run` measures all of them once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from benchmarks.results import conditions, print_table, save
from benchmarks.tuning.ours import start_sweep
from sweep.search.catalogue import make_tuner
from sweep.search.grid_search import GridSearch, GridStrategy
from sweep.search.learning.features import FeatureTable
from sweep.search.learning.prior import prior_cycles
from sweep.search.space import Point, Space
from sweep.search.strategy import Observation
from sweep.search.testing import conv_space

__all__ = ["Recording", "bench_tuners", "load_landscape"]

EXTENTS = (61, 122, 122)
"""M, N and K of the product: 61 is prime, so that each tile has few factors."""
AT = (16, 32, 64)
"""Trials after which tuners are compared."""
SEEDS = 8
_ROUND = 16
_WRONG = 0.35
"""Standard deviation of the logarithm of a made-up error."""
_LIMIT_S = 4 * 3600.0
_SPACE = TypeAdapter(Space)

_Seconds = Callable[[Point], float | None]
"""Of a point; None for one without a schedule."""
TUNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("random", {}),
    "gridsearch": ("gridsearch", {}),
    "ga": ("ga", {}),
    "droplet": ("droplet", {}),
    "xgb": ("xgb", {}),
    **{f"optuna, {name}": ("optuna", {"sampler": name}) for name in ("tpe", "nsgaii", "qmc", "random")},
}


class Recording(GridStrategy):
    """`gridsearch` that writes what it was told of the largest space it met, with the space, into `folder`."""

    def __init__(self, options: Mapping[str, Any], seed: int) -> None:
        super().__init__(options, seed)
        self._folder = Path(options["folder"])

    def search(self, workload: str, space: Space) -> GridSearch:
        """A search for one workload."""
        return _Recorded(space, self._folder / f"{workload}.jsonl")


class _Recorded(GridSearch):
    def __init__(self, space: Space, path: Path) -> None:
        super().__init__(space, 0)
        self._path = path
        path.write_text(
            json.dumps({"size": space.size, "space": _SPACE.dump_python(space, mode="json")}) + "\n", encoding="utf-8"
        )

    def observe(self, observations: Sequence[Observation]) -> None:
        """Write what became of points."""
        super().observe(observations)
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps([list(one.point), one.seconds]) + "\n" for one in observations)


def bench_tuners(folder: Path, *, is_measured: bool) -> None:
    """Print how near to the fastest each tuner comes; measure every point first, unless the folder has them."""
    before = conditions(extents=EXTENTS if is_measured else None, seeds=SEEDS, round=_ROUND, at=AT)
    if is_measured:
        if not list(folder.glob("*.jsonl")):
            _measure(folder)
        space, seconds = load_landscape(folder)
        valid = [value for value in seconds.values() if value is not None]
        title = f"a product of {EXTENTS}, {len(valid)} of {space.size} points valid; times the fastest of all"
        tables = {title: _compared(lambda seed: (space, seconds.get), min(valid))}
    else:
        tables = {
            "a convolution, with its nest; times the best of all tuners": _compared(_made_up),
            "the same times, without the nest": _compared(lambda seed: _without_nest(*_made_up(seed))),
        }
    save(folder, "tuners", {"conditions": before, "tables": {title: dict(found) for title, found in tables.items()}})
    for title, found in tables.items():
        rows = [
            [label, *(f"{np.median(column):.2f} ({column.max():.1f})" for column in np.asarray(values).T)]
            for label, values in found.items()
        ]
        print_table(f"{title}; median of {SEEDS} seeds (worst)", ["trials", *map(str, AT)], rows)


def _compared(
    landscape: Callable[[int], tuple[Space, _Seconds]], fastest: float | None = None
) -> dict[str, list[list[float]]]:
    """Of each tuner, for each seed: the least time after each number of trials, over the fastest that is known."""
    found: dict[str, list[list[float]]] = {label: [] for label in TUNERS}
    for seed in range(SEEDS):
        space, seconds = landscape(seed)
        for label, (name, options) in TUNERS.items():
            found[label].append(_found(name, options, seed, space, seconds))
        known = fastest or min(values[seed][-1] for values in found.values())
        for values in found.values():
            values[seed] = [value / known for value in values[seed]]
    return found


def _made_up(seed: int) -> tuple[Space, _Seconds]:
    space = conv_space()
    table, rng = FeatureTable(space), np.random.default_rng(seed)
    errors = [[rng.normal(0.0, _WRONG, len(knob.choices)) for knob in design.knobs] for design in space.designs]

    def seconds(point: Point) -> float:
        cycles = prior_cycles(space, table, point[0], np.asarray([point[1:]], np.int32))
        assert cycles is not None
        wrong = sum(error[choice] for error, choice in zip(errors[point[0]], point[1:], strict=True))
        return float(1e-9 * cycles[0] * np.exp(wrong))

    return space, seconds


def _without_nest(space: Space, seconds: _Seconds) -> tuple[Space, _Seconds]:
    return replace(space, nest=None), seconds


def load_landscape(folder: Path) -> tuple[Space, dict[Point, float | None]]:
    """The largest space that was recorded, and the seconds of its points; None for one without a schedule."""
    first, *lines = max(folder.glob("*.jsonl"), key=lambda path: path.stat().st_size).read_text().splitlines()
    seconds = {tuple(point): value for point, value in map(json.loads, lines)}
    return _SPACE.validate_python(json.loads(first)["space"]), seconds


def _found(name: str, options: Mapping[str, Any], seed: int, space: Space, seconds: _Seconds) -> list[float]:
    """The least seconds after each number of trials of `AT`."""
    search = make_tuner(name, options, seed).search("replayed", space)
    tried: list[float] = []
    while len(tried) < AT[-1]:
        points = search.propose(min(_ROUND, AT[-1] - len(tried)))
        if not points:
            break
        told = [seconds(point) for point in points]
        search.observe([Observation(point, value) for point, value in zip(points, told, strict=True)])
        tried += [np.inf if value is None else value for value in told]
    return [min(tried[:count]) for count in AT]


def _measure(folder: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    m, n, k = EXTENTS
    weight = np.random.default_rng(0).normal(0, 0.1, (k, n)).astype("float32")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [m, k])],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [m, n])],
        [numpy_helper.from_array(weight, "b")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "product.onnx"
    )
    tuner = {
        "name": "benchmarks.tuning.equal_trials:Recording",
        "label": "all",
        "trials_per_task": 100_000,
        "options": {"folder": str(folder)},
    }
    study = {
        "study": "landscape",
        "models": ["product.onnx"],
        "targets": ["native"],
        "tuners": [tuner],
        "opt_levels": [3],
        "devices": ["local-native"],
        "runtimes": ["tvm"],
    }
    path = folder / "study.yaml"
    path.write_text(json.dumps(study, indent=1), encoding="utf-8")
    print("sweep run measures every point; see output.txt", flush=True)
    with start_sweep(path, folder) as child:
        if child.wait(_LIMIT_S) != 0:
            raise RuntimeError(f"not every point was measured: see {child.output}")
