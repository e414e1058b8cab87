"""Times MetaSchedule's `tune_relax` as shipped: starts it, lets it tune for so many minutes, and kills it."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

from benchmarks.tuning.guard import Guarded
from benchmarks.tuning.network import Network
from benchmarks.tuning.run import Run, busy_between, busy_ticks, plain_environment
from benchmarks.tuning.timeline import read_lines

__all__ = ["CHILD", "run_stock", "stock_command"]

CHILD = Path(__file__).with_name("stock_child.py")
_START_LIMIT_S = 300.0
_POLL_S = 0.2


def stock_command(what: str, orders: Path) -> list[str]:
    """The child's command line; -P keeps this folder out of its import path."""
    return [sys.executable, "-P", str(CHILD), what, str(orders)]


def run_stock(network: Network, folder: Path, round_size: int, minutes: float) -> Run:
    """Tune for `minutes` from the call of `tune_relax`. Raises RuntimeError when it ends by itself before."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "records").mkdir(parents=True)
    orders = folder / "orders.json"
    asked = {"folder": str(folder), "network": str(network.onnx), "target": network.target, "round": round_size}
    orders.write_text(json.dumps(asked), encoding="utf-8")
    began_t = time.time()
    with Guarded(stock_command("tune", orders), folder, environment=plain_environment()) as child:
        tuning_t = _wait_for_start(child, folder / "log.jsonl", began_t)
        before = busy_ticks()
        code = child.wait(max(0.0, tuning_t + 60.0 * minutes - time.time()))
        busy = busy_between(before, busy_ticks())
        if code is not None:
            raise RuntimeError(f"MetaSchedule ended by itself with {code}: see {child.output}")
    run = Run("stock", round_size, str(folder), minutes, began_t, tuning_t, busy)
    run.save()
    return run


def _wait_for_start(child: Guarded, log: Path, began_t: float) -> float:
    while time.time() < began_t + _START_LIMIT_S:
        started = next((line["t"] for line in read_lines(log) if line["event"] == "tuning_started"), None)
        if started is not None:
            return float(started)
        if child.wait(_POLL_S) is not None:
            break
    raise RuntimeError(f"MetaSchedule did not start to tune: see {child.output}")
