"""Times `sweep run`: writes a study, runs it as a person would, and lets it tune for so many minutes."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tuning.guard import Guarded, Manner
from benchmarks.tuning.network import CLUSTER, DEVICE, SEED
from benchmarks.tuning.run import Run, busy_between, busy_ticks, sweep_environment
from benchmarks.tuning.timeline import read_lines

__all__ = ["run_sweep", "start_sweep", "write_study"]

TRIALS_PER_TASK = 4096
"""More than the minutes allow."""
_START_LIMIT_S = 900.0
_POLL_S = 0.2
_TAIL_S = 900.0
"""After the minutes: what is under way is measured, and the model built and measured."""
_ORDERLY = Manner(signal.SIGINT, grace_s=120.0)


def write_study(
    folder: Path,
    models: Sequence[str],
    options: Mapping[str, Any],
    reference: Sequence[str] = (),
    final: Mapping[str, Any] | None = None,
) -> Path:
    """A study of these models at opt level 3 with the tuner xgb and its `options`. `final`: as a study has it; None for
    the usual one.
    """
    study = {
        "study": "bench",
        "models": list(models),
        "targets": ["native"],
        "tuners": [{"name": "xgb", "trials_per_task": TRIALS_PER_TASK, **options}],
        "opt_levels": [3],
        "devices": [DEVICE],
        "reference": list(reference),
        "seed": SEED,
        **({} if final is None else {"final": dict(final)}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(json.dumps(study, indent=1), encoding="utf-8")  # JSON is YAML
    return path


def start_sweep(study: Path, folder: Path) -> Guarded:
    """`sweep run` under a guard; the sweep directory is `<folder>/sweep`, what it prints `<folder>/output.txt`."""
    command = [sys.executable, "-m", "sweep", "run", str(study), "--cluster", str(CLUSTER)]
    command += ["--out", str(folder / "sweep")]
    # No TMPDIR of its own: Ray's sockets need a short path, and a sweep takes its temporary files with it
    return Guarded(command, folder, environment=sweep_environment(), manner=_ORDERLY, own_tmpdir=False)


def run_sweep(source: str, folder: Path, round_size: int, minutes: float, options: Mapping[str, Any]) -> Run:
    """Tune for `minutes` from the first attempt of a tune stage; what comes later does not count.

    options: of the tuner, beside its round and time limit. Raises RuntimeError when it does not tune for so long.
    """
    shutil.rmtree(folder, ignore_errors=True)
    study = write_study(folder, [source], {"round": round_size, "hours": minutes / 60.0, **options})
    began_t = time.time()
    with start_sweep(study, folder) as child:
        tuning_t = _wait_for_start(child, folder / "sweep" / "ledger.jsonl", began_t)
        before = busy_ticks()
        code = child.wait(max(0.0, tuning_t + 60.0 * minutes - time.time()))
        busy = busy_between(before, busy_ticks())
        if code is not None:
            raise RuntimeError(f"the sweep ended early, with {code}: see {child.output}")
        child.wait(_TAIL_S)
    run = Run("sweep", round_size, str(folder), minutes, began_t, tuning_t, busy)
    run.save()
    return run


def _wait_for_start(child: Guarded, ledger: Path, began_t: float) -> float:
    while time.time() < began_t + _START_LIMIT_S:
        for line in read_lines(ledger):
            if line["event"] == "attempt_started" and line["kind"] == "tune":
                return float(line["t"])
        if child.wait(_POLL_S) is not None:
            break
    raise RuntimeError(f"the sweep did not start to tune: see {child.output}")
