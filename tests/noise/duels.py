"""Finals of a network against itself and against a slower one, with the real device, child processes and lease."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import onnx

from sweep.analysis.final_place import places_of
from sweep.analysis.statistics import Ratio, Verdict, judge
from sweep.api.session.engine_session import EngineSession
from sweep.api.session.single_stage import perform_stage
from sweep.planning.planner import make_plan
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.final_result import IN_TURNS, SIDE_BY_SIDE, FinalResult
from sweep.running.contract import Attempt, Done, Engine
from sweep.study.cluster.cluster import Device
from sweep.study.gate import load_cluster, load_study
from tests.gating_trial.__main__ import network
from tests.noise.bursts import beside_bursts

__all__ = ["try_duels"]

_HERE = "tests.noise.repeated_runtime"
_TRIALS = (("SAME", 1.0, True), ("SLOWER_10", 1.1, True), ("SAME", 1.0, False), ("SLOWER_3", 1.03, False))
"""The rival of PLAIN, the true ratio, and whether the loops run."""
_HELD = {"turns": IN_TURNS, "beside": SIDE_BY_SIDE}
"""How finals are held on each device."""


def try_duels(times: int, seconds: float, *, side_by_side: bool) -> None:
    """Print for each kind of trial how often the two were told apart, and how often the interval held the truth.

    side_by_side: each trial on two cores too, the two networks at the same moment.
    """
    with tempfile.TemporaryDirectory() as scratch, _opened(Path(scratch)) as (engine, devices, imported):
        for (rival, true, is_noisy), device in product(_TRIALS, devices if side_by_side else devices[:1]):
            verdicts: Counter[str] = Counter()
            held, took_s, rounds_s = 0, [], []
            with beside_bursts(7) if is_noisy else nullcontext():
                for number in range(times):
                    begun_s = time.monotonic()
                    ratio, of_rounds_s = _duel(engine, device, imported, rival, seconds + number * 1e-6)
                    took_s.append(time.monotonic() - begun_s)
                    rounds_s.append(of_rounds_s)
                    verdicts[str(judge(ratio).verdict)] += 1
                    held += _holds(ratio, true)
            apart = verdicts[Verdict.FASTER] + verdicts[Verdict.SLOWER]
            where = f"{_HELD[device.key]}, {'beside bursts' if is_noisy else 'alone'}"
            print(
                f"{where}, true ratio {true}: told apart in {apart} of {times} ({dict(verdicts)}), "
                f"the 99 % interval holds it in {held}, {mean(took_s):.1f} s each, {mean(rounds_s):.1f} s of rounds",
                flush=True,
            )


def _holds(ratio: Ratio, true: float) -> bool:
    return ratio.ci_low is not None and ratio.ci_high is not None and ratio.ci_low <= true <= ratio.ci_high


def _duel(engine: Engine, device: Device, imported: ImportResult, rival: str, seconds: float) -> tuple[Ratio, float]:
    """The ratio of the rival to PLAIN, and the seconds of the rounds."""
    contenders = [
        {
            "cell": name,
            "measured": "",
            "is_compiled": name == "PLAIN",
            "roles": {"import": "import 1"},
            "options": {
                "runtime": f"{_HERE}:{name}",
                "device": device.key,
                "threads": device.threads,
                "measure": {"repeat": 1, "min_repeat_ms": 1, "warmup": 1, "number": None, "timeout_s": 60.0},
                "threshold": 1e-3,
            },
        }
        for name in ("PLAIN", rival)
    ]
    options: dict[str, Any] = {"device": device.key, "seconds": seconds, "contenders": contenders}
    if (held := _HELD[device.key]) == SIDE_BY_SIDE:
        options["side_by_side"] = True
    result = perform_stage(engine, "final", FinalResult, options, {"import 1": imported}, device)
    assert result.held == held, result.in_turns_because
    place = places_of("trial", result)[rival]
    return Ratio(place.ratio, place.ci_low, place.ci_high), result.took_s


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[Engine, Sequence[Device], ImportResult]]:
    onnx.save(network(1), folder / "net.onnx")
    (folder / "study.yaml").write_text("study: noise\nmodels: [net.onnx]\n")
    cores = sorted(os.sched_getaffinity(0))
    devices = [{"key": "turns", "cores": cores[-1:]}, *({"key": "beside", "cores": cores[-2:]} for _ in cores[1:2])]
    (folder / "cluster.yaml").write_text(json.dumps({"name": "noise", "engine": "inline", "devices": devices}))
    cluster = load_cluster(folder / "cluster.yaml")
    plan = make_plan(load_study(folder / "study.yaml"), cluster)
    stage = next(stage for stage in plan.stages.values() if stage.kind == "import")
    (folder / "out").mkdir()
    with EngineSession(cluster, folder / "out") as engine:
        engine.start(Attempt(stage, 1, {}))
        done = next(report for _ in range(100) for report in engine.poll(1.0))
        assert isinstance(done, Done), done
        assert isinstance(done.result, ImportResult)
        yield engine, cluster.devices, done.result
