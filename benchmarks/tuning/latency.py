"""How fast the whole model is after so many minutes: each run's records up to then, built, checked and timed.

MetaSchedule's records are applied and built by plain TVM, sweep's by sweep's own build. All artifacts and ONNX Runtime
are then timed on the device's core in turn, several rounds of all of them, each time in a new process.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import conditions, print_table, read_json, save
from benchmarks.tuning.figure import draw_best_so_far
from benchmarks.tuning.guard import Guarded
from benchmarks.tuning.network import CLUSTER, Network, device_core, prepare
from benchmarks.tuning.run import Run, plain_environment, read_runs, sweep_environment
from benchmarks.tuning.stock import stock_command
from benchmarks.tuning.timeline import best_so_far, cut_database, valid_until
from benchmarks.tuning.untuned import untuned_times
from sweep.devices.leasing.cores import core_lock
from sweep.devices.measuring.blocks import MeasuringPlace
from sweep.devices.runtimes.child_process import measure_in_child
from sweep.engine.site import host_lock_dir
from sweep.errors import SweepError
from sweep.study.gate import load_cluster
from sweep.toolchain.compile_job import BUILD_NETWORK
from sweep.toolchain.compile_workers.compile_pool import CompilePool

__all__ = ["bench_latency"]

ORT = "ONNX Runtime"
THRESHOLD = 1e-3
MEASURE = {"repeat": 5, "min_repeat_ms": 100, "warmup": 3, "number": None, "timeout_s": 120.0}
_BUILD_LIMIT_S = 1200.0


@dataclass(frozen=True, slots=True)
class Artifact:
    """A built model: the best that a run knew after some minutes."""

    run: Run
    minutes: float
    records: int
    lib: Path | None
    """None: it could not be built."""

    @property
    def label(self) -> str:
        """Short name: `stock-64 3 min`."""
        return f"{self.run.label} {self.minutes:g} min"


def bench_latency(folder: Path, points: Sequence[float], rounds: int) -> None:
    """Build and time what the runs under `folder` had reached at each of `points`, in minutes; print and draw it."""
    source = str(read_json(folder / "throughput.json")["conditions"]["budget"]["model"])
    runs, network = read_runs(folder), prepare(source, folder / "network")
    core = device_core(load_cluster(CLUSTER))
    before = conditions(points=list(points), rounds=rounds, measure=MEASURE, threads=1, core=core)
    points = [minutes for minutes in points if minutes <= max(run.minutes for run in runs)]
    artifacts = [_built(run, minutes, network, folder) for run in runs for minutes in points if minutes <= run.minutes]
    times = _timed(artifacts, network, core, rounds)
    estimates = {run.label: _estimates(run, network, core, folder) for run in runs}
    rows = _rows(artifacts, times)
    found = {"conditions": before, "times": times, "rows": rows, "estimates": estimates}
    save(folder, "latency", found)
    _print(rows, times[ORT], source)
    print(f"figure: {draw_best_so_far(folder, found)}")


def _built(run: Run, minutes: float, network: Network, folder: Path) -> Artifact:
    trials = run.trials()
    moment_t = run.tuning_t + 60.0 * minutes
    records = valid_until(trials, moment_t)
    place = folder / "latency" / f"{run.label}-{minutes:g}"
    print(f"building {run.label} after {minutes:g} minutes, from {records} records ...", flush=True)
    (source,) = run.records() or [place]  # one model on one device: one database
    cut_database(source, place / "records", records, moment_t)
    try:
        lib = (_build_stock if run.who == "stock" else _build_sweep)(run, place, network)
    except (SweepError, RuntimeError) as error:
        print(f"  not built: {error}")
        return Artifact(run, minutes, records, None)
    return Artifact(run, minutes, records, lib)


def _build_stock(run: Run, place: Path, network: Network) -> Path:
    lib, orders = place / "lib.so", place / "orders.json"
    asked = {
        "network": str(network.onnx),
        "target": network.target,
        "database": str(place / "records"),
        "lib": str(lib),
    }
    orders.write_text(json.dumps(asked), encoding="utf-8")
    lib.unlink(missing_ok=True)
    with Guarded(stock_command("build", orders), place, environment=plain_environment()) as child:
        code = child.wait(_BUILD_LIMIT_S)
    if code != 0 or not lib.is_file():
        raise RuntimeError(f"the build ended with {code}: see {child.output}")
    return lib


def _build_sweep(run: Run, place: Path, network: Network) -> Path:
    (lowered,) = run.lowerings()
    arguments = {
        "options": {"target": read_json(lowered / "lowering.json")["options"]["target"]},
        "lower_dir": str(lowered),
        "out_dir": str(place / "artifact"),
        "records_dir": str(place / "records"),
    }
    with CompilePool() as forge:
        forge.submit(BUILD_NETWORK, arguments).result()
    return place / "artifact" / "lib.so"


def _timed(artifacts: Sequence[Artifact], network: Network, core: int, rounds: int) -> dict[str, list[float]]:
    """Label -> median seconds of each round. What fails or answers wrongly is said and has none."""
    times: dict[str, list[float]] = {ORT: []}
    with core_lock(host_lock_dir(), [core]):
        for number in range(rounds):
            print(f"timing round {number + 1} of {rounds} ...", flush=True)
            result = measure_in_child(
                "onnxruntime", network.import_dir, MEASURE, MeasuringPlace((core,), 1, None), THRESHOLD
            )
            times[ORT].append(statistics.median(result["run_secs"]))
            for artifact in artifacts:
                if artifact.lib is not None and (number == 0 or artifact.label in times):
                    answer = _time_artifact(artifact.lib, network, core)
                    if "error" in answer:
                        print(f"  {artifact.label}: {answer['error']}")
                        times.pop(artifact.label, None)
                        continue
                    times.setdefault(artifact.label, []).append(statistics.median(answer["run_secs"]))
    return times


def _time_artifact(lib: Path, network: Network, core: int) -> dict[str, Any]:
    orders = {"lib": str(lib), "import_dir": str(network.import_dir), "core": core, "measure": MEASURE}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.tuning.timing_child"],
        input=json.dumps({**orders, "threshold": THRESHOLD}),
        capture_output=True,
        text=True,
        timeout=MEASURE["timeout_s"],
        env=sweep_environment(),
        check=False,
    )
    if done.returncode:
        return {"error": f"ended with {done.returncode}: {done.stderr[-300:]}"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _estimates(run: Run, network: Network, core: int, folder: Path) -> list[tuple[float, float]]:
    untuned = untuned_times(run, network.target, core, folder / "latency" / f"{run.label}-untuned")
    return best_so_far(run.trials(), run.tasks(), untuned, run.tuning_t)


def _rows(artifacts: Sequence[Artifact], times: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """One for each size of round and point, with the ratios."""
    rows: dict[tuple[int, float], dict[str, Any]] = {}
    ort_s = statistics.median(times[ORT])
    for artifact in artifacts:
        row = rows.setdefault(
            (artifact.run.round, artifact.minutes), {"round": artifact.run.round, "minutes": artifact.minutes}
        )
        who, seconds = artifact.run.who, times.get(artifact.label)
        row[f"{who}_records"] = artifact.records
        row[f"{who}_ms"] = _milliseconds(seconds)
        row[f"{who}_to_ort"] = statistics.median(seconds) / ort_s if seconds else None
    for row in rows.values():
        ours, stock = row.get("sweep_to_ort"), row.get("stock_to_ort")
        row["sweep_to_stock"] = ours / stock if ours and stock else None
    return list(rows.values())


def _milliseconds(seconds: Sequence[float] | None) -> tuple[float, float, float] | None:
    """Median, least and largest of the rounds."""
    return None if not seconds else (statistics.median(seconds) * 1e3, min(seconds) * 1e3, max(seconds) * 1e3)


def _print(rows: Sequence[Mapping[str, Any]], ort_s: Sequence[float], source: str) -> None:
    def shown(value: tuple[float, float, float] | None) -> str | None:
        return None if value is None else f"{value[0]:.2f} ({value[1]:.2f}..{value[2]:.2f})"

    header = ["round", "minutes", "stock ms", "sweep ms", f"{ORT} ms", "sweep/stock", "sweep/ORT", "stock/ORT"]
    table = [
        [
            row["round"],
            row["minutes"],
            shown(row.get("stock_ms")),
            shown(row.get("sweep_ms")),
            shown(_milliseconds(ort_s)),
            row["sweep_to_stock"],
            row.get("sweep_to_ort"),
            row.get("stock_to_ort"),
        ]
        for row in rows
    ]
    print_table(f"latency of {source} on one thread: median of rounds (least..largest)", header, table)
