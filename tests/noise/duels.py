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
from statistics import mean, median
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


def try_duels(times: int, seconds: float, out: Path, *, side_by_side: bool) -> None:
    """Print for each kind of trial how often the two were told apart, and how often the interval held the truth.

    out: has `duels.jsonl` then, a line a final with all of its slots. side_by_side: each final on two cores too, right
    after, the two networks at the same moment.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, _opened(Path(scratch)) as (engine, devices, imported):
        chosen = devices if side_by_side else devices[:1]
        for rival, true, is_noisy in _TRIALS:
            tallies = {device.key: _Tally(true) for device in chosen}
            with beside_bursts(7) if is_noisy else nullcontext():
                for number, device in product(range(times), chosen):
                    begun_s = time.monotonic()
                    result = _duel(engine, device, imported, rival, seconds + number * 1e-6)
                    took_s = time.monotonic() - begun_s
                    tallies[device.key].add(result, rival, took_s)
                    kept = {"true": true, "beside bursts": is_noisy, "took_s": took_s, **result.to_json()}
                    with (out / "duels.jsonl").open("a", encoding="utf-8") as file:
                        file.write(json.dumps(kept) + "\n")
            for key, tally in tallies.items():
                print(f"{_HELD[key]}, {'beside bursts' if is_noisy else 'alone'}, {tally}", flush=True)


class _Tally:
    """What finals of one kind gave."""

    def __init__(self, true: float) -> None:
        self._true, self._verdicts, self._held = true, Counter[str](), 0
        self._took_s: list[float] = []
        self._rounds_s: list[float] = []
        self._heats: list[int] = []
        self._widths: list[float] = []

    def add(self, result: FinalResult, rival: str, took_s: float) -> None:
        place = places_of("trial", result)[rival]
        self._verdicts[str(judge(Ratio(place.ratio, place.ci_low, place.ci_high)).verdict)] += 1
        self._held += place.ci_low <= self._true <= place.ci_high
        self._took_s.append(took_s)
        self._rounds_s.append(result.took_s)
        self._heats.append(max(len(one.heats) for one in result.timed))
        self._widths.append((place.ci_high - place.ci_low) / place.ratio)

    def __str__(self) -> str:
        times, apart = len(self._took_s), self._verdicts[Verdict.FASTER] + self._verdicts[Verdict.SLOWER]
        return (
            f"true ratio {self._true}: told apart in {apart} of {times} ({dict(self._verdicts)}), the 99 % interval "
            f"holds it in {self._held}, {median(self._widths):.1%} wide as a rule; {mean(self._heats):.1f} heats, "
            f"{mean(self._rounds_s):.1f} s since all was loaded, {mean(self._took_s):.1f} s each"
        )


def _duel(engine: Engine, device: Device, imported: ImportResult, rival: str, seconds: float) -> FinalResult:
    """Of the rival and PLAIN."""
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
    return result


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
