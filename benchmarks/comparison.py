"""How often a comparison is wrong: the same artifact as two cells, and two whose work differs by a twentieth.

The two networks are chains of 20 and of 21 equal convolutions, compiled without tuning and measured on a real device.
Half of the comparisons are made beside a load on the other cores. How the sentinel kernel takes such loads is recorded
too, since the bounds of `sweep.analysis.taint` rest on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.results import conditions, print_table, save
from sweep.analysis.comparing.comparison import CellComparison, compare_cells
from sweep.analysis.comparing.measured_cell import Block, MeasuredCell, PairedBlocks
from sweep.analysis.rows.measurements import repeats_of
from sweep.api.comparing.block_pairs import REPEATS
from sweep.api.session.engine_session import EngineSession
from sweep.devices.measuring.timing import RETAKES
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Stage
from sweep.planning.stages.measure import measure_options
from sweep.running.contract import Attempt, Done, Engine
from sweep.running.ledger.ledger import read_ledger
from sweep.running.ledger.saved_plan import restore
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.spec import Measure

__all__ = ["bench_comparison"]

LAYERS = {"a": 20, "b": 21}
COMPARISONS = 30
WRONG_AT_MOST, FOUND_AT_LEAST = 2, 27
LAST_LOOK_PAIRS = 27
"""A comparison that is AMBIGUOUS after so many, disturbed ones included, stays so."""
TRUTH_SHARE, KERNEL_SHARE = 0.1, 0.15
"""Of the minutes: for the true ratio, and for the kernel."""
STUDY = """
study: comparison
question: Is a network with a twentieth more work told from the one without?
models: [a.onnx, b.onnx]
tuners: [none]
opt_levels: [1]
reference: []
measure: {min_repeat_ms: 50}
"""
CLUSTER = "{name: comparison, engine: inline, devices: [{key: here, cores: [-1]}]}"
BURNER = """
import os, sys, numpy
os.sched_setaffinity(0, {int(core) for core in sys.argv[1].split(",")})
a = numpy.random.rand(700, 700).astype("float32")
while os.getppid() == int(sys.argv[2]):
    a @ a
"""


@dataclass(frozen=True, slots=True)
class _Artifact:
    name: str
    inputs: Mapping[str, StageResult]
    """Results of the stages that a measurement takes."""
    number: int


def bench_comparison(folder: Path, minutes: float) -> None:
    """Prints how often equal cells were called different, and different ones told apart; all of it is saved.

    minutes: for everything after the two networks are built. Where they are over before, fewer comparisons were made.
    """
    before = conditions(minutes=minutes)
    cluster, artifacts = _build(folder)
    device = cluster.devices[0]
    others = sorted(os.sched_getaffinity(0) - set(device.cores))
    with EngineSession(replace(cluster, engine="inline"), folder / "sweep") as engine:
        bench = _Bench(engine, device)
        truth = bench.truth(artifacts, 60 * minutes * TRUTH_SHARE)
        kernel = bench.kernel(artifacts["a"], others, 60 * minutes * KERNEL_SHARE)
        end_t = time.monotonic() + 60 * minutes * (1 - TRUTH_SHARE - KERNEL_SHARE)
        made = list(bench.comparisons(artifacts, others, end_t))
    data = {"conditions": before, "after": conditions(), "truth": truth, "kernel": kernel, "comparisons": made}
    save(folder, "comparison", data)
    _tell(truth, kernel, made)


def _build(folder: Path) -> tuple[Cluster, dict[str, _Artifact]]:
    """Both networks as `sweep run` makes them."""
    import sweep
    from sweep.study.gate import load_cluster, load_study

    for name, layers in LAYERS.items():
        _write_network(folder / f"{name}.onnx", layers)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "cluster.yaml").write_text(CLUSTER)
    study, cluster = load_study(folder / "study.yaml"), load_cluster(folder / "cluster.yaml")
    sweep.run(study, cluster, out=folder / "sweep")
    done, found = read_ledger(folder / "sweep").done, {}
    for planned in restore(folder / "sweep").plan.cells:
        results = {done[stage].kind: done[stage].result for stage in planned.stages}
        measured = results.pop("measure")
        assert isinstance(measured, Measurement)
        found[planned.cell.model] = _Artifact(planned.cell.model, results, measured.number or 1)
    return cluster, found


def _write_network(path: Path, layers: int) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(0)
    nodes, weights = [], []
    for layer in range(layers):
        weight = (draw.standard_normal((32, 32, 3, 3)) / 17).astype("float32")  # keeps the activations' size
        weights.append(numpy_helper.from_array(weight, f"w{layer}"))
        nodes.append(helper.make_node("Conv", [f"x{layer}", f"w{layer}"], [f"x{layer + 1}"], pads=[1] * 4))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 32, 14, 14]) for name in ("x0", f"x{layers}")]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))


class _Bench:
    """Measures artifacts on one device."""

    def __init__(self, engine: Engine, device: Device) -> None:
        self._engine, self._device, self._ids = engine, device, count()

    def truth(self, artifacts: Mapping[str, _Artifact], seconds: float) -> dict[str, Any]:
        """The ratio of the two, from pairs of blocks for so long."""
        pairs: list[tuple[dict[str, Any], dict[str, Any]]] = []
        end_t = time.monotonic() + seconds
        while time.monotonic() < end_t or len(pairs) < 2:
            pairs.append(self._pair(artifacts["a"], artifacts["b"], len(pairs)))
        ratios = [median(second["run_secs"]) / median(first["run_secs"]) for first, second in pairs]
        return {"pairs": len(pairs), "ratio": median(ratios), "ratios": ratios, "expected": LAYERS["b"] / LAYERS["a"]}

    def kernel(self, artifact: _Artifact, others: Sequence[int], seconds: float) -> dict[str, list[dict[str, Any]]]:
        """Blocks with the kernel's times around them: on a quiet machine, beside a load, and under one."""
        found: dict[str, list[dict[str, Any]]] = {}
        for name, cores in {"quiet": [], "load on others": others, "load on its own": self._device.cores}.items():
            found[name] = []
            with _load(cores):
                end_t = time.monotonic() + seconds / 3
                while time.monotonic() < end_t or not found[name]:
                    result = self._block(artifact)
                    found[name].append(
                        {key: result[key] for key in ("reference_before_s", "reference_after_s", "tainted")}
                    )
        return found

    def comparisons(
        self, artifacts: Mapping[str, _Artifact], others: Sequence[int], end_t: float
    ) -> Iterator[dict[str, Any]]:
        """Of equal and of different cells by turns, every other pair of those beside a load."""
        for number in range(2 * COMPARISONS):
            if time.monotonic() > end_t:
                return
            kind, is_loaded = ("A/A", "A/B")[number % 2], number // 2 % 2 == 1
            second = artifacts["a" if kind == "A/A" else "b"]
            with _load(others if is_loaded else []):
                ended = self._compare(artifacts["a"], second, end_t)
            if ended is None:
                return
            at_first, found = ended
            told = {
                "kind": kind,
                "loaded": is_loaded,
                "first_verdict": str(at_first.found.verdict),
                **found.as_dict(),
            }
            print(f"{kind}{' loaded' if is_loaded else ''}: {told['first_verdict']}; {told['verdict']}", flush=True)
            yield told

    def _compare(
        self, first: _Artifact, second: _Artifact, end_t: float
    ) -> tuple[CellComparison, CellComparison] | None:
        """By a measurement of each in turns, as in a sweep; and by more of both where that does not tell. None where
        the time is over before.
        """
        options = asdict(Measure(min_repeat_ms=50))
        results = self._perform([(first, options), (second, options)])
        one, other = (_cell(name, self._device.key, result) for name, result in zip("ab", results, strict=True))
        at_first = found = compare_cells(one, other)
        taken: list[dict[str, Any]] = []
        while not found.is_decided and len(taken) < LAST_LOOK_PAIRS:
            for _ in range(found.pairs_wanted):
                if time.monotonic() > end_t:
                    return None
                taken.append({"cells": ["a", "b"], "blocks": self._pair(first, second, len(taken), RETAKES)})
            found = compare_cells(one, other, more=PairedBlocks.of(taken, "a", "b"))
        return at_first, found

    def _pair(
        self, first: _Artifact, second: _Artifact, number: int, retakes: int = 0
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        if number % 2:
            other, one = self._block(second, retakes), self._block(first, retakes)
            return one, other
        return self._block(first, retakes), self._block(second, retakes)

    def _block(self, artifact: _Artifact, retakes: int = 0) -> dict[str, Any]:
        measure = Measure(repeat=REPEATS, max_repeat=REPEATS, rounds=1, relative_interval=0.0, number=artifact.number)
        (result,) = self._perform([(artifact, {**asdict(measure), "retakes": retakes})])
        return result

    def _perform(self, wanted: Sequence[tuple[_Artifact, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        attempts = []
        for artifact, measure in wanted:
            options = measure_options("tvm", "float32", self._device, measure)
            stage = Stage(f"comparison-{next(self._ids)}", "measure", options, {}, (), f"measure {artifact.name}")
            attempts.append(Attempt(stage, 1, artifact.inputs))
        for attempt in attempts:
            self._engine.start(attempt)
        ended: dict[str, dict[str, Any]] = {}
        while len(ended) < len(attempts):
            for report in self._engine.poll(0.5):
                if not isinstance(report, Done):
                    raise RuntimeError(f"a measurement failed: {report}")
                ended[report.stage_id] = report.result.to_json()
        return [ended[attempt.stage.id] for attempt in attempts]


def _cell(name: str, device: str, result: Mapping[str, Any]) -> MeasuredCell:
    told = result.get("blocks") or [result]
    times = [{**result["conditions"], **block["conditions"]}.get("at_before") for block in told]
    blocks = [
        Block(tuple(run_secs), t) for run_secs, t in zip(repeats_of(Measurement.from_json(result)), times, strict=True)
    ]
    kernel = [*result["reference_before_s"], *result["reference_after_s"]]
    kernel_ms = median(kernel) * 1e3 if kernel else None
    disturbed = "; ".join(Measurement.from_json(result).disturbances) or None
    return MeasuredCell(name, name, tuple(blocks), device, "here", None, kernel_ms, disturbed)


@contextmanager
def _load(cores: Sequence[int]) -> Iterator[None]:
    """A matrix product on each of these cores, over and over."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", BURNER]
    burners = [subprocess.Popen([*command, str(core), str(os.getpid())], env=environment) for core in cores]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def _tell(truth: Mapping[str, Any], kernel: Mapping[str, Any], made: Sequence[Mapping[str, Any]]) -> None:
    print(f"true ratio b/a: {truth['ratio']:.4f} from {truth['pairs']} pairs; by its layers {truth['expected']:.4f}")
    _tell_kernel(kernel)
    rows = []
    for kind in ("A/A", "A/B"):
        for loaded in (False, True):
            own = [one for one in made if (one["kind"], one["loaded"]) == (kind, loaded)]
            verdicts, at_first = (Counter(one[key] for one in own) for key in ("verdict", "first_verdict"))
            names = ("FASTER", "SLOWER", "SAME", "AMBIGUOUS")
            counts = [f"{verdicts[name]} ({at_first[name]})" for name in names]
            rows.append([kind, "on the others" if loaded else "none", len(own), *counts])
    header = ["cells", "load", "comparisons", "FASTER", "SLOWER", "SAME", "AMBIGUOUS"]
    print_table("verdicts with --measure-more, in brackets without", header, rows)
    equal, other = ([one["verdict"] for one in made if one["kind"] == kind] for kind in ("A/A", "A/B"))
    wrong = sum(verdict in ("FASTER", "SLOWER") for verdict in equal)
    print(f"A/A: {wrong} of {len(equal)} called different; at most {WRONG_AT_MOST} of {COMPARISONS} may be")
    found = other.count("FASTER")
    print(f"A/B: found in {found} of {len(other)}; at least {FOUND_AT_LEAST} of {COMPARISONS} must be")


def _tell_kernel(kernel: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Distributions that the bounds of `sweep.analysis.taint` are chosen from."""
    around = {
        name: [(median(one["reference_before_s"]), median(one["reference_after_s"])) for one in blocks]
        for name, blocks in kernel.items()
    }
    best_s = min(min(pair) for pairs in around.values() for pair in pairs)
    rows = []
    for name, pairs in around.items():
        slower = [max(pair) / best_s - 1 for pair in pairs]
        drift = [max(pair) / min(pair) - 1 for pair in pairs]
        tainted = sum(bool(one["tainted"]) for one in kernel[name]) / len(pairs)
        for what, values in (("slower than its best", slower), ("before and after", drift)):
            shares = [f"{100 * share:.1f} %" for share in np.percentile(values, (50, 90, 95, 99, 100))]
            rows.append([name, what, len(pairs), *shares, f"{100 * tainted:.0f} %"])
    header = ["machine", "sentinel kernel", "blocks", "median", "p90", "p95", "p99", "largest", "blocks tainted"]
    print_table(f"sentinel kernel, best {best_s * 1e3:.3f} ms", header, rows)
